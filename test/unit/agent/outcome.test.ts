import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { delaySeconds, ended, killedBeforeStart, signalName, started } from '../../../src/agent/outcome.js';
import type { JobRecord } from '../../../src/agent/types.js';
import type { RunEnd } from '../../../src/executors/executor.js';
import { isFinished } from '../../../src/protocol/job.js';
import type { JobSpec } from '../../../src/protocol/job.js';
import { record } from './records.js';

const running = (spec: Partial<JobSpec> = {}, changes: Partial<JobRecord> = {}): JobRecord =>
  started(record(changes, spec), 100, 'e');
const exit = (code: number, at = 110): RunEnd => ({ kind: 'exit', code, at });

describe('the end of a run', () => {
  it('is done after exit code 0', () => {
    expect(ended(running(), exit(0), 110)).toMatchObject({
      state: 'done',
      rc: 0,
      reason: 'exit',
      end_ts: 110,
      fail_count: 0,
    });
  });

  it('is failed after another exit code, a signal, no start, or no known status', () => {
    expect(ended(running(), exit(3), 110)).toMatchObject({
      state: 'failed',
      rc: 3,
      error: 'exited with code 3',
    });
    expect(ended(running(), { kind: 'signal', signal: 9, at: 110 }, 110)).toMatchObject({
      state: 'failed',
      rc: -9,
      signal: 'SIGKILL',
    });
    expect(ended(running(), { kind: 'start', error: 'no x', at: 110 }, 110)).toMatchObject({
      state: 'failed',
      reason: 'start',
      error: 'no x',
    });
    expect(ended(running(), { kind: 'lost', error: 'gone', at: 110 }, 110)).toMatchObject({
      state: 'failed',
      reason: 'lost',
    });
  });

  it('is killed when that was asked for, whatever the exit code, and never starts again', () => {
    const wish = { ...running({ restart: true, resubmit: true, retries: 5 }), wish: 'kill' as const };
    expect(ended(wish, exit(0), 110)).toMatchObject({
      state: 'killed',
      rc: 0,
      reason: 'kill',
      fail_count: 0,
    });
  });

  it('is a failure after an overrun, even with exit code 0', () => {
    const wish = { ...running(), wish: 'timeout' as const };
    expect(ended(wish, exit(0), 110)).toMatchObject({ state: 'failed', reason: 'timeout', fail_count: 1 });
  });

  it('leaves a job that never ran as it was before its start', () => {
    const before = record();
    const after = ended(started(before, 100, 'e'), { kind: 'never' }, 110);
    expect(after).toMatchObject({ state: 'new', start_count: 0, fail_count: 0, run: 1 });
    expect(ended({ ...started(before, 100, 'e'), wish: 'kill' }, { kind: 'never' }, 110).state).toBe(
      'killed',
    );
  });

  it('waits longer after each failure', () => {
    const delays = [0, 1, 2, 3].map((failures) => {
      const next = ended(running({ retries: 9 }, { failures }), exit(1), 110);
      expect(next).toMatchObject({ state: 'new', error: 'exited with code 1' });
      return next.not_before! - 110;
    });
    expect(delays).toEqual([1, 2, 4, 8]);
    expect(delaySeconds(1000)).toBe(60);
  });

  it('restarts at once what ran for a while, and slower and slower what does not', () => {
    expect(ended(running({ restart: true }), exit(0), 110)).toMatchObject({
      state: 'new',
      not_before: undefined,
    });
    expect(ended(running({ restart: true }, { quick: 3 }), exit(0, 100.1), 100.1)).toMatchObject({
      quick: 4,
      not_before: 108.1,
    });
  });

  it('runs a job again that is resubmitted after any end, and slower the quicker it ends', () => {
    const again = (code: number, changes: Partial<JobRecord>, at = 110) =>
      ended(running({ resubmit: true }, changes), exit(code, at), at);
    expect(again(0, {})).toMatchObject({ state: 'new', not_before: undefined });
    // a failure always waits, by how often it died at once, not by how often it failed
    expect(again(1, { failures: 7 })).toMatchObject({ state: 'new', not_before: 111 });
    expect(again(1, { failures: 7, quick: 2 }, 100.5)).toMatchObject({ quick: 3, not_before: 104.5 });
  });

  it('counts a second as long enough', () => {
    expect(ended(running({ restart: true }, { quick: 3 }), exit(0, 101), 101)).toMatchObject({
      quick: 0,
      not_before: undefined,
    });
  });

  it('waits as long before the last try as its number of failures says', () => {
    const next = ended(running({ retries: 3 }, { failures: 2 }), exit(1), 110);
    expect(next).toMatchObject({ state: 'new', failures: 3, not_before: 114 });
    expect(ended({ ...next, state: 'running' }, exit(1), 120)).toMatchObject({
      state: 'failed',
      failures: 4,
    });
  });

  it('never ends before it started, though the clock was set back', () => {
    expect(ended(running(), exit(0, 50), 50)).toMatchObject({ start_ts: 100, end_ts: 100 });
    expect(ended({ ...running(), start_ts: undefined }, exit(0, 50), 50)).toMatchObject({ end_ts: 50 });
  });

  it('says why it was ended', () => {
    const after = (wish: 'kill' | 'timeout') =>
      ended({ ...running(), wish }, { kind: 'signal', signal: 15, at: 110 }, 110);
    expect(after('kill')).toMatchObject({ reason: 'kill', signal: 'SIGTERM', error: 'killed on request' });
    expect(after('timeout')).toMatchObject({
      reason: 'timeout',
      error: 'ran longer than its runtime allows, and was killed',
    });
    expect(ended(running(), { kind: 'signal', signal: 11, at: 110 }, 110)).toMatchObject({
      reason: 'signal',
      error: 'killed by SIGSEGV',
    });
    expect(killedBeforeStart(record(), 5)).toMatchObject({
      state: 'killed',
      reason: 'kill',
      error: 'killed before it started',
      end_ts: 5,
    });
  });

  it('does nothing to a job that does not run', () => {
    const killed = killedBeforeStart(record(), 5);
    expect(ended(killed, exit(0), 6)).toBe(killed);
  });

  it('names signals', () => {
    expect([signalName(6), signalName(9), signalName(40)]).toEqual(['SIGABRT', 'SIGKILL', 'signal 40']);
  });
});

