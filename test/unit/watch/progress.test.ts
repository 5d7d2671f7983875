import { describe, expect, it } from 'vitest';
import type { WatchDefinition } from '../../../src/config/schema.js';
import { identityOf, pythonMtime } from '../../../src/watch/identity.js';
import { nextStep, retryDelay, stepProgress, type StepProgress } from '../../../src/watch/progress.js';
import type { StepRecord } from '../../../src/watch/record.js';
import {
  fileOf,
  identityWith,
  lists,
  nothing,
  NOW,
  record,
  single,
  statWith,
  unitOf,
  watchWith,
  type Times,
} from '../../support/watch-fixtures.js';

const progress = (
  over: Partial<WatchDefinition>,
  known: StepRecord,
  file: { times?: Times; replaced?: boolean; step?: number } = {},
): StepProgress => {
  const watch = watchWith({ steps: [single(), single()], ...over });
  const { step = 0, ...rest } = file;
  return stepProgress(watch, unitOf(fileOf(watch, 'x', rest)), step, known, NOW);
};
const failed = (failedAttempts: number, secondsAgo: number): StepRecord => ({
  ...record('failed'),
  failedAttempts,
  failedAt: NOW - secondsAgo * 1000,
});

describe('a step', () => {
  it('without a record is due', () => {
    expect(progress({}, record())).toEqual({ kind: 'due', attempt: 1, reason: 'new' });
    expect(progress({}, record('mtime'))).toEqual({ kind: 'due', attempt: 1, reason: 'new' });
  });

  it('with a .done is processed, also beside an older .failed', () => {
    expect(progress({}, record('done'))).toEqual({ kind: 'processed', how: 'done' });
    expect(progress({}, { ...failed(1, 1e6), states: new Set(['failed', 'done']) })).toEqual({
      kind: 'processed',
      how: 'done',
    });
  });

  it('that was killed is never retried', () => {
    expect(progress({}, record('killed'))).toEqual({ kind: 'processed', how: 'killed' });
    expect(progress({}, { ...failed(1, 1e6), states: new Set(['failed', 'killed']) })).toEqual({
      kind: 'processed',
      how: 'killed',
    });
  });

  it('with nothing to do is processed', () => {
    expect(progress({ steps: [nothing] }, record())).toEqual({ kind: 'processed', how: 'nothing' });
    expect(progress({ steps: [lists(null)] }, record())).toMatchObject({ kind: 'due' });
  });
});

describe('retry', () => {
  it('waits for the delay, then is due with the next attempt', () => {
    expect(progress({}, failed(1, 29))).toEqual({ kind: 'retry-later', attempt: 2, at: NOW + 1000 });
    expect(progress({}, failed(1, 30))).toEqual({ kind: 'due', attempt: 2, reason: 'retry' });
    expect(progress({}, failed(3, 119))).toEqual({ kind: 'retry-later', attempt: 4, at: NOW + 1000 });
  });

  it('grows the delay and caps it', () => {
    const watch = { retryDelay: 30, retryMaxDelay: 100 };
    expect([1, 2, 3, 4, 5000].map((n) => retryDelay(watch, n))).toEqual([
      30_000, 60_000, 100_000, 100_000, 100_000,
    ]);
    expect(retryDelay({ retryDelay: 0, retryMaxDelay: 0 }, 3)).toBe(0);
  });

  it('goes on without limit by default', () => {
    expect(progress({}, failed(100_000, 3600))).toMatchObject({ kind: 'due', attempt: 100_001 });
  });

  it('ends after `retries` reruns', () => {
    expect(progress({ retries: 2 }, failed(2, 1e6))).toMatchObject({ kind: 'due', attempt: 3 });
    expect(progress({ retries: 2 }, failed(3, 1e6))).toEqual({ kind: 'processed', how: 'failed' });
  });

  it('false makes .failed final', () => {
    expect(progress({ retries: 0 }, failed(1, 1e6))).toEqual({ kind: 'processed', how: 'failed' });
  });

  it('takes a .failed of the original, which gives no attempts, as the first', () => {
    expect(progress({ retries: 1 }, { ...record('failed'), failedAt: 0 })).toMatchObject({ attempt: 2 });
    expect(progress({ retries: 0 }, record('failed'))).toMatchObject({ kind: 'processed' });
  });
});

