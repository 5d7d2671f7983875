import type { PoolConfig } from '../config/schema.js';
import type { Clock } from '../lib/clock.js';
import type { AgentPort, SubmitRequest } from '../protocol/agent.js';
import type { JobReason, JobSpec, JobState } from '../protocol/job.js';

type LogFunction = (fields: Record<string, unknown>, message: string) => void;

/** The part of a pino logger the agent uses. */
export interface Logger {
  readonly debug: LogFunction;
  readonly info: LogFunction;
  readonly warn: LogFunction;
  readonly error: LogFunction;
}

export type Pools = Readonly<Record<string, PoolConfig>>;

export interface AgentOptions {
  /** state directory, made when missing; one agent at a time */
  readonly directory: string;
  /** node name */
  readonly node: string;
  readonly pools: Pools;
  /** slots of pools that name none */
  readonly defaultSlots: number;
  /** seconds a released result is kept */
  readonly expire: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** environment the jobs get */
  readonly env: NodeJS.ProcessEnv;
  /**
   * Jobs for a pool that is not configured, or for another node: refused (the default), or queued until there is such
   * a pool, as a networked agent does.
   */
  readonly unroutable?: 'refuse' | 'wait';
  /** Hears once of every job that is finished for good, after that is on disk, before it may be forgotten. */
  readonly finished?: (record: JobRecord) => void;
}

/** A submission with what only a networked agent knows of it. */
export interface Submission extends SubmitRequest {
  /** whose turn the job takes, see FairQueue */
  readonly submitter?: string | undefined;
  readonly owner?: string | undefined;
  readonly wire?: JobRecord['wire'];
  /** its id was made for it just now: there is no such job, and no need to look */
  readonly isNewId?: boolean;
}

/** So many jobs are in this state, for a pool and, where that was asked for, a node. */
export interface JobCount {
  readonly state: JobState;
  readonly pool: string;
  readonly node?: string | undefined;
  readonly jobs: number;
}

export interface PoolCounts {
  readonly queued: number;
  readonly running: number;
  /** undefined: no limit */
  readonly slots: number | undefined;
}

export interface Agent extends AgentPort {
  /** Replaces the pools; running jobs are not disturbed, queued ones follow the new limits. */
  setPools(pools: Pools): void;
  counts(): Record<string, PoolCounts>;
  /** Sets or clears `hold` of jobs that have not started; others are left as they are. */
  setHold(ids: readonly string[], hold: boolean): Promise<void>;
}

/** Everything durable about a job. Times ending in _ts are seconds, as in the protocol. */
export interface JobRecord {
  readonly id: string;
  readonly key: string;
  readonly spec: JobSpec;
  readonly state: JobState;
  readonly seq: number;
  readonly ts: number;
  readonly submit_ts: number;
  /** place in the queue */
  readonly order: number;
  /** number of the last run, never reused: it names the run's directory */
  readonly run: number;
  /** epoch of the executor the run was started in */
  readonly epoch?: string | undefined;
  readonly start_count: number;
  readonly fail_count: number;
  /** failures since the last success */
  readonly failures: number;
  /** runs in a row that ended within a second */
  readonly quick: number;
  /** not to be started before, seconds */
  readonly not_before?: number | undefined;
  /** why it is being killed */
  readonly wish?: 'kill' | 'timeout' | undefined;
  readonly start_ts?: number | undefined;
  readonly end_ts?: number | undefined;
  readonly rc?: number | undefined;
  readonly signal?: string | undefined;
  readonly reason?: JobReason | undefined;
  readonly error?: string | undefined;
  readonly pid?: number | undefined;
  readonly submitter?: string | undefined;
  /** who submitted it, when that is known for sure */
  readonly owner?: string | undefined;
  /** name of the environment in the store; `spec.env` is taken out of records that are stored */
  readonly env?: string | undefined;
  /** what a submitter on the wire wrote, where it is not what `spec` says; see server/job-view.ts */
  readonly wire?: Readonly<Record<string, unknown>> | undefined;
}
