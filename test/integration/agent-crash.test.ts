import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { AgentLockedError, createAgent } from '../../src/agent/agent.js';
import type { Agent } from '../../src/agent/types.js';
import { processStat } from '../../src/executors/process/proc.js';
import { systemClock } from '../../src/lib/clock.js';
import type { SubmitRequest } from '../../src/protocol/agent.js';
import { isFinished } from '../../src/protocol/job.js';
import { journals } from '../support/journals.js';
import { until } from '../support/service.js';
import { Bench, eventually, quietLog, text } from '../conformance/harness.js';

const factory = (directory: string): Promise<Agent> =>
  createAgent({
    directory,
    node: 'here',
    pools: { p: { slots: 4 } },
    defaultSlots: 2,
    expire: 60,
    clock: systemClock,
    log: quietLog,
    env: process.env,
  });

let build: string;
let directory: string;
let children: AgentProcess[] = [];

beforeAll(() => {
  build = mkdtempSync(join(tmpdir(), 'meeseeks-build-'));
  compile(build);
}, 300_000);
afterAll(() => rmSync(build, { recursive: true, force: true }));
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meeseeks-crash-'));
});
afterEach(async () => {
  await Promise.all(children.map((child) => child.crash()));
  children = [];
  const agent = await factory(state());
  await agent.stop('kill');
  rmSync(directory, { recursive: true, force: true });
  Bench.cleanUp();
});

const state = (): string => join(directory, 'state');
const path = (name: string): string => join(directory, name);

/** Not `npm run build`: that would replace dist under whoever uses it. Type errors elsewhere are no matter here. */
function compile(target: string): void {
  const root = resolve(import.meta.dirname, '../..');
  writeFileSync(join(target, 'package.json'), '{"type":"module"}');
  symlinkSync(join(root, 'node_modules'), join(target, 'node_modules'));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  try {
    execFileSync(process.execPath, [
      tsc,
      '-p',
      join(root, 'tsconfig.build.json'),
      '--outDir',
      join(target, 'out'),
    ]);
  } catch {
    if (!existsSync(join(target, 'out/agent/agent.js'))) throw new Error('tsc wrote nothing');
  }
  mkdirSync(join(target, 'out/executors/process'), { recursive: true });
  for (const script of ['guardian.pl', 'guardian.sh'])
    copyFileSync(join(root, 'src/executors/process', script), join(target, 'out/executors/process', script));
}

/** An agent in another process, and what it said. */
class AgentProcess {
  readonly lines: string[] = [];
  private readonly child: ChildProcess;
  private readonly gone: Promise<void>;

