import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Engine } from '../../../src/agent/engine.js';
import { Spool } from '../../../src/agent/spool.js';
import type { JobRecord } from '../../../src/agent/types.js';
import type { Executor, Run, RunEvents } from '../../../src/executors/executor.js';
import { systemClock } from '../../../src/lib/clock.js';
import { quietLog } from '../../conformance/harness.js';
import { record } from './records.js';

/** Holds records in memory, and refuses to when told to. */
class FlakyStore {
  full = false;
  writes = 0;
  readonly records = new Map<string, JobRecord>();
  private seq = 0;

  nextSeq(): number {
    return ++this.seq;
  }
  get(id: string): JobRecord | undefined {
    return this.records.get(id);
  }
  list(): JobRecord[] {
    return [...this.records.values()];
  }
  queued(): never[] {
    return [];
  }
  write(records: Iterable<JobRecord>, now: number): JobRecord[] {
    const written = Array.from(records, (r) => ({ ...r, seq: this.nextSeq(), ts: now }));
    if (this.full && written.length > 0) throw new Error('database or disk is full');
    this.writes++;
    for (const r of written) this.records.set(r.id, r);
    return written;
  }
}

class FakeExecutor implements Executor {
  readonly epoch = 'e';
  readonly runs = new Map<string, { run: Run; events: RunEvents }>();
  start(run: Run, events: RunEvents): void {
    this.runs.set(run.path.split('/').pop()!, { run, events });
  }
  adopt(): void {}
  isOver = (): boolean => false;
  kill(): void {}
  stop(): void {}
}

let directory: string;
let store: FlakyStore;
let executor: FakeExecutor;
let engine: Engine;
let changes: JobRecord[];
let notify: () => void = () => undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meeseeks-engine-'));
  store = new FlakyStore();
  executor = new FakeExecutor();
  changes = [];
  const options = {
    directory,
    node: 'n',
    pools: { p: { slots: 1 } },
    defaultSlots: 1,
    expire: 1,
    clock: systemClock,
    log: quietLog,
    env: {},
  };
  const changed = (r: JobRecord): void => {
    changes.push(r);
    notify();
  };
  engine = new Engine(options, { store, executor, spool: new Spool(directory), changed }, options.pools);
});
afterEach(() => {
  engine.close();
  rmSync(directory, { recursive: true, force: true });
});

const state = (id: string, wanted: string): Promise<void> =>
  new Promise((resolve) => {
    notify = () => {
      if (changes.some((r) => r.id === id && r.state === wanted)) resolve();
    };
    notify();
  });

it('refuses jobs that it cannot record, and changes nothing', () => {
  store.full = true;
  expect(() => engine.accept([record()])).toThrow('full');
  expect(engine.find('j')).toBeUndefined();
  expect(engine.counts()['p']).toMatchObject({ queued: 0 });
});

it('records what can start at once as started, in one write, and starts it', () => {
  const written = engine.acceptAndStart([record(), record({ id: 'b', order: 2 })]);
  expect(written.map(({ id, state }) => `${id} ${state}`)).toEqual(['j new', 'b new']);
  expect([...executor.runs.keys()]).toEqual(['j.1']);
  expect(store.writes).toBe(1);
  expect(changes.map(({ id, state }) => `${id} ${state}`)).toEqual(['j new', 'b new', 'j running']);
  expect(changes.map(({ seq }) => seq)).toEqual([1, 3, 4]);
});

it('leaves what was queued as it was when it cannot record what is new', async () => {
  engine.acceptAndStart([record({ id: 'first' }), record({ id: 'waits', order: 2 })]);
  executor.runs.get('first.1')!.events.ended({ kind: 'exit', code: 0, at: 1 });
  store.full = true;
  expect(() => engine.acceptAndStart([record({ id: 'late', order: 3 })])).toThrow('full');
  expect(engine.find('late')).toBeUndefined();
  expect(engine.counts()['p']).toMatchObject({ queued: 1, running: 0 });
  expect(changes.some((r) => r.id === 'first' && r.state === 'done')).toBe(false);
  store.full = false;
  await state('waits', 'running');
  expect([...executor.runs.keys()]).toEqual(['first.1', 'waits.1']);
  expect(changes.some((r) => r.id === 'first' && r.state === 'done')).toBe(true);
});

it('starts nothing it cannot record, and goes on when it can', async () => {
  engine.accept([record()]);
  store.full = true;
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  expect(executor.runs.size).toBe(0);
  store.full = false;
  await state('j', 'running');
  expect([...executor.runs.keys()]).toEqual(['j.1']);
});

it('keeps the result of a run until it can be recorded, and tells nobody before', async () => {
  engine.accept([record({ id: 'a' }), record({ id: 'b', order: 2 })]);
  await state('a', 'running');
  store.full = true;
  executor.runs.get('a.1')!.events.ended({ kind: 'exit', code: 0, at: 1 });
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  expect(changes.some((r) => r.state === 'done')).toBe(false);
  expect(executor.runs.size).toBe(1);
  store.full = false;
  await state('a', 'done');
  await state('b', 'running');
  expect(store.get('a')).toMatchObject({ state: 'done', rc: 0 });
});

it('shows an end to whoever asks when it is on disk, not before', async () => {
  engine.accept([record()]);
  await state('j', 'running');
  store.full = true;
  executor.runs.get('j.1')!.events.ended({ kind: 'exit', code: 0, at: 1 });
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  expect(engine.look('j')).toMatchObject({ state: 'running' });
  expect(engine.liveRecords().get('j')).toMatchObject({ state: 'running' });
  store.full = false;
  await state('j', 'done');
  expect(engine.look('j')).toEqual(store.get('j'));
});

it('ignores events of an earlier run', async () => {
  engine.accept([record({}, { retries: 1 })]);
  await state('j', 'running');
  const { events } = executor.runs.get('j.1')!;
  events.ended({ kind: 'exit', code: 1, at: 1 });
  events.ended({ kind: 'exit', code: 0, at: 1 });
  events.started(5, undefined);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  expect(engine.find('j')).toMatchObject({ state: 'new', fail_count: 1, start_count: 1 });
});

it('puts the jobs of a vanished pool aside until the pool is back', async () => {
  engine.setPools({});
  engine.accept([record()]);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  expect(engine.find('j')).toMatchObject({ state: 'new' });
  engine.setPools({ p: {} });
  await state('j', 'running');
});
