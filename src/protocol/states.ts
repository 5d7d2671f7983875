/** The documented states of a job; finer detail goes into `reason` (contract, "The agent"). */
export const jobStates = ['new', 'running', 'done', 'failed', 'killed'] as const;
export type JobState = (typeof jobStates)[number];

export const isJobState = (value: unknown): value is JobState =>
  (jobStates as readonly unknown[]).includes(value);

/** A job that will never run again unless somebody resets it. */
export const isFinished = (state: JobState): boolean =>
  state === 'done' || state === 'failed' || state === 'killed';
