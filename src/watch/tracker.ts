import type { Clock } from '../lib/clock.js';
import { describeError } from '../lib/errors.js';
import type { Log } from '../lib/log.js';
import type { AgentPort } from '../protocol/agent.js';
import { isFinished, type Job, type JobSpec } from '../protocol/job.js';
import type { InFlight } from './observation.js';
import type { Ledger, Submission } from './ledger.js';

export interface NewSubmission {
  readonly submission: Submission;
  readonly spec: JobSpec;
}

export interface Finished {
  readonly submission: Submission;
  readonly job: Job;
}

const RESUBMIT_FIRST_MS = 500;
const RESUBMIT_LONGEST_MS = 30_000;

/**
 * Follows the jobs of one watch from the intent to the recorded result. Every submission is in the ledger before the
 * agent hears of it, and leaves `inFlight` only when its result is recorded or the agent has refused it.
 */
export class Tracker {
  readonly #byPath = new Map<string, InFlight & { readonly submission: Submission }>();
  readonly #byJob = new Map<string, Submission>();
  /** ids of jobs that a pool works on, for the counts */
  readonly #running = new Set<string>();
  #finished: Finished[] = [];
  #unsent: NewSubmission[] = [];
  #resubmitDelay = RESUBMIT_FIRST_MS;
  #cancelResubmit: (() => void) | undefined;
  #agentAway = false;
  backlogInFlight = 0;

  /** @param wake called when results wait to be taken */
  constructor(
    private readonly watch: string,
    private readonly scope: string,
    private readonly agent: AgentPort,
    private readonly ledger: Ledger,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly wake: () => void,
  ) {}

  get size(): number {
    return this.#byPath.size;
  }

  get running(): number {
    return this.#running.size;
  }

  inFlight(path: string): InFlight | undefined {
    return this.#byPath.get(path);
  }

