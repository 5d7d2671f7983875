import type { Job, JobSpec, JobState } from './job.js';

/**
 * One submission. `key` makes it idempotent: a second submit of the same id with the same key is
 * answered with the job as it is. The same id with another key restarts a finished job from scratch
 * and is refused while the job is active.
 */
export interface SubmitRequest {
  readonly key: string;
  readonly spec: JobSpec & { readonly id: string };
}

export type SubmitResult =
  { readonly ok: true; readonly job: Job } | { readonly ok: false; readonly error: string };

/** leave: jobs run on and are adopted by the next start; drain: wait for them; kill: end them. */
export type StopMode = 'leave' | 'drain' | 'kill';

export interface JobFilter {
  readonly states?: readonly JobState[];
  readonly tag?: string;
}

/**
 * What the watcher needs of an agent. The embedded agent and (later) the network client implement it;
 * test/conformance holds the behaviour that every implementation shows.
 */
export interface AgentPort {
  /** one line for the log: which agent this is */
  readonly description: string;
  /** Durable when it resolves. One result a request, in order; a bad request fails alone. */
  submit(requests: readonly SubmitRequest[]): Promise<SubmitResult[]>;
  /** Known jobs among `ids`; unknown ones are absent from the map. */
  query(ids: readonly string[]): Promise<Map<string, Job>>;
  list(filter?: JobFilter): Promise<Job[]>;
  /** Asks for the jobs' end; resolves when the wish is recorded, not when they are gone. */
  kill(ids: readonly string[]): Promise<void>;
  /** The submitter has recorded these results; the agent may forget them when they expire. */
  release(ids: readonly string[]): Promise<void>;
  /** Calls `listener` after every change of a job; returns the unsubscribe function. */
  onJob(listener: (job: Job) => void): () => void;
  /** Idempotent. With `drain` resolves when nothing runs any more. */
  stop(mode: StopMode): Promise<void>;
}
