import { constants } from 'node:os';
import type { RunEnd } from '../executors/executor.js';
import type { JobReason } from '../protocol/job.js';
import type { JobRecord } from './types.js';

/** A run shorter than this is a hint that the next one will be, too. */
const QUICK_SECONDS = 1;
const LONGEST_DELAY = 60;

/** 1 s, doubled each time, at most 60 s. */
export const delaySeconds = (times: number): number => Math.min(2 ** Math.max(times - 1, 0), LONGEST_DELAY);

export function started(record: JobRecord, now: number, epoch: string): JobRecord {
  return {
    ...withoutResult(record),
    state: 'running',
    run: record.run + 1,
    epoch,
    start_count: record.start_count + 1,
    start_ts: now,
    not_before: undefined,
    wish: undefined,
  };
}

/** A job's next state, given how its run ended. Pure. @param now seconds */
export function ended(record: JobRecord, end: RunEnd, now: number): JobRecord {
  if (record.state !== 'running') return record;
  if (end.kind === 'never') return neverRan(record, now);
  const result = describe(record, end);
  const over: JobRecord = {
    ...record,
    pid: undefined,
    wish: undefined,
    end_ts: Math.max(end.at, record.start_ts ?? end.at),
    rc: result.rc,
    signal: result.signal,
    reason: result.reason,
    error: result.error,
  };
  if (record.wish === 'kill') return { ...over, state: 'killed' };
  const quick = end.at - (record.start_ts ?? end.at) < QUICK_SECONDS ? record.quick + 1 : 0;
  return result.success ? succeeded(over, quick, now) : failed(over, quick, now);
}

function neverRan(record: JobRecord, now: number): JobRecord {
  const back = { ...withoutResult(record), state: 'new' as const, start_count: record.start_count - 1 };
  return record.wish === 'kill'
    ? killedBeforeStart(back, now)
    : { ...back, start_ts: undefined, wish: undefined };
}

/** Kill of a job that waits in the queue. */
export const killedBeforeStart = (record: JobRecord, now: number): JobRecord => ({
  ...record,
  state: 'killed',
  reason: 'kill',
  error: 'killed before it started',
  end_ts: now,
  wish: undefined,
  not_before: undefined,
});

function succeeded(over: JobRecord, quick: number, now: number): JobRecord {
  const done: JobRecord = { ...over, state: 'done', failures: 0, quick };
  const again = over.spec.restart === true || over.spec.resubmit === true;
  return again ? waiting(done, now, quick === 0 ? 0 : delaySeconds(quick)) : done;
}

function failed(over: JobRecord, quick: number, now: number): JobRecord {
  const failures = over.failures + 1;
  const record: JobRecord = { ...over, state: 'failed', fail_count: over.fail_count + 1, failures, quick };
  const left = (over.spec.retries ?? 0) - failures;
  if (left < 0 && over.spec.resubmit !== true) return record;
  return waiting(record, now, delaySeconds(left < 0 ? Math.max(quick, 1) : failures));
}

/** Back into the queue. `error` keeps telling what happened last. */
const waiting = (record: JobRecord, now: number, delay: number): JobRecord => ({
  ...withoutResult(record),
  state: 'new',
  error: record.error,
  not_before: delay > 0 ? now + delay : undefined,
});

const withoutResult = (record: JobRecord): JobRecord => ({
  ...record,
  pid: undefined,
  end_ts: undefined,
  rc: undefined,
  signal: undefined,
  reason: undefined,
  error: undefined,
});

interface Described {
  readonly success: boolean;
  readonly rc?: number;
  readonly signal?: string;
  readonly reason: JobReason;
  readonly error?: string;
}

function describe(record: JobRecord, end: Exclude<RunEnd, { kind: 'never' }>): Described {
  const own = describeEnd(end);
  if (record.wish === undefined) return own;
  const error =
    record.wish === 'kill' ? 'killed on request' : 'ran longer than its runtime allows, and was killed';
  return { ...own, success: false, reason: record.wish, error };
}

function describeEnd(end: Exclude<RunEnd, { kind: 'never' }>): Described {
  if (end.kind === 'exit') {
    const success = end.code === 0;
    return {
      success,
      rc: end.code,
      reason: 'exit',
      ...(success ? {} : { error: `exited with code ${end.code}` }),
    };
  }
  if (end.kind === 'signal') {
    const signal = signalName(end.signal);
    return { success: false, rc: -end.signal, signal, reason: 'signal', error: `killed by ${signal}` };
  }
  return { success: false, reason: end.kind, error: end.error };
}

const names = new Map(
  Object.entries(constants.signals)
    .reverse() // of aliases the first name wins: SIGABRT, not SIGIOT
    .map(([name, number]) => [number, name]),
);

export const signalName = (signal: number): string => names.get(signal) ?? `signal ${signal}`;

/** A finished job from the start again, as somebody asked. Its counts go on, its tries are all there again. */
export const restarted = (record: JobRecord, order: number): JobRecord => ({
  ...withoutResult(record),
  state: 'new',
  order,
  failures: 0,
  quick: 0,
  not_before: undefined,
  wish: undefined,
});
