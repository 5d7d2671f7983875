import { resolve } from 'node:path';
import { isFinished } from '../protocol/job.js';
import type { Job, JobSpec } from '../protocol/job.js';
import { tail } from './spool.js';
import type { Spool } from './spool.js';
import type { JobRecord } from './types.js';

/** The job as the protocol shows it: without its environment, with its output when `output` asks for it. */
export function view(record: JobRecord, node: string, spool: Spool, output: boolean): Job {
  const spec = withoutEnv(record.spec);
  const job: Mutable<Job> = {
    ...spec,
    id: record.id,
    key: record.key,
    node,
    state: record.state,
    active: record.state === 'running',
    seq: record.seq,
    ts: record.ts,
    submit_ts: record.submit_ts,
    start_count: record.start_count,
    fail_count: record.fail_count,
  };
  for (const name of OPTIONAL) if (record[name] !== undefined) job[name] = record[name] as never;
  if (record.run > 0) addStreams(job, record, spool, output && isFinished(record.state));
  return job;
}

const OPTIONAL = ['rc', 'signal', 'reason', 'error', 'pid', 'start_ts', 'end_ts'] as const;

/** What is in the store has none: then there is nothing to take out. */
function withoutEnv(spec: JobSpec): JobSpec {
  if (!('env' in spec)) return spec;
  const { env: _private, ...rest } = spec;
  return rest;
}

/** Where the whole stream of a job's last run is: the file its spec named, or the spool file. */
export function streamPath(record: JobRecord, spool: Spool, stream: 'stdout' | 'stderr'): string {
  const named = record.spec[stream];
  return named === undefined
    ? spool.file(record.id, record.run, stream)
    : resolve(workingDirectory(record), named);
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function addStreams(job: Mutable<Job>, record: JobRecord, spool: Spool, output: boolean): void {
  for (const stream of ['stdout', 'stderr'] as const) {
    const named = record.spec[stream];
    const path = streamPath(record, spool, stream);
    job[`${stream}_path`] = path;
    if (output && named === undefined) job[`${stream}_data`] = tail(path);
  }
}

/** Where a job runs: its cwd, or the one of the agent. */
export const workingDirectory = (record: JobRecord): string => record.spec.cwd ?? process.cwd();