describe('updated', () => {
  const done = (mtime: number): StepRecord => ({ ...record('done'), identity: identityWith({ mtime }) });
  const now = { times: { mtime: 2000 } };

  it('runs the first step again when the mtime differs, forward or back', () => {
    for (const before of [1000, 3000])
      expect(progress({ updated: true }, done(before), now)).toEqual({
        kind: 'due',
        attempt: 1,
        reason: 'updated',
      });
    expect(progress({ updated: true }, done(2000), now)).toMatchObject({ kind: 'processed' });
  });

  it('is off by default, and for later steps', () => {
    expect(progress({}, done(1000), now)).toMatchObject({ kind: 'processed' });
    expect(progress({ updated: true }, done(1000), { ...now, step: 1 })).toMatchObject({ kind: 'processed' });
  });

  it('goes by the .mtime marker of the original', () => {
    const ns = statWith(now.times).mtimeNs;
    const known = (mtime: string): StepRecord => ({ ...record('done', 'mtime'), mtime });
    expect(progress({ updated: true }, known(pythonMtime(ns)), now)).toMatchObject({ kind: 'processed' });
    expect(progress({ updated: true }, known('2.5'), now)).toMatchObject({ reason: 'updated' });
  });

  it('is not so for a file that has no result yet: it is new', () => {
    expect(progress({ updated: true }, { ...record('mtime'), mtime: '2.5' }, now)).toMatchObject({
      reason: 'new',
    });
  });

  it('is not so where nothing says what the mtime was: an upgrade reprocesses nothing', () => {
    expect(progress({ updated: true }, record('done'), now)).toMatchObject({ kind: 'processed' });
  });

  it('runs again what failed finally or was killed, because it is another content', () => {
    for (const state of ['failed', 'killed'] as const) {
      const known = { ...record(state), identity: identityWith({ mtime: 1000 }) };
      expect(progress({ updated: true, retries: 0 }, known, now)).toMatchObject({
        reason: 'updated',
        attempt: 1,
      });
    }
  });

  it('runs the set again when a member changed', () => {
    const watch = watchWith({ updated: true });
    const file = fileOf(watch, 'x');
    const unit = { ...unitOf(file), members: [[file], [fileOf(watch, 'y', { times: { mtime: 9 } })]] };
    const before = {
      ...record('done'),
      identity: identityOf(file.stat, [file.stat, statWith({ mtime: 8 })]),
    };
    expect(stepProgress(watch, unit, 0, before, NOW)).toMatchObject({ reason: 'updated' });
  });
});

describe('a replaced file', () => {
  const other = { times: { inode: 99, mtime: 5 } };
  it.each(['done', 'failed', 'killed'] as const)('starts anew after %s', (state) => {
    const known = { ...record(state), identity: identityWith(), failedAttempts: 7, failedAt: NOW };
    const again = { kind: 'due', attempt: 1, reason: 'replaced' };
    expect(progress({ retries: 0 }, known, other)).toEqual(again);
    expect(progress({}, record(state), { replaced: true })).toEqual(again);
  });

  it('is not one that was edited in place', () => {
    const known = { ...record('done'), identity: identityWith() };
    expect(progress({}, known, { times: { mtime: 5, size: 77 } })).toMatchObject({ kind: 'processed' });
  });

  it('keeps its records with cleanup off: markers are not deleted with their files then', () => {
    const known = { ...record('done'), identity: identityWith() };
    expect(progress({ cleanup: false }, known, { ...other, replaced: true })).toMatchObject({
      kind: 'processed',
    });
  });

  it('without a record is just new', () => {
    expect(progress({}, record(), { replaced: true })).toMatchObject({ reason: 'new' });
  });
});

