import { ownUser } from './identity.js';
import { streamPath } from '../agent/view.js';
import { tail } from '../agent/spool.js';
import type { Spool } from '../agent/spool.js';
import type { JobRecord, Pools } from '../agent/types.js';
import { isFinished } from '../protocol/job.js';
import type { JobSpec, JobState } from '../protocol/job.js';

/** A job as an answer has it. */
export type WireJob = Record<string, unknown>;

/** The key of jobs that were submitted without one. */
export const NO_KEY = '~';
/** The wire key that tells a job whose id was made here: the original's answers do not repeat it in the job. */
export const ANONYMOUS = '~anonymous';

/** The wire key with the time a client's cache has for the submit of a job that came by `sync`. */
export const SUBMITTED = '~submitted';

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

/** true while a pool works on it, or has claimed it: a job that is held, or was, has been. */
export function isActive(record: JobRecord, { pools, waitInPool }: ViewContext): boolean {
  if (record.state === 'running') return true;
  if (record.state !== 'new' || !Object.hasOwn(pools, record.spec.pool)) return false;
  return waitInPool || record.spec.hold !== undefined;
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
    start_count: Math.max(record.start_count - (record.reason === 'start' ? 1 : 0), 0),
    fail_count: record.fail_count,
  };
  addSpec(job, record, options.protocol);
  job['ts'] = record.ts;
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
  const job: WireJob = {
    submit_ts: record.submit_ts,
    node,
    submit_node: node,
    state: 'new',
    start_count: 0,
    fail_count: 0,
  };
  addSpec(job, record, options.protocol);
  return job;
}

/** What the submitter said; it is the larger part of most answers, so it is put together without copies. */
function addSpec(job: WireJob, { id, key, spec, wire }: JobRecord, protocol: 1 | 2): void {
  if (protocol === 2 || wire?.[ANONYMOUS] !== true) job['id'] = id;
  if (protocol === 2 && key !== NO_KEY) job['key'] = key;
  for (const name in spec) if (!hidden.has(name)) job[name] = spec[name as keyof JobSpec];
  job['uid'] = ownUser();
  job['tags'] = spec.tags ?? [null];
  for (const name in wire) if (name !== ANONYMOUS && name !== SUBMITTED) put(job, name, wire[name]);
}

/** Of a spec, what is told elsewhere, or not at all. */
const hidden = new Set(['id', 'node', 'env']);

/** As a spread does it: what somebody wrote may have any name. */
function put(job: WireJob, name: string, value: unknown): void {
  if (name === '__proto__')
    Object.defineProperty(job, name, { value, enumerable: true, writable: true, configurable: true });
  else job[name] = value;
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
  // a client of the original merges this into what it has of the last run
  if (protocol === 1 && isFinished(record.state))
    for (const name of ['error', 'signal'] as const) job[name] ??= null;
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
