/**
 * What the agent needs of something that runs jobs. A run is one start of a job, known by its path, with which the names
 * of its files begin. Events never come from inside a call, and none after `stop`.
 */
export interface Run {
  /** the last part is a plain name, no other run's */
  readonly path: string;
  /** texts, see lib/text.ts */
  readonly args: readonly string[];
  /** the same map for the same environment: what it costs to prepare is paid once */
  readonly env: ReadonlyMap<string, string>;
  /** variables of this run alone, which win */
  readonly own?: ReadonlyMap<string, string>;
  /** absolute */
  readonly cwd: string;
  readonly stdin: string | undefined;
  readonly stdout: string | undefined;
  readonly stderr: string | undefined;
}

/** The environment variable by which the processes of a run are known wherever they went: its path. */
export const RUN_VARIABLE = 'MEESEEKS_RUN';

/** Where the output of a run is that its job does not redirect. */
export const streamFile = (path: string, stream: 'stdout' | 'stderr'): string => `${path}.${stream}`;

/** All files that a run may have. */
export const runFiles = (path: string): string[] => [
  streamFile(path, 'stdout'),
  streamFile(path, 'stderr'),
  `${path}.error`,
];

/** How a run ended; `at` is seconds since the epoch. */
export type RunEnd =
  | { readonly kind: 'exit'; readonly code: number; readonly at: number }
  | { readonly kind: 'signal'; readonly signal: number; readonly at: number }
  /** it could not be started */
  | { readonly kind: 'start'; readonly error: string; readonly at: number }
  /** it was started and nobody knows how it ended */
  | { readonly kind: 'lost'; readonly error: string; readonly at: number }
  /** it certainly was never started: it can be started again without running twice */
  | { readonly kind: 'never' };

export interface RunEvents {
  /** `at`: when its program did, to a few milliseconds, seconds since the epoch; undefined when that is not known */
  started(pid: number, at: number | undefined): void;
  /** Once a run, and not before its processes are gone when it was killed. */
  ended(end: RunEnd): void;
}

export interface Executor {
  /** Changes when all runs of before are certainly gone, as after a boot of the machine. */
  readonly epoch: string;
  /** All ends it was told before are on disk: what the executor keeps of them may go. */
  start(run: Run, events: RunEvents): void;
  /** Takes over a run that another agent process recorded as started; it may have ended, or never have begun. */
  adopt(path: string, epoch: string, events: RunEvents): void;
  /** Whether the run has ended by itself, though nobody may have been told yet. */
  isOver(path: string): boolean;
  /** SIGTERM to all processes of the run, SIGKILL after `graceMs`. Does nothing for a run that has ended. */
  kill(path: string, graceMs: number): void;
  /** Forgets all runs and leaves their processes alone. */
  stop(): void;
}
