import type { Client } from '../../client/api.js';
import type { Context } from '../context.js';

/** The outside world of meeseeks-client. */
export interface ClientContext extends Context {
  /** standard output as bytes: what jobs wrote */
  readonly outBytes: (bytes: Buffer) => void;
  readonly errBytes: (bytes: Buffer) => void;
  /** whether standard output is a terminal */
  readonly outIsTerminal: boolean;
  /** height of the terminal in lines */
  readonly rows: () => number;
}

/** One command of one command line, ready to run. */
export interface Call {
  /** name the command was called by */
  readonly name: string;
  /** its words, without its flags */
  readonly words: readonly string[];
  readonly flags: ReadonlySet<string>;
  /** --json */
  readonly json: boolean;
  /** seconds between refreshes, when asked for */
  readonly refresh: number | undefined;
  readonly context: ClientContext;
  /** connects on first use */
  readonly connect: () => Promise<Client>;
}

/** Exit codes of meeseeks-client, as documented in its help. */
export const clientExit = {
  ok: 0,
  /** a job to kill, to change or to read is unknown, or one was refused */
  refused: 1,
  usage: 2,
  /** the agent cannot be reached, or does not answer */
  trouble: 3,
  /** `wait` itself failed: codes below are the job's */
  wait: 125,
} as const;