const anEnd = fc.oneof(
  fc.record({ kind: fc.constant('exit' as const), code: fc.nat(255), at: fc.nat(1000) }),
  fc.record({
    kind: fc.constant('signal' as const),
    signal: fc.integer({ min: 1, max: 64 }),
    at: fc.nat(1000),
  }),
  fc.record({
    kind: fc.constantFrom('start' as const, 'lost' as const),
    error: fc.string(),
    at: fc.nat(1000),
  }),
  fc.record({ kind: fc.constant('never' as const) }),
);
const aSpec = fc.record(
  { restart: fc.boolean(), resubmit: fc.boolean(), retries: fc.nat(4) },
  { requiredKeys: [] },
) as fc.Arbitrary<Partial<JobSpec>>;

describe('any sequence of runs', () => {
  it('keeps the books', () => {
    fc.assert(
      fc.property(
        aSpec,
        fc.array(
          fc.tuple(anEnd, fc.constantFrom(undefined, undefined, 'kill' as const, 'timeout' as const)),
          { maxLength: 12 },
        ),
        (spec, ends) => {
          let job = record({}, spec);
          let now = 100;
          for (const [end, wish] of ends) {
            if (isFinished(job.state)) break;
            const before = job;
            job = started(job, now, 'e');
            now += 2;
            job = ended({ ...job, wish }, end, now);
            expect(job.state).not.toBe('running');
            expect(job.start_count - before.start_count).toBe(end.kind === 'never' ? 0 : 1);
            expect(job.fail_count).toBeLessThanOrEqual(job.start_count);
            expect(job.run).toBe(before.run + 1);
            expect(job.wish).toBeUndefined();
            if (wish === 'kill') expect(job.state).toBe('killed');
            if (job.state === 'new')
              expect([job.rc, job.end_ts, job.pid]).toEqual([undefined, undefined, undefined]);
            if (job.state === 'failed') expect(job.failures).toBe((spec.retries ?? 0) + 1);
            if (isFinished(job.state)) expect(job.reason).toBeDefined();
            if (isFinished(job.state) && spec.resubmit === true) expect(job.state).toBe('killed');
          }
        },
      ),
    );
  });
});
