import type { Clock } from '../lib/clock.js';

/** What a command needs of the outside world; bin fills it in, tests bring their own. */
export interface Context {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** whether standard error is a terminal a person looks at */
  readonly isTerminal: boolean;
  /** width of the terminal in columns; 80 where there is none */
  readonly columns: number;
  /** Registers for a signal; returns the unregister function. */
  readonly onSignal: (signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP', listener: () => void) => () => void;
}

/** Exit codes, as documented in the help and in docs/operations.md. */
export const exitCodes = {
  ok: 0,
  /** some job failed (--once), or a file cannot be processed (explain, plan never use it) */
  failed: 1,
  /** wrong usage or configuration; nothing was scanned */
  usage: 2,
  /** the machine refused: state directory, agent, disk */
  trouble: 3,
  /** status: no watcher is running */
  notRunning: 4,
} as const;
