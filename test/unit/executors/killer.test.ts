import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { afterEach, expect, it, vi } from 'vitest';
import { RUN_VARIABLE } from '../../../src/executors/executor.js';
import { Killer } from '../../../src/executors/process/killer.js';
import { bootId, processStat, recentProcesses } from '../../../src/executors/process/proc.js';
import type { Identity } from '../../../src/executors/process/proc.js';
import { systemClock } from '../../../src/lib/clock.js';
import { eventually } from '../../conformance/harness.js';

const children: ChildProcess[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** A process in a session of its own, marked as one of the run. */
async function daemon(run: string | undefined, script: string): Promise<number> {
  const { pid } = await spawned(run, script);
  return pid;
}

async function spawned(run: string | undefined, script: string): Promise<{ pid: number; said: string }> {
  const child = spawn('sh', ['-c', `${script}; echo; while :; do sleep 0.05; done`], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env['PATH'], ...(run === undefined ? {} : { [RUN_VARIABLE]: run }) },
  });
  children.push(child);
  let said = '';
  await new Promise<void>((up) =>
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.endsWith('\n')) up();
    }),
  );
  return { pid: child.pid!, said };
}

const isThere = (pid: number): boolean => processStat(pid) !== undefined;
const kill = (leader: Identity, run: string): Promise<void> =>
  new Promise((gone) => void new Killer(leader, run, 300, systemClock, gone));
/** As if the process with that number had once been another one. */
const before = (pid: number): Identity => ({
  pid,
  birth: String(Number(processStat(pid)!.birth) - 1),
  boot: bootId(),
});

it('ends what a dead leader left, and leaves alone who has its number now', async () => {
  const stranger = await daemon(undefined, ':');
  const leader = before(stranger);
  const other = await daemon('/of/another', ':');
  const gentle = await daemon('/of/it', ':');
  const deaf = await daemon('/of/it', "trap '' TERM");
  await kill(leader, '/of/it');
  expect([gentle, deaf, stranger, other].map(isThere)).toEqual([false, false, true, true]);
});

it('gives what a dead leader left the time of the grace', async () => {
  const start = performance.now();
  const deaf = await daemon('/of/it', "trap '' TERM");
  await kill({ ...before(deaf), pid: 4_194_304 }, '/of/it');
  expect(isThere(deaf)).toBe(false);
  expect(performance.now() - start).toBeGreaterThan(290);
});

it('takes the session of a dead leader for its own while a marked process is in it', async () => {
  // without the mark, and nobody's child any more
  const { pid, said } = await spawned('/of/it', "trap '' TERM; (env -i sleep 60 >/dev/null & printf $!)");
  await kill(before(pid), '/of/it');
  expect([pid, Number(said)].map(isThere)).toEqual([false, false]);
});

it('has nothing to end of another boot', async () => {
  const marked = await daemon('/of/it', ':');
  await kill({ ...before(marked), boot: 'another' }, '/of/it');
  expect(isThere(marked)).toBe(true);
});

it('sends SIGTERM to the group of a leader that was not in it a moment ago', async () => {
  const script = `read go; exec setsid sh -c 'sleep 60 >/dev/null & echo $!; wait'`;
  const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'ignore'] });
  children.push(child);
  const pid = child.pid!;
  await eventually(() => recentProcesses().some((one) => one.pid === pid));
  const moment = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
  recentProcesses(); // from here on it is that of this moment
  const said = new Promise<Buffer>((done) => child.stdout.once('data', done));
  child.stdin.end('\n');
  const sleeper = Number(await said);
  expect(recentProcesses().find((one) => one.pid === pid)?.group).not.toBe(pid);
  // within the hour of grace: by SIGTERM
  const gone = new Promise<void>(
    (done) =>
      void new Killer(
        { ...before(pid), birth: processStat(pid)!.birth },
        '/of/it',
        3_600_000,
        systemClock,
        done,
      ),
  );
  moment.mockRestore();
  await gone;
  expect([pid, sleeper].map(isThere)).toEqual([false, false]);
});
