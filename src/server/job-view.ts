import { streamPath } from '../agent/view.js';
import { tail } from '../agent/spool.js';
import type { Spool } from '../agent/spool.js';
import type { JobRecord, Pools } from '../agent/types.js';
import { isFinished } from '../protocol/job.js';
import type { JobState } from '../protocol/job.js';

/** A job as an answer has it. */
export type WireJob = Record<string, unknown>;

/** The key of jobs that were submitted without one. */
export const NO_KEY = '~';
/** The wire key that tells a job whose id was made here: the original's answers do not repeat it in the job. */
export const ANONYMOUS = '~anonymous';

/** What a view depends on beside the record. */
export interface ViewContext {
  readonly node: string;
  readonly pools: Pools;
  readonly waitInPool: boolean;
  readonly spool: Spool;
}

export interface ViewOptions {
  /** 1: as the original shows it; 2: with everything */
  readonly protocol: 1 | 2;
  /** with the captured output */
  readonly output: boolean;
  readonly env?: JobRecord['spec']['env'];
}

/** killed is documented as the answer to a kill, while `active` tells that the job is still ending. */
export const wireState = (record: JobRecord): JobState =>
  record.state === 'running' && record.wish === 'kill' ? 'killed' : record.state;

/** The node a job is at: the one asked for, or this one. */
export const wireNode = (record: JobRecord, own: string): string => record.spec.node ?? own;

/** true while a pool works on it, or has claimed it. */
export function isActive(record: JobRecord, { pools, waitInPool }: ViewContext): boolean {
  if (record.state === 'running') return true;
  if (record.state !== 'new' || !Object.hasOwn(pools, record.spec.pool)) return false;
  return waitInPool || record.spec.hold === true;
}

/** The job of an answer (seeds, "JSON request format"). Never with its environment, unless `options` brings it. */
export function jobView(record: JobRecord, context: ViewContext, options: ViewOptions): WireJob {
  const node = wireNode(record, context.node);
  const job: WireJob = {
    seq: record.seq,
    submit_ts: record.submit_ts,
    node,
    submit_node: node,
    state: wireState(record),
    // a job that could not be started has not started
    start_count: record.start_count - (record.reason === 'start' ? 1 : 0),
    fail_count: record.fail_count,
    ...specView(record, options),
    ts: record.ts,
  };
  const active = options.protocol === 2 ? record.state === 'running' : isActive(record, context);
  if (active || record.run > 0 || record.state !== 'new' || options.protocol === 2) job['active'] = active;
  addRun(job, record, options);
  addStreams(job, record, context.spool, options);
  if (options.env !== undefined) job['env'] = options.env;
  return job;
}

/** The answer to the submit of a job that did not exist: not routed yet, as in the original. */
export function freshView(record: JobRecord, options: ViewOptions): WireJob {
  const { node = false } = record.spec;
  return {
    submit_ts: record.submit_ts,
    node,
    submit_node: node,
    state: 'new',
    start_count: 0,
    fail_count: 0,
    ...specView(record, options),
  };
}

function specView(record: JobRecord, { protocol }: ViewOptions): WireJob {
  const { env: _private, node: _node, id: _id, ...spec } = record.spec;
  const { [ANONYMOUS]: anonymous, ...written } = record.wire ?? {};
  const id = anonymous === true && protocol === 1 ? {} : { id: record.id };
  const key = protocol === 2 && record.key !== NO_KEY ? { key: record.key } : {};
  return { ...id, ...key, ...spec, tags: spec.tags ?? [null], ...written };
}

function addRun(job: WireJob, record: JobRecord, { protocol }: ViewOptions): void {
  const didStart = record.reason !== 'start';
  if (record.start_ts !== undefined && didStart) job['start_ts'] = record.start_ts;
  if (record.pid !== undefined) job['pid'] = record.pid;
  else if (isFinished(record.state) && record.run > 0 && didStart) job['pid'] = null;
  for (const name of ['end_ts', 'rc', 'signal', 'reason'] as const)
    if (record[name] !== undefined) job[name] = record[name];
  // documented: "error details if job did not spawn or exit"
  const isOddEnd = record.reason === undefined || record.reason === 'start' || record.reason === 'lost';
  if (record.error !== undefined && (protocol === 2 || isOddEnd)) job['error'] = record.error;
}

function addStreams(job: WireJob, record: JobRecord, spool: Spool, { output, protocol }: ViewOptions): void {
  if (record.run === 0) return;
  for (const stream of ['stdout', 'stderr'] as const) {
    const named = record.spec[stream];
    const path = streamPath(record, spool, stream);
    job[`${stream}_path`] = path;
    if (!output || named !== undefined || !isFinished(record.state)) continue;
    const data = tail(path);
    if (data !== '' || protocol === 2) job[`${stream}_data`] = data;
  }
}
