import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Heap } from '../../../src/agent/heap.js';
import { Scheduler, before, capacity } from '../../../src/agent/schedule.js';
import type { QueuedJob } from '../../../src/agent/schedule.js';
import type { Pools } from '../../../src/agent/types.js';

const job = (id: string, changes: Partial<QueuedJob> = {}): QueuedJob => ({
  id,
  pool: 'p',
  priority: 0,
  order: Number(id.replace(/\D/g, '')),
  hold: false,
  notBefore: 0,
  ...changes,
});

describe('capacity', () => {
  it('follows slots, drain and hold', () => {
    const pools = [
      {},
      { slots: 3 },
      { slots: 0 },
      { slots: -1 },
      { slots: 3, drain: true },
      { slots: 3, hold: true },
      undefined,
      { slots: 3, drain: 1 as const },
      { slots: 3, hold: 1 as const },
      { slots: 3, drain: 0 as const, hold: 0 as const },
    ];
    expect(pools.map((pool) => capacity(pool, 2))).toEqual([2, 3, Infinity, 0, 0, 0, 0, 0, 0, 3]);
  });
});

describe('Scheduler', () => {
  it('waits for delayed jobs and tells when the next is due', () => {
    const scheduler = new Scheduler({ p: { slots: 0 } }, 1);
    scheduler.add(job('1', { notBefore: 10 }));
    scheduler.add(job('2', { notBefore: 5 }));
    expect([scheduler.take(4, 9), scheduler.nextDue()]).toEqual([[], 5]);
    expect([scheduler.take(5, 9), scheduler.nextDue()]).toEqual([['2'], 10]);
    scheduler.remove('1');
    expect(scheduler.nextDue()).toBeUndefined();
  });

  it('follows new pool settings', () => {
    const scheduler = new Scheduler({ p: { hold: true } }, 1);
    for (const id of ['1', '2', '3']) scheduler.add(job(id));
    expect(scheduler.take(0, 9)).toEqual([]);
    scheduler.setPools({ p: { slots: 2 }, q: {} });
    expect(scheduler.take(0, 9)).toEqual(['1', '2']);
    expect(scheduler.counts()).toEqual({
      p: { queued: 1, running: 2, slots: 2 },
      q: { queued: 0, running: 0, slots: 1 },
    });
  });

  it('counts what is there: nothing twice, nothing that is gone, and no pool that nobody needs', () => {
    const scheduler = new Scheduler({ p: { slots: 0 } }, 1);
    const nothing = { p: { queued: 0, running: 0, slots: undefined } };
    scheduler.add(job('1', { pool: 'gone' }));
    expect(scheduler.counts()).toEqual({ ...nothing, gone: { queued: 1, running: 0, slots: 0 } });
    scheduler.remove('1');
    scheduler.ended('unknown');
    expect(scheduler.counts()).toEqual(nothing);
    scheduler.add(job('1', { pool: 'gone', notBefore: 5 }));
    scheduler.remove('1');
    scheduler.take(9, 9);
    expect(scheduler.counts()).toEqual(nothing);
    scheduler.started('2', 'p');
    scheduler.started('2', 'p');
    expect(scheduler.counts()).toEqual({ p: { queued: 0, running: 1, slots: undefined } });
    scheduler.ended('2');
    scheduler.ended('2');
    expect(scheduler.counts()).toEqual(nothing);
  });

  it('has no time for a job that may start at once', () => {
    const scheduler = new Scheduler({}, 1);
    scheduler.add(job('1'));
    expect(scheduler.nextDue()).toBeUndefined();
  });

  it('gives a turn back when the job that had it is gone', () => {
    const scheduler = new Scheduler({ p: { slots: 0 } }, 1);
    for (const id of ['1', '2', '3']) scheduler.add(job(id, { submitter: 'a' }));
    for (const id of ['4', '5']) scheduler.add(job(id, { submitter: 'b' }));
    scheduler.remove('1');
    expect(scheduler.take(0, 9)).toEqual(['2', '4', '3', '5']);
  });

  it('agrees with the plain rule, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(anAction, { maxLength: 60, size: 'max' }), (actions) => compare(actions)),
      { numRuns: 300 },
    );
  });
});

const POOLS: Pools = { p: { slots: 2 }, q: { slots: 1 }, r: { slots: 0 }, h: { hold: true } };
const aJob = fc.record({
  id: fc.integer({ min: 1, max: 12 }).map(String),
  pool: fc.constantFrom('p', 'q', 'r', 'h', 'gone'),
  priority: fc.integer({ min: -1, max: 1 }),
  hold: fc.boolean(),
  notBefore: fc.constantFrom(0, 0, 3, 7),
});
const anId = fc.integer({ min: 1, max: 12 }).map(String);
const anAction: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ do: fc.constant('add' as const), job: aJob }),
  fc.record({ do: fc.constant('remove' as const), id: anId }),
  fc.record({ do: fc.constant('ended' as const), id: anId }),
  fc.record({ do: fc.constant('take' as const), now: fc.nat(9), most: fc.integer({ min: 0, max: 5 }) }),
);
type Action =
  | { do: 'add'; job: Omit<QueuedJob, 'order'> }
  | { do: 'remove'; id: string }
  | { do: 'ended'; id: string }
  | { do: 'take'; now: number; most: number };

/** The scheduler beside lists that are searched through every time. */
function compare(actions: readonly Action[]): void {
  const scheduler = new Scheduler(POOLS, 1);
  const queued = new Map<string, QueuedJob>();
  const running = new Map<string, string>();
  let order = 0;
  let clock = 0;
  for (const action of actions) {
    if (action.do === 'add') {
      if (running.has(action.job.id)) continue;
      const added = { ...action.job, order: ++order };
      scheduler.add(added);
      queued.set(added.id, added);
    } else if (action.do === 'remove') {
      scheduler.remove(action.id);
      queued.delete(action.id);
    } else if (action.do === 'ended') {
      scheduler.ended(action.id);
      running.delete(action.id);
    } else {
      clock += action.now;
      const starts = scheduler.take(clock, action.most);
      checkStarts(starts, action.most, clock, queued, running);
    }
    expect(scheduler.runningCount).toBe(running.size);
  }
}

function checkStarts(
  starts: readonly string[],
  most: number,
  now: number,
  queued: Map<string, QueuedJob>,
  running: Map<string, string>,
): void {
  expect(starts.length).toBeLessThanOrEqual(most);
  const may = (j: QueuedJob): boolean =>
    !j.hold &&
    j.notBefore <= now &&
    [...running.values()].filter((pool) => pool === j.pool).length < capacity(POOLS[j.pool], 1);
  for (const id of starts) {
    const chosen = queued.get(id)!;
    expect(may(chosen)).toBe(true);
    const better = [...queued.values()].filter((j) => j.pool === chosen.pool && may(j) && before(j, chosen));
    expect(better).toEqual([]);
    queued.delete(id);
    running.set(id, chosen.pool);
  }
  if (starts.length < most) expect([...queued.values()].filter(may)).toEqual([]);
}

describe('Heap', () => {
  it('sorts', () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), (numbers) => {
        const heap = new Heap<number>((a, b) => a < b);
        for (const n of numbers) heap.push(n);
        const out: number[] = [];
        for (let n = heap.pop(); n !== undefined; n = heap.pop()) out.push(n);
        expect(out).toEqual(numbers.toSorted((a, b) => a - b));
      }),
    );
  });
});
