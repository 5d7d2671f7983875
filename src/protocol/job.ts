import { z } from 'zod';
import type { JobState } from './states.js';

export { isFinished, jobStates, type JobState } from './states.js';

const aPool = 'expected the name of a pool';
const aCommand = 'expected a list: the command, then its arguments';

/**
 * What a submitter asks for: the documented submit keys (seeds document, "JSON request format")
 * plus `cwd`, `env`, `priority` and `kill_grace`. Times are seconds. Strings may carry bytes that are
 * not UTF-8 as lone surrogates U+DC80..U+DCFF (see lib/text.ts).
 */
export const jobSpec = z.strictObject({
  id: z.string().min(1, { error: 'expected a text, not an empty one' }).optional(),
  pool: z.string({ error: aPool }).min(1, { error: aPool }),
  args: z.array(z.string(), { error: aCommand }).min(1, { error: aCommand }),
  node: z.string().optional(),
  cwd: z.string().optional(),
  env: z.record(z.string(), z.string()).optional(),
  stdin: z.string().optional(),
  stdout: z.string().optional(),
  stderr: z.string().optional(),
  runtime: z.number().positive().optional(),
  hold: z.boolean().optional(),
  restart: z.boolean().optional(),
  retries: z.int().nonnegative().optional(),
  resubmit: z.boolean().optional(),
  priority: z.int().optional(),
  kill_grace: z.number().nonnegative().optional(),
  tags: z.array(z.string()).optional(),
});
export type JobSpec = z.infer<typeof jobSpec>;

/** Why a finished job ended, apart from its state. */
export type JobReason =
  | 'exit' // it ran and exited by itself (rc says how)
  | 'signal' // it died from a signal nobody here sent
  | 'timeout' // it ran longer than `runtime`
  | 'kill' // a person or a program asked for it to be killed
  | 'start' // it could not be started (error says why)
  | 'lost'; // its exit status is unknown: reboot, or its guardian was killed

/** A job as the agent answers it. Timestamps are seconds since the epoch, as in the original. */
export interface Job extends Omit<JobSpec, 'env'> {
  readonly id: string;
  /** idempotency key of the submission that created (or last restarted) this job */
  readonly key: string;
  readonly node: string;
  readonly state: JobState;
  /** true while a pool works on it */
  readonly active: boolean;
  /** exit code, or minus the signal number, as in the original; absent while not finished */
  readonly rc?: number;
  /** name of the signal that ended the job, e.g. SIGKILL */
  readonly signal?: string;
  readonly reason?: JobReason;
  /** one line for people: why it did not start, or did not end well */
  readonly error?: string;
  readonly pid?: number;
  readonly seq: number;
  readonly ts: number;
  readonly submit_ts: number;
  readonly start_ts?: number;
  readonly end_ts?: number;
  readonly start_count: number;
  readonly fail_count: number;
  /** base64 of the last 1 MiB, when the stream was not redirected to a file by the spec */
  readonly stdout_data?: string;
  readonly stderr_data?: string;
  /** where the whole stream is: the spool file, or the file the spec named */
  readonly stdout_path?: string;
  readonly stderr_path?: string;
}
