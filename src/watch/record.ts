import type { Job } from '../protocol/job.js';
import type { FileStat, Identity } from './identity.js';
import type { MarkerState } from './marker-name.js';

/** What is known of one step of one file, from its markers. */
export interface StepRecord {
  readonly states: ReadonlySet<MarkerState>;
  /** identity the newest finished marker was written for; absent in markers of the Python original */
  readonly identity?: Identity;
  /** what was later renamed over the file, where that was seen */
  readonly identityNow?: Identity;
  /** attempts made when it failed, at least 1; only with a failed marker */
  readonly failedAttempts?: number;
  /** ms since the epoch when it failed */
  readonly failedAt?: number;
  /** content of the .mtime marker */
  readonly mtime?: string;
}

/** Where a record belongs. `path` is relative to the watch's path, as text. */
export interface RecordRef {
  readonly path: string;
  readonly step: number;
}

export interface Result {
  readonly ref: RecordRef;
  readonly watch: string;
  readonly identity: Identity;
  readonly identityNow?: Identity | undefined;
  readonly attempt: number;
  readonly agent: string;
  readonly job: Job;
  /** the file as it was last seen; undefined when it is gone */
  readonly seen?: FileStat | undefined;
}

/** A result that no job produced: an empty spec, or a person's word. @param now ms since the epoch */
export function withoutJob(
  ref: RecordRef,
  watch: string,
  identity: Identity,
  agent: string,
  now: number,
): Result {
  const ts = now / 1000;
  const job: Job = {
    id: '',
    key: '',
    pool: '',
    args: [],
    node: '',
    state: 'done',
    active: false,
    seq: 0,
    ts,
    submit_ts: ts,
    end_ts: ts,
    start_count: 0,
    fail_count: 0,
  };
  return { ref, watch, identity, attempt: 0, agent, job };
}

/** The content of a marker: the finished job as the original wrote it, and what it was run on. */
export function markerContent(result: Result): string {
  const { key: _key, ...job } = result.job;
  const content = {
    ...job,
    watch: result.watch,
    step: result.ref.step,
    file: result.ref.path,
    identity: result.identity,
    ...(result.identityNow !== undefined && { identity_now: result.identityNow }),
    attempt: result.attempt,
    agent: result.agent,
  };
  return JSON.stringify(sortKeys(content), null, 4);
}

/** The content of a marker with a note of what its name stands for now; undefined when it is no marker of ours. */
export function withIdentityNow(content: string, now: Identity): string | undefined {
  if (readMarker(content, 0)?.identity === undefined) return undefined;
  try {
    return JSON.stringify(sortKeys({ ...(JSON.parse(content) as object), identity_now: now }), null, 4);
  } catch {
    return undefined; // nested deeper than can be written: not ours
  }
}

function sortKeys(value: object): object {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What the planner needs of a marker's content, ours or the original's; undefined when it is no marker. */
export interface MarkerFacts {
  readonly watch: string | undefined;
  readonly file: string | undefined;
  readonly identity: Identity | undefined;
  readonly identityNow: Identity | undefined;
  readonly attempt: number;
  readonly endedAt: number;
}

/** @param fallbackTime ms, used when the content gives no end time (the marker's own mtime) */
export function readMarker(content: string, fallbackTime: number): MarkerFacts | undefined {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    return undefined;
  }
  if (!isObject(value) || typeof value['state'] !== 'string') return undefined;
  return {
    watch: asString(value['watch']),
    file: asString(value['file']),
    identity: isIdentity(value['identity']) ? value['identity'] : undefined,
    identityNow: isIdentity(value['identity_now']) ? value['identity_now'] : undefined,
    attempt: isCount(value['attempt']) ? value['attempt'] : 1,
    endedAt: Number.isFinite(value['end_ts']) ? (value['end_ts'] as number) * 1000 : fallbackTime,
  };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1;
const asString = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

function isIdentity(value: unknown): value is Identity {
  return (
    isObject(value) &&
    typeof value['mtime_ns'] === 'string' &&
    typeof value['inode'] === 'string' &&
    typeof value['birth_ns'] === 'string' &&
    typeof value['size'] === 'number'
  );
}