  constructor() {
    const runner = resolve(import.meta.dirname, '../conformance/agent-process.mjs');
    const script = join(build, 'agent-process.mjs');
    copyFileSync(runner, script);
    this.child = spawn(process.execPath, [script, join(build, 'out'), state()], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    createInterface({ input: this.child.stdout! }).on('line', (line) => this.lines.push(line));
    this.child.stdin!.on('error', () => undefined);
    this.gone = new Promise((done) => this.child.on('close', () => done()));
    children.push(this);
  }

  static async start(): Promise<AgentProcess> {
    const agent = new AgentProcess();
    await eventually(() => agent.lines.includes('"ready"'));
    return agent;
  }

  submit(requests: readonly SubmitRequest[]): void {
    this.child.stdin!.write(`${JSON.stringify(requests)}\n`);
  }

  said(pattern: RegExp): boolean {
    return this.lines.some((line) => pattern.test(line));
  }

  /** kill -9, and certainty that it is over. */
  async crash(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.gone;
  }
}

const shell = (id: string, script: string, more: object = {}): SubmitRequest => ({
  key: 'k',
  spec: { id, pool: 'p', args: ['sh', '-c', script], ...more },
});

async function reopen(): Promise<Bench> {
  const bench = await Bench.open(() => factory(state()), {});
  return bench;
}

it('adopts running jobs after kill -9: one run, exit code and output collected', async () => {
  const agent = await AgentProcess.start();
  const script = `echo started >> ${path('log')}; while [ ! -e ${path('go')} ]; do sleep 0.02; done; echo out; exit 7`;
  agent.submit([shell('a', script), shell('b', 'echo quick; exit 3')]);
  await eventually(() => existsSync(path('log')) && agent.said(/"id":"b".*"state":"failed"/));
  await agent.crash();
  const bench = await reopen();
  expect((await bench.agent.query(['a'])).get('a')).toMatchObject({ state: 'running', start_count: 1 });
  writeFileSync(path('go'), '');
  const job = await bench.finished('a');
  expect(job).toMatchObject({ state: 'failed', rc: 7, start_count: 1 });
  expect(text(job.stdout_data)).toBe('out\n');
  expect(readFileSync(path('log'), 'utf8')).toBe('started\n');
  await bench.close();
});

it('collects what ended while there was no agent', async () => {
  const agent = await AgentProcess.start();
  agent.submit([
    shell('a', `: > ${path('log')}; while [ ! -e ${path('go')} ]; do sleep 0.02; done; kill -9 $$`),
  ]);
  await eventually(() => existsSync(path('log')));
  await agent.crash();
  writeFileSync(path('go'), '');
  await eventually(() => journals(state()).some((text) => text.includes('exit a.1 ')));
  const bench = await reopen();
  expect(await bench.finished('a')).toMatchObject({
    state: 'failed',
    signal: 'SIGKILL',
    rc: -9,
    start_count: 1,
  });
  await bench.close();
});

it('goes on with a kill that the crash interrupted', async () => {
  const first = await reopenHere();
  await first.submit([
    shell('a', `trap '' TERM; : > ${path('log')}; while :; do sleep 0.05; done`, { kill_grace: 1 }),
  ]);
  await eventually(() => existsSync(path('log')));
  await first.kill(['a']);
  await first.stop('leave');
  const bench = await reopen();
  expect(await bench.finished('a')).toMatchObject({ state: 'killed', signal: 'SIGKILL' });
  await bench.close();
});

it('goes on with a kill whose job has ended but for children that ignore SIGTERM', async () => {
  const first = await reopenHere();
  const stubborn = `trap '' TERM; echo $$ > ${path('pid')}; while :; do sleep 0.05; done`;
  const args = ['sh', '-c', `sh -c "$0" & echo $$ > ${path('leader')}; wait`, stubborn];
  await first.submit([{ key: 'k', spec: { id: 'a', pool: 'p', args, kill_grace: 1 } }]);
  await eventually(() => isLine('pid') && isLine('leader'));
  const [child, leader] = [pidIn('pid'), pidIn('leader')];
  await first.kill(['a']);
  await eventually(() => processStat(leader) === undefined);
  await first.stop('leave');
  expect(processStat(child)).toBeDefined();
  const bench = await reopen();
  expect(await bench.finished('a')).toMatchObject({ state: 'killed', signal: 'SIGTERM', active: false });
  expect(processStat(child)).toBeUndefined();
  await bench.close();
});

const isLine = (name: string): boolean =>
  existsSync(path(name)) && readFileSync(path(name), 'utf8').endsWith('\n');
const pidIn = (name: string): number => Number(readFileSync(path(name), 'utf8'));

const reopenHere = (): Promise<Agent> => factory(state());

it('reports a job as lost when its guardian was killed, but not before it has ended', async () => {
  const bench = await reopen();
  await bench.agent.submit([
    shell('a', `: > ${path('log')}; while [ ! -e ${path('go')} ]; do sleep 0.02; done`),
  ]);
  const { pid } = await bench.running('a');
  await eventually(() => existsSync(path('log')));
  const guardian = processStat(pid!)!.parent;
  expect(readFileSync(`/proc/${guardian}/cmdline`, 'utf8')).toMatch(/guardian\.(pl|sh)/);
  process.kill(guardian, 'SIGKILL');
  await new Promise((done) => setTimeout(done, 500)); // several looks at it
  expect((await bench.agent.query(['a'])).get('a')).toMatchObject({ state: 'running' });
  writeFileSync(path('go'), '');
  expect(await bench.finished('a')).toMatchObject({
    state: 'failed',
    reason: 'lost',
    error: expect.stringContaining('guardian process was killed') as string,
  });
  await bench.close();
});

it.each([
  ['nothing', 'no claim', 1],
  ['agent', 'a claim of an agent that crashed before it recorded it', 1],
  ['noted', 'a child that is gone and had not made its claim', 1],
  ['never', 'a child that made its claim too late, and found that out', 1],
  ['claimed', 'a claim, and a child that is gone', 0],
  ['child', 'a claim, and no process noted', 0],
])('starts what certainly never ran, and only that: %s', async (stage, _meaning, runs) => {
  await interruptStart(stage);
  const bench = await reopen();
  const job = await bench.finished('a');
  expect(job).toMatchObject(
    runs === 1 ? { state: 'done', start_count: 1 } : { state: 'failed', reason: 'lost' },
  );
  expect(existsSync(path('log'))).toBe(runs === 1);
  await bench.close();
});

/** Leaves the state an agent has on disk when it dies right after it recorded a start. */
async function interruptStart(stage: string, epoch?: string): Promise<void> {
  const agent = await reopenHere();
  await agent.submit([shell('a', `echo ran >> ${path('log')}`, { hold: true })]);
  await agent.stop('leave');
  const { Store } = await import('../../src/agent/store.js');
  const store = new Store(state());
  const record = store.get('a')!;
  const spec = { ...record.spec, hold: false };
  store.write(
    [{ ...record, spec, state: 'running', run: 1, start_count: 1, start_ts: record.ts, epoch }],
    record.ts,
  );
  store.close();
  const run = join(state(), 'spool/a.1');
  if (stage === 'agent') mkdirSync(`${run}.stdout`);
  if (['never', 'claimed', 'child'].includes(stage)) writeFileSync(`${run}.stdout`, '');
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
  const noted = `guardian 4194305 1 ${boot}pid a.1 4194306 (bash) R${' 1'.repeat(18)} 2 3\n`;
  const late = stage === 'never' ? 'never a.1\nexit a.1 125 1.5\n' : '';
  mkdirSync(join(state(), 'guardians/before'));
  if (stage !== 'nothing' && stage !== 'child')
    writeFileSync(join(state(), 'guardians/before/1'), noted + late);
}

it.each(['nothing', 'noted'])('does not guess when the machine was rebooted meanwhile: %s', async (stage) => {
  await interruptStart(stage, 'another boot');
  const bench = await reopen();
  expect(await bench.finished('a')).toMatchObject({
    state: 'failed',
    reason: 'lost',
    error: expect.stringContaining('rebooted') as string,
  });
  expect(existsSync(path('log'))).toBe(false);
  await bench.close();
});

it('runs every job exactly once through kill -9 at any moment', async () => {
  const jobs = Array.from({ length: 120 }, (_, i) =>
    shell(`j${i}`, `echo ${i} >> ${path('log')}; sleep 0.0${i % 5}`),
  );
  for (let round = 0; round < 12; round++) {
    const agent = await AgentProcess.start();
    agent.submit(jobs);
    await new Promise((done) => setTimeout(done, 3 + Math.random() * 60));
    await agent.crash();
  }
  const bench = await reopen();
  await bench.agent.submit(jobs);
  const ended = await Promise.all(jobs.map((job) => bench.finished(job.spec.id)));
  expect(ended.filter((job) => job.state !== 'done' || job.start_count !== 1)).toEqual([]);
  const ran = readFileSync(path('log'), 'utf8').trim().split('\n');
  expect(ran.map(Number).sort((a, b) => a - b)).toEqual(jobs.map((_, i) => i));
  const seqs = (await bench.agent.list()).map((job) => job.seq);
  expect(new Set(seqs).size).toBe(seqs.length);
  await bench.close();
}, 300_000);

it('lets one agent use a directory, across processes and within one, and frees it with the process', async () => {
  const other = await AgentProcess.start();
  await expect(reopenHere()).rejects.toThrow(AgentLockedError);
  await expect(reopenHere()).rejects.toThrow(/another agent \(process \d+\) is using .*state; stop it/);
  await other.crash();
  const agent = await reopenHere();
  await expect(reopenHere()).rejects.toThrow(AgentLockedError);
  await agent.stop('leave');
});

it('never lets the sequence number go back', async () => {
  const last: number[] = [];
  for (let i = 0; i < 3; i++) {
    const bench = await reopen();
    last.push((await bench.run({ id: `s${i}`, args: ['true'] })).seq);
    await bench.agent.stop('leave');
  }
  expect(last).toEqual([...last].sort((a, b) => a - b));
  expect(new Set(last).size).toBe(3);
});

it('does not take a job for too slow that ended in time, while the agent itself stood still', async () => {
  const bench = await reopen();
  await bench.submit({ id: 'a', runtime: 2, args: ['true'] });
  await bench.running('a');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);
  expect(await bench.finished('a')).toMatchObject({ state: 'done', reason: 'exit', start_count: 1 });
  await bench.close();
});

