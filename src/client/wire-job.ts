import type { Job, JobReason } from '../protocol/job.js';
import { isFinished, isJobState } from '../protocol/states.js';

/** A job as an agent sent it: the documented attributes, and whatever else its version has. */
export type WireJob = Readonly<Record<string, unknown>>;

export const isWireJob = (value: unknown): value is WireJob =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Prefix of the tag that carries the idempotency key to an agent that has no place for it. */
export const KEY_TAG = 'key:';

/**
 * A job of any version as the protocol has it. What the original leaves out is filled in: the reason from state and
 * exit code, and an end only when the pool has let go of the job (its `killed` comes before the end of the process).
 */
export function toJob(id: string, wire: WireJob): Job {
  const tags = texts(wire['tags']);
  const key = text(wire['key']) ?? tags.find((tag) => tag.startsWith(KEY_TAG))?.slice(KEY_TAG.length) ?? '';
  const submitted = number(wire['submit_ts']) ?? 0;
  const shown = tags.filter((tag) => !tag.startsWith(KEY_TAG));
  const job = {
    ...optional(wire),
    id,
    key,
    pool: text(wire['pool']) ?? '',
    args: texts(wire['args']),
    node: text(wire['node']) ?? '',
    state: stateOf(wire),
    active: wire['active'] === true,
    seq: number(wire['seq']) ?? 0,
    ts: number(wire['ts']) ?? submitted,
    submit_ts: submitted,
    start_count: number(wire['start_count']) ?? 0,
    fail_count: number(wire['fail_count']) ?? 0,
    ...(shown.length === 0 ? {} : { tags: shown }),
  };
  if (!isFinished(job.state) || job.reason !== undefined) return job;
  return startsAgain(job) ? { ...job, state: 'new' } : { ...silent(job), ...job, ...endOf(job) };
}

/** The original shows a job that it will start again as ended in between. */
const startsAgain = ({ state, retries = 0, fail_count, restart }: Job): boolean =>
  (state === 'failed' && retries > 0 && fail_count <= retries) || (state === 'done' && restart === true);

/** The original leaves out what was not written. */
function silent({ rc, stdout, stderr }: Job): Partial<Job> {
  if (rc === undefined) return {};
  return {
    ...(stdout === undefined && { stdout_data: '' }),
    ...(stderr === undefined && { stderr_data: '' }),
  };
}

function stateOf(wire: WireJob): Job['state'] {
  const { state } = wire;
  if (!isJobState(state)) return 'new';
  return isFinished(state) && wire['active'] === true ? 'running' : state;
}

const textKeys = ['cwd', 'stdin', 'stdout', 'stderr', 'signal', 'error'] as const;
const pathKeys = ['stdout_path', 'stderr_path'] as const;
/** Also empty: then nothing was written. */
const outputKeys = ['stdout_data', 'stderr_data'] as const;
const numberKeys = [
  'rc',
  'pid',
  'start_ts',
  'end_ts',
  'runtime',
  'retries',
  'priority',
  'kill_grace',
] as const;
const flagKeys = ['hold', 'restart', 'resubmit'] as const;
const reasons: ReadonlySet<unknown> = new Set<JobReason>([
  'exit',
  'signal',
  'timeout',
  'kill',
  'start',
  'lost',
]);

/** The attributes a job need not have. The original says null, false or 1 where it means absent or true. */
function optional(wire: WireJob): Partial<Job> {
  const found: Record<string, unknown> = {};
  for (const key of [...textKeys, ...pathKeys]) put(found, key, text(wire[key]));
  for (const key of outputKeys) if (typeof wire[key] === 'string') found[key] = wire[key];
  for (const key of numberKeys) put(found, key, number(wire[key]));
  for (const key of flagKeys) if (wire[key] === true || wire[key] === 1) found[key] = true;
  if (reasons.has(wire['reason'])) found['reason'] = wire['reason'];
  return found;
}

function put(found: Record<string, unknown>, key: string, value: unknown): void {
  if (value !== undefined) found[key] = value;
}

/** The original's account of an end, in ours. */
function endOf(job: Job): Pick<Job, 'reason' | 'error'> {
  const reason = reasonOf(job);
  if (job.state === 'done' || job.error !== undefined) return { reason };
  const rc =
    job.rc === undefined ? '' : job.rc < 0 ? `killed by signal ${-job.rc}` : `exited with code ${job.rc}`;
  const error = job.state === 'killed' ? 'killed on request' : rc;
  return error === '' ? { reason } : { reason, error };
}

function reasonOf(job: Job): JobReason {
  if (job.state === 'killed') return 'kill';
  if (job.rc !== undefined) return job.rc < 0 ? 'signal' : 'exit';
  return job.error === undefined || /expire|shutdown/i.test(job.error) ? 'lost' : 'start';
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;
const number = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;
const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];

/** Slots as this library has them: the original says true for no limit. Below zero: so many jobs wait. */
export function slotsOf(pools: WireJob): Record<string, number | null> {
  return Object.fromEntries(
    Object.entries(pools).map(([pool, slots]) => [pool, typeof slots === 'number' ? slots : null]),
  );
}
