import type { FileStat, Identity } from './identity.js';
import type { StepRecord } from './record.js';
import type { Selection } from './select.js';

/** A file of a watch as the last look at the directory found it. */
export interface ObservedFile {
  /** relative to the watched path, as text */
  readonly path: string;
  /** the same as bytes, for the order */
  readonly bytes: string;
  readonly stat: FileStat;
  readonly selection: Selection;
  /** ms when this size, mtime and ctime were first observed */
  readonly observedAt: number;
  /** true when it was there at the first scan: backlog, which live arrivals overtake */
  readonly backlog: boolean;
  /** the name was seen to vanish, or to become another file, since its markers were written */
  readonly replaced: boolean;
  /** ms since the epoch until which it is left alone: its marker has just vanished, and it may be about to */
  readonly quietUntil: number;
  /** another file was renamed over it while we looked on: an update under the same name, not a new arrival */
  readonly overwritten: boolean;
  /** what an earlier plan found, valid until the file or its records change: a memo, never another truth */
  readonly finished?: Finished | undefined;
}

/** A unit whose entries up to `last` need nothing more. */
export interface Finished {
  readonly last: number;
  readonly how: 'done' | 'failed' | 'killed' | 'nothing';
}

/** Evidence that a file is complete, gathered by probes; absent means not looked yet. */
export interface Evidence {
  /** identity the evidence was gathered for; it is void for any other */
  readonly identity: string;
  /** a process holds it open for writing: when to look again (ms); null: nobody does */
  readonly openUntil?: number | null;
  /** nobody may read it (mode 000) */
  readonly sealed?: boolean;
  /** the sentinel: null when it is there, else when to look again (ms) */
  readonly sentinelAt?: number | null;
  /** the check command: null when it passed, 'running', or when to try again (ms) */
  readonly checkAt?: number | null | 'running';
  readonly checkTries?: number;
}

export interface InFlight {
  readonly step: number;
  readonly jobId: string;
  readonly attempt: number;
  readonly identity: Identity;
}

/** Everything a plan is made of. Pure data: the same input gives the same plan. */
export interface PlanInput {
  /** files that belong to at least one list, in the order of the watch */
  readonly files: readonly ObservedFile[];
  /** files that need nothing more and are not among these: they are only counted */
  readonly folded?: Readonly<Record<Finished['how'], number>>;
  /** ms since the epoch */
  readonly now: number;
  record(path: string, step: number): StepRecord;
  /** the job in flight for a file, if any; results that wait to be written count as in flight */
  inFlight(path: string): InFlight | undefined;
  readonly inFlightCount: number;
  evidence(path: string): Evidence | undefined;
  /** how many jobs in flight are for backlog files */
  readonly backlogInFlight: number;
}