  submissions(): Submission[] {
    return [...this.#byJob.values()];
  }

  /** Takes up what an earlier run of the watcher left: running jobs are followed, finished ones collected. */
  async adopt(): Promise<void> {
    const open = this.ledger.open(this.scope);
    if (open.length === 0) return;
    const jobs = await this.agent.query(open.map((submission) => submission.jobId));
    const lost: Submission[] = [];
    for (const submission of open) {
      const job = jobs.get(submission.jobId);
      if (job === undefined || job.key !== submission.key) lost.push(submission);
      else this.#add(submission);
      if (job !== undefined && job.key === submission.key) this.noticed(job);
    }
    this.ledger.withdraw(lost);
    if (this.#byJob.size > 0)
      this.log.info({ watch: this.watch, jobs: this.#byJob.size }, 'took up the jobs of the last run');
  }

  /** A job changed; jobs of others are ignored. */
  noticed(job: Job): void {
    const submission = this.#byJob.get(job.id);
    if (submission !== undefined && job.state === 'running') this.#running.add(job.id);
    else this.#running.delete(job.id);
    if (submission === undefined || !isFinished(job.state) || job.active) return;
    if (job.key !== submission.key) return;
    this.#byJob.delete(job.id);
    this.#finished.push({ submission, job });
    this.wake();
  }

  /** Finished jobs whose result is not recorded yet. */
  get unrecorded(): number {
    return this.#finished.length;
  }

  takeFinished(): Finished[] {
    const finished = this.#finished;
    this.#finished = [];
    return finished;
  }

  /** The results could not be recorded: they are offered again by the next `takeFinished`. */
  putBack(finished: readonly Finished[]): void {
    this.#finished.push(...finished);
  }

  /** Submits; what the agent refuses is returned with its reason. An agent that is away is tried again by itself. */
  async submit(news: readonly NewSubmission[]): Promise<{ submission: Submission; error: string }[]> {
    const fresh: NewSubmission[] = [];
    const refused: { submission: Submission; error: string }[] = [];
    const ids = new Set<string>();
    for (const next of news) {
      const { submission } = next;
      if (!ids.has(submission.jobId) && !this.#byJob.has(submission.jobId)) fresh.push(next);
      else
        refused.push({
          submission,
          error: `job id ${submission.jobId} is in use by another file; make it unique, e.g. with %(filename)s`,
        });
      ids.add(submission.jobId);
    }
    if (fresh.length === 0) return refused;
    this.ledger.intend(
      fresh.map((n) => n.submission),
      this.clock.now(),
    );
    for (const { submission } of fresh) this.#add(submission);
    return [...refused, ...(await this.#send(fresh))];
  }

  /** The result is recorded (or needs no record): forget the job, here and at the agent. */
  async close(finished: readonly Finished[]): Promise<void> {
    if (finished.length === 0) return;
    this.ledger.record(
      finished.map((f) => f.submission),
      this.clock.now(),
    );
    for (const { submission } of finished) this.#remove(submission);
    try {
      await this.agent.release(finished.map((f) => f.job.id));
    } catch (error) {
      // the agent keeps unreleased results; they only take room
      this.log.debug({ watch: this.watch, error: describeError(error) }, 'could not release results');
    }
  }

  /** Asks the agent for jobs whose end may have been missed. */
  async refresh(): Promise<void> {
    if (this.#byJob.size === 0) return;
    const jobs = await this.agent.query([...this.#byJob.keys()]);
    for (const job of jobs.values()) this.noticed(job);
  }

  stop(): void {
    this.#cancelResubmit?.();
  }

  async #send(news: readonly NewSubmission[]): Promise<{ submission: Submission; error: string }[]> {
    let results;
    try {
      results = await this.agent.submit(
        news.map(({ submission, spec }) => ({
          key: submission.key,
          spec: { ...spec, id: submission.jobId },
        })),
      );
    } catch (error) {
      this.#postpone(news, error);
      return [];
    }
    this.#agentBack();
    const refused: { submission: Submission; error: string }[] = [];
    results.forEach((result, i) => {
      const { submission } = news[i]!;
      if (result.ok) {
        this.noticed(result.job);
      } else {
        this.#byJob.delete(submission.jobId);
        this.#remove(submission);
        refused.push({ submission, error: result.error });
      }
    });
    this.#withdraw(refused.map((r) => r.submission));
    return refused;
  }

  /** Bookkeeping only: a row that stays open is found without a job, and withdrawn, by the next start. */
  #withdraw(submissions: readonly Submission[]): void {
    try {
      this.ledger.withdraw(submissions);
    } catch (error) {
      this.log.warn({ watch: this.watch, error: describeError(error) }, describeError(error));
    }
  }

  #postpone(news: readonly NewSubmission[], error: unknown): void {
    this.#unsent.push(...news);
    if (!this.#agentAway) {
      this.log.error(
        { watch: this.watch, error: describeError(error) },
        `cannot submit to the agent: ${describeError(error)}; trying again until it can`,
      );
    }
    this.#agentAway = true;
    this.#cancelResubmit ??= this.clock.after(this.#resubmitDelay, () => void this.#resend());
    this.#resubmitDelay = Math.min(this.#resubmitDelay * 2, RESUBMIT_LONGEST_MS);
  }

  async #resend(): Promise<void> {
    this.#cancelResubmit = undefined;
    const unsent = this.#unsent;
    this.#unsent = [];
    const refused = await this.#send(unsent);
    for (const { submission, error } of refused) {
      this.log.error({ watch: this.watch, file: submission.path }, `the agent refused the job: ${error}`);
    }
    this.wake();
  }

  #agentBack(): void {
    if (this.#agentAway) this.log.info({ watch: this.watch }, 'the agent takes jobs again');
    this.#agentAway = false;
    this.#resubmitDelay = RESUBMIT_FIRST_MS;
  }

  #add(submission: Submission): void {
    const { step, jobId, attempt, identity, path } = submission;
    this.#byPath.set(path, { step, jobId, attempt, identity, submission });
    this.#byJob.set(jobId, submission);
    if (submission.backlog) this.backlogInFlight++;
  }

  #remove(submission: Submission): void {
    if (this.#byPath.get(submission.path)?.submission !== submission) return;
    this.#byPath.delete(submission.path);
    if (submission.backlog) this.backlogInFlight--;
  }
}