it('refuses a damaged state file with advice', async () => {
  mkdirSync(state());
  writeFileSync(
    join(state(), 'agent.db'),
    'this is no database, and long enough to be looked at '.repeat(50),
  );
  await expect(reopenHere()).rejects.toThrow(
    /cannot open .*agent\.db: .*; move it away to start with an empty agent/,
  );
  rmSync(join(state(), 'agent.db'));
});

it('drains: starts nothing new, waits for what runs, and a second stop kills', async () => {
  const agent = await reopenHere();
  const bench = await Bench.open(() => Promise.resolve(agent), {});
  await agent.submit(['a', 'b', 'c', 'd', 'e'].map((id) => shell(id, 'sleep 60')));
  await Promise.all(['a', 'b', 'c', 'd'].map((id) => bench.running(id)));
  const drained = agent.stop('drain');
  await agent.stop('kill');
  await drained;
  const after = await reopen();
  const states = [...(await after.agent.query(['a', 'b', 'c', 'd'])).values()].map((job) => job.state);
  expect(states).toEqual(['killed', 'killed', 'killed', 'killed']);
  expect((await after.running('e')).start_count).toBe(1);
  await after.close();
});

it('leaves nothing behind: results that were seen expire, with their spool', async () => {
  const bench = await reopen();
  await bench.run({ id: 'seen', args: ['true'] });
  await bench.run({ id: 'unseen', args: ['true'] });
  await bench.agent.release(['seen', 'unknown']);
  await bench.agent.stop('leave');
  const later = await createAgent({
    directory: state(),
    node: 'here',
    pools: { p: {} },
    defaultSlots: 1,
    expire: 60,
    log: quietLog,
    env: {},
    clock: { ...systemClock, now: () => Date.now() + 61_000 },
  });
  await until(async () => !(await later.query(['seen'])).has('seen'), 'it is forgotten');
  expect(readdirSync(join(state(), 'spool')).toSorted()).toEqual(['unseen.1.stderr', 'unseen.1.stdout']);
  const known = await later.query(['seen', 'unseen']);
  expect([...known.keys()]).toEqual(['unseen']);
  expect(isFinished(known.get('unseen')!.state)).toBe(true);
  await later.stop('leave');
});