describe('nextStep', () => {
  const next = (
    over: Partial<WatchDefinition>,
    index: number,
    known: Record<number, StepRecord> = {},
    times: Times = {},
  ) => {
    const watch = watchWith({ steps: [single('0'), single('1'), single('2')], ...over });
    const unit = unitOf(fileOf(watch, 'x', { times }), index);
    return nextStep(watch, unit, (step) => known[step] ?? record(), NOW);
  };
  const done = record('done');

  it('with run_all goes from 0 to the index, in sequence', () => {
    expect(next({}, 2)).toMatchObject({ kind: 'step', step: 0 });
    expect(next({}, 2, { 0: done })).toMatchObject({ step: 1 });
    expect(next({}, 2, { 0: done, 1: done })).toMatchObject({ step: 2 });
    expect(next({}, 9, { 0: done, 1: done, 2: done })).toEqual({ kind: 'finished', how: 'done' });
    expect(next({}, 0, { 0: done })).toEqual({ kind: 'finished', how: 'done' });
  });

  it('does not pass a step that waits for its retry', () => {
    expect(next({}, 2, { 0: failed(1, 0) })).toMatchObject({ step: 0, progress: { kind: 'retry-later' } });
  });

  it('passes steps with nothing to do, and killed and finally failed ones', () => {
    expect(next({ steps: [nothing, single()] }, 1)).toMatchObject({ step: 1 });
    expect(next({}, 1, { 0: record('killed') })).toMatchObject({ step: 1 });
    expect(next({ retries: 0 }, 1, { 0: record('failed') })).toMatchObject({ step: 1 });
  });

  it('without run_all runs only the step of the index', () => {
    expect(next({ runAll: false }, 2)).toMatchObject({ step: 2 });
    expect(next({ runAll: false }, 1, { 1: done })).toEqual({ kind: 'finished', how: 'done' });
    expect(next({ runAll: false }, 7)).toMatchObject({ step: 2 });
  });

  it('runs only the first step on an update, whatever the index', () => {
    const old = { ...record('done'), identity: identityWith({ mtime: 1 }) };
    for (const runAll of [true, false]) {
      const known = { 0: old, 1: old, 2: old };
      expect(next({ runAll, updated: true }, 2, known, { mtime: 2 })).toMatchObject({
        step: 0,
        progress: { reason: 'updated' },
      });
      expect(next({ runAll, updated: true }, 2, { ...known, 0: done }, { mtime: 2 })).toMatchObject({
        kind: 'finished',
      });
    }
    // without run_all an unprocessed first step is none of its business
    expect(next({ runAll: false, updated: true }, 2, { 2: done })).toMatchObject({ kind: 'finished' });
  });

  it('leaves alone what is beyond max_index; 0 is a limit', () => {
    expect(next({ maxIndex: 0 }, 0)).toMatchObject({ step: 0 });
    expect(next({ maxIndex: 0 }, 1)).toEqual({ kind: 'beyond', rule: 'max_index' });
    expect(next({ maxIndex: 3 }, 3)).toMatchObject({ step: 0 });
    expect(next({ maxIndex: 3 }, 4)).toEqual({ kind: 'beyond', rule: 'max_index' });
  });

  it('submits nothing beyond max_index, not on an update either', () => {
    const old = { ...record('done'), identity: identityWith({ mtime: 1 }) };
    expect(next({ updated: true, maxIndex: 0 }, 0, { 0: old }, { mtime: 2 })).toMatchObject({ step: 0 });
    expect(next({ updated: true, maxIndex: 0 }, 1, { 0: old }, { mtime: 2 })).toEqual({
      kind: 'beyond',
      rule: 'max_index',
    });
  });

  it('remembers how it ended though a later entry is empty', () => {
    expect(next({ steps: [single(), nothing] }, 1, { 0: done })).toEqual({ kind: 'finished', how: 'done' });
    expect(next({ steps: [nothing] }, 0)).toEqual({ kind: 'finished', how: 'nothing' });
  });

  it('asks for no more records than can count: each may have to be read', () => {
    const asked = (over: Partial<WatchDefinition>, index: number): number[] => {
      const watch = watchWith({ steps: [single(), single(), single()], ...over });
      const steps: number[] = [];
      nextStep(watch, unitOf(fileOf(watch, 'x'), index), (step) => (steps.push(step), done), NOW);
      return steps;
    };
    expect(asked({}, 2)).toEqual([0, 1, 2]);
    expect(asked({ runAll: false }, 2)).toEqual([2]);
    expect(asked({ runAll: false, updated: true }, 2)).toEqual([0, 2]);
    expect(asked({ runAll: false, updated: true }, 0)).toEqual([0]);
  });

  it('leaves the skipped alone', () => {
    expect(next({ skip: 1 }, 0)).toEqual({ kind: 'beyond', rule: 'skip' });
    expect(next({ skip: 1 }, 1)).toMatchObject({ step: 0 });
  });
});
