import type { Job, JobSpec, JobState } from '../protocol/job.js';
import type { Greeting } from './hello.js';

/**
 * Which jobs: every attribute given must be equal. A text ending in `*` means its beginning; `tag` one of the tags;
 * `ids` some of these; `ts` and `seq` changed after.
 */
export interface Filter {
  readonly ids?: string | readonly string[];
  readonly state?: JobState;
  readonly pool?: string;
  readonly node?: string;
  readonly tag?: string;
  readonly seq?: number;
  readonly ts?: number;
  readonly [attribute: string]: unknown;
}

/** A job that changed. `left`: it does not match the filter, or not any more: it is not in the picture now. */
export type Change = Job & { readonly left?: true };

/** A job to submit. `key` makes it idempotent: the same id and key is the same submission. */
export interface Submission extends Omit<JobSpec, 'node'> {
  /** a node, a pattern ending in `*`, or some nodes */
  readonly node?: string | readonly string[] | undefined;
  readonly key?: string;
}

/** Changes to a job that exists: `state: 'new'` starts a finished one again, 'killed' ends it. */
export interface Changes extends Partial<Submission> {
  readonly state?: 'new' | 'killed';
}

/** A node as the agents know it. */
export interface Node {
  readonly online: boolean;
  readonly ts: number;
  readonly loadavg?: number;
  /** slots of its pools */
  readonly pools?: Readonly<Record<string, number | null>>;
  /** nodes that are reached through it */
  readonly routing?: readonly string[];
}

/** Free slots by pool and node; null where a pool has no limit. */
export type Pools = Readonly<Record<string, Readonly<Record<string, number | null>>>>;

/** What a job wrote, as far as its record holds it (the last 1 MiB of each stream). */
export interface Output {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** So many jobs of a node and a pool are in a state. */
export interface JobCount {
  readonly node: string;
  readonly pool: string;
  readonly state: JobState;
  readonly jobs: number;
}

/** How many jobs there are, and some of them. */
export interface Summary {
  readonly counts: readonly JobCount[];
  readonly jobs: readonly Job[];
}

/** A connection to an agent. Every method rejects with a ClientError. Requests made together travel together. */
export interface Client {
  /** what the agent said of itself; protocol 1 is the Python original */
  readonly agent: Greeting;
  /** where it is, for people */
  readonly address: string;
  /** whether it certainly runs on this machine, so that the paths it tells are ours */
  readonly isLocal: boolean;
  /** Submits a job. Durable when it resolves; safe to repeat over a lost connection. */
  submit(spec: Submission): Promise<Job>;
  /** Submits to every node that matches `node` (`*`, `gpu*`, a list): one job a node. */
  submitToAll(spec: Submission): Promise<Job[]>;
  /** The job with its output, undefined when there is none of this id. */
  get(id: string): Promise<Job | undefined>;
  /** Jobs of a filter, without what they wrote unless `output` asks for it. */
  list(filter?: Filter, options?: { readonly output?: boolean }): Promise<Job[]>;
  /**
   * How many jobs of a filter there are, counted by the agent, and of them those that run and the `newest`. Of an older
   * agent all jobs are fetched for that. @param options `active`: only jobs that are not finished
   */
  summary(filter: Filter, options: { readonly newest: number; readonly active?: boolean }): Promise<Summary>;
  ids(filter?: Filter): Promise<string[]>;
  modify(id: string, changes: Changes): Promise<Job>;
  /** Asks for the end of jobs. @returns those that exist, as they are now */
  kill(which: string | readonly string[] | Filter): Promise<Job[]>;
  /** Resolves when the job is finished, with its output. Rejects when there is no such job. */
  wait(id: string, signal?: AbortSignal): Promise<Job>;
  /**
   * Every change from now on of the jobs of a filter; one that stops to match comes once more, with `left: true`. Ends with the loop (`break`), the signal, or an error when the agent stays away. */
  events(filter?: Filter, signal?: AbortSignal): AsyncIterableIterator<Change>;
  output(id: string): Promise<Output>;
  nodes(): Promise<Record<string, Node>>;
  pools(): Promise<Pools>;
  /** The agent's configuration, after the changes when some are given. */
  config(changes?: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>>;
  /** Results that are recorded elsewhere: the agent may forget them. */
  release(ids: readonly string[]): Promise<void>;
  /** Any request of the protocol, its answer as it comes. */
  request(name: string, argument: unknown): Promise<unknown>;
  close(): void;
}
