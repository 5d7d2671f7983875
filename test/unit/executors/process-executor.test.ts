import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Run, RunEnd } from '../../../src/executors/executor.js';
import { findPrograms } from '../../../src/executors/process/guardian.js';
import { processStat } from '../../../src/executors/process/proc.js';
import { ProcessExecutor } from '../../../src/executors/process/process-executor.js';
import { systemClock } from '../../../src/lib/clock.js';
import type { Clock } from '../../../src/lib/clock.js';
import { eventually } from '../../conformance/harness.js';

let directory: string;
const executors: ProcessExecutor[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meeseeks-executor-'));
});
afterEach(() => {
  for (const executor of executors.splice(0)) executor.stop();
  rmSync(directory, { recursive: true, force: true });
});

function open(clock: Clock = systemClock, programs = findPrograms()): ProcessExecutor {
  const executor = new ProcessExecutor(clock, programs);
  executors.push(executor);
  return executor;
}

function run(
  executor: ProcessExecutor,
  name: string,
  ...args: string[]
): Promise<RunEnd> & { pid: Promise<number> } {
  const request: Run = {
    directory: join(directory, name),
    args,
    env: new Map([['SECRET', 'x']]),
    cwd: '/',
    stdin: undefined,
    stdout: undefined,
    stderr: undefined,
  };
  let told: (pid: number) => void;
  const pid = new Promise<number>((resolve) => (told = resolve));
  const end = new Promise<RunEnd>((ended) => executor.start(request, { started: (p) => told(p), ended }));
  return Object.assign(end, { pid });
}

it('reuses guardians one run after the other, and starts more when runs overlap', async () => {
  const executor = open();
  const parents: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    await run(executor, name, 'sh', '-c', 'echo $PPID');
    parents.push(readFileSync(join(directory, name, 'stdout'), 'utf8'));
  }
  expect(new Set(parents).size).toBe(1);
  await Promise.all(['d', 'e'].map((name) => run(executor, name, 'sh', '-c', 'echo $PPID; sleep 0.2')));
  expect(new Set(['d', 'e'].map((name) => readFileSync(join(directory, name, 'stdout'), 'utf8'))).size).toBe(
    2,
  );
});

it('lets idle guardians go', async () => {
  let skipped = 0;
  const timers: (() => void)[] = [];
  const clock: Clock = {
    now: () => Date.now() + skipped,
    after: (ms, callback) => {
      if (ms < 5000) return systemClock.after(ms, callback);
      timers.push(callback);
      return () => undefined;
    },
  };
  const executor = open(clock);
  await run(executor, 'a', 'sh', '-c', 'echo $PPID');
  const guardian = Number(readFileSync(join(directory, 'a/stdout'), 'utf8'));
  expect(processStat(guardian)).toBeDefined();
  skipped = 20_000;
  for (const timer of timers.splice(0)) timer();
  await eventually(() => processStat(guardian) === undefined);
});

it('leaves the environment on disk no longer than needed', async () => {
  await run(open(), 'a', 'true');
  expect(readdirSync(join(directory, 'a')).sort()).toEqual(['claim', 'exit', 'pid', 'stderr', 'stdout']);
});

it('reports a shell that cannot be started', async () => {
  const executor = open(systemClock, { ...findPrograms(), bash: '/no/bash' });
  expect(await run(executor, 'a', 'true')).toMatchObject({
    kind: 'start',
    error: expect.stringMatching(/cannot start: bash: .*\/no\/bash/) as string,
  });
});

it('reports a run directory that cannot be made', async () => {
  expect(await run(open(), 'no/such/a', 'true')).toMatchObject({
    kind: 'start',
    error: expect.stringContaining('cannot start: ENOENT') as string,
  });
});

it('kills many runs at once, right after their start', async () => {
  const executor = open();
  const names = Array.from({ length: 20 }, (_, i) => `r${i}`);
  const ends = names.map((name) => run(executor, name, 'sleep', '60'));
  for (const name of names) executor.kill(join(directory, name), 5000);
  for (const end of await Promise.all(ends)) expect(end).toMatchObject({ kind: 'signal', signal: 15 });
});

it('says nothing more after it was stopped, and leaves the processes alone', async () => {
  const executor = open();
  let ended = false;
  const end = run(executor, 'a', 'sleep', '60');
  void end.then(() => (ended = true));
  const pid = await end.pid;
  executor.stop();
  expect(processStat(pid)).toBeDefined();
  const next = open();
  const adopted = new Promise<RunEnd>((resolve) =>
    next.adopt(join(directory, 'a'), next.epoch, { started: () => undefined, ended: resolve }),
  );
  next.kill(join(directory, 'a'), 1000);
  expect(await adopted).toMatchObject({ kind: 'signal', signal: 15 });
  expect(ended).toBe(false);
});
