import type { AgentCore } from '../agent/core.js';
import type { JobRecord } from '../agent/types.js';
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import { jobView } from './job-view.js';
import { toAscii } from './json.js';
import type { LineParser } from './line-parser.js';
import type { ViewContext, WireJob } from './job-view.js';
import type { SeenResults } from './seen.js';
import type { SubmitBatch } from './submit-batch.js';

/** The configuration as the wire sees it. */
export interface ConfigPort {
  /** without secrets */
  show(): Record<string, unknown>;
  /** Merges and applies. @throws RequestError when it is not valid; then nothing has changed */
  push(config: Record<string, unknown>): void;
}

/** What requests work on. */
export interface Service {
  readonly core: AgentCore;
  readonly node: string;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly config: ConfigPort;
  readonly submits: SubmitBatch;
  readonly seen: SeenResults;
  /** undefined: none is needed */
  readonly token: () => string | undefined;
  readonly view: () => ViewContext;
}

/** Which changes somebody wants to hear of. */
export interface Interest {
  /** jobs as wanted */
  readonly matches: (record: JobRecord) => boolean;
  /** false: the job never matches, however it changes */
  readonly concerns: (record: JobRecord) => boolean;
}

/** Starts to tell changes; returns the sequence number it starts after. */
export type StartWatch = (interest: Interest, since: number | undefined) => number;

/** One client. */
export interface Session {
  protocol: 1 | 2;
  authorised: boolean;
  /** who it is, as far as that is known for sure; only then it may see environments */
  owner: string | undefined;
  /** where it comes from: whose turn its jobs take when it does not say */
  readonly peer: string;
  readonly startWatch: StartWatch;
  readonly parser: LineParser;
}

export interface Call {
  readonly service: Service;
  readonly session: Session;
  readonly options: { readonly env: boolean; readonly output: boolean };
}

/** Answers one request. Runs to its end at once: what it must wait for is in a `Later`. */
export type Handler = (argument: unknown, call: Call) => unknown;

/** An answer that is read after the batch of submits is on disk. */
export class Later {
  /** @param text the same as JSON; for answers with names that are never the same, which are dear as objects */
  constructor(
    readonly read: () => unknown,
    readonly text: () => string = () => toAscii(read()),
  ) {}
}

/** A job as this client gets it. */
export function show(record: JobRecord, { service, session, options }: Call, output = true): WireJob {
  service.seen.note(record);
  const { protocol, owner } = session;
  const isOwn = options.env && owner !== undefined && record.owner === owner;
  return jobView(record, service.view(), {
    protocol,
    output: output && options.output,
    ...(isOwn && { env: service.core.env(record) ?? {} }),
  });
}