it('follows new pool settings and changed holds', async () => {
  const agent = await reopenHere();
  const bench = await Bench.open(() => Promise.resolve(agent), {});
  await agent.submit([shell('h', 'true', { hold: true }), shell('a', 'true')]);
  await bench.finished('a');
  agent.setPools({ p: { hold: true }, q: {} });
  await agent.setHold(['h', 'a', 'unknown'], false);
  await agent.submit([{ key: 'k', spec: { id: 'q', pool: 'q', args: ['true'] } }]);
  await bench.finished('q');
  expect(agent.counts()).toEqual({
    p: { queued: 1, running: 0, slots: 0 },
    q: { queued: 0, running: 0, slots: 2 },
  });
  agent.setPools({ p: {} });
  expect(await bench.finished('h')).toMatchObject({ state: 'done', start_count: 1 });
  await agent.stop('drain');
  await expect(agent.submit([])).rejects.toThrow('the agent is stopped');
});

it('lets a listener act on the agent at once', async () => {
  const agent = await reopenHere();
  const off = agent.onJob((job) => {
    if (job.id === 'a' && job.state === 'running') void agent.kill(['a', 'b', 'c', 'd', 'e']);
  });
  const bench = await Bench.open(() => Promise.resolve(agent), {});
  const ids = ['a', 'b', 'c', 'd', 'e'];
  await agent.submit(ids.map((id) => shell(id, 'sleep 60')));
  const jobs = await Promise.all(ids.map((id) => bench.finished(id)));
  expect(jobs.map((job) => job.state)).toEqual(ids.map(() => 'killed'));
  off();
  await agent.stop('drain');
});
