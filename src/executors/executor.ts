/**
 * What the agent needs of something that runs jobs. A run is one start of a job, known by its directory (made by
 * the executor, private to it and to the guardian). Events never come from inside a call, and none after `stop`.
 */
export interface Run {
  readonly directory: string;
  /** texts, see lib/text.ts */
  readonly args: readonly string[];
  readonly env: ReadonlyMap<string, string>;
  /** absolute */
  readonly cwd: string;
  readonly stdin: string | undefined;
  readonly stdout: string | undefined;
  readonly stderr: string | undefined;
}

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
  started(pid: number): void;
  /** Once a run, and not before its processes are gone when it was killed. */
  ended(end: RunEnd): void;
}

export interface Executor {
  /** Changes when all runs of before are certainly gone, as after a boot of the machine. */
  readonly epoch: string;
  start(run: Run, events: RunEvents): void;
  /** Takes over a run that another agent process recorded as started; it may have ended, or never have begun. */
  adopt(directory: string, epoch: string, events: RunEvents): void;
  /** SIGTERM to all processes of the run, SIGKILL after `graceMs`. Does nothing for a run that has ended. */
  kill(directory: string, graceMs: number): void;
  /** Forgets all runs and leaves their processes alone. */
  stop(): void;
}
