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

export interface Refusal {
  readonly submission: Submission;
  readonly error: string;
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
  #stopped = false;
  #isAsking = false;
  /** ids of jobs the agent has acknowledged: one it does not know any more is lost */
  readonly #accepted = new Set<string>();
  backlogInFlight = 0;
  /** jobs that ended without success in this run */
  failures = 0;

  /**
   * @param wake called when results wait to be taken, or the plan may have changed
   * @param refused called for each job the agent did not take
   */
  constructor(
    private readonly watch: string,
    private readonly scope: string,
    private readonly agent: AgentPort,
    private readonly ledger: Ledger,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly wake: () => void,
    private readonly refused: (refusals: readonly Refusal[]) => void,
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

  /** How many jobs there are whose end is not known yet. */
  get unfinished(): number {
    return this.#byJob.size;
  }

  /** Jobs whose end is not known yet. */
  jobIds(): string[] {
    return [...this.#byJob.keys()];
  }

  /** Takes up what an earlier run of the watcher left: running jobs are followed, finished ones collected. */
  async adopt(): Promise<void> {
    const open = this.ledger.open(this.scope).map((row) => this.#own(row));
    if (open.length === 0) return;
    const jobs = await this.agent.query(open.map((submission) => submission.jobId));
    const known = open.filter((submission) => jobs.get(submission.jobId)?.key === submission.key);
    const found = new Set(known);
    const lost = open.filter((submission) => !found.has(submission));
    for (const submission of lost) this.#drop(submission);
    this.ledger.withdraw(lost);
    for (const { jobId } of known) {
      this.#accepted.add(jobId);
      this.noticed(jobs.get(jobId)!);
    }
    if (known.length > 0)
      this.log.info({ watch: this.watch, jobs: known.length }, 'took up the jobs of the last run');
  }

  /** What an attempt to adopt that failed has taken up already is taken up once. */
  #own(row: Submission): Submission {
    const known = this.#byPath.get(row.path)?.submission;
    if (known?.key === row.key) return known;
    this.#add(row);
    return row;
  }

  /** A job changed; jobs of others are ignored. */
  noticed(job: Job): void {
    const submission = this.#byJob.get(job.id);
    if (submission !== undefined && job.state === 'running') this.#running.add(job.id);
    else this.#running.delete(job.id);
    if (submission === undefined || !isFinished(job.state) || job.active) return;
    if (job.key !== submission.key) return;
    this.#finish(submission, job);
    this.wake();
  }

  #finish(submission: Submission, job: Job): void {
    this.#byJob.delete(job.id);
    this.#accepted.delete(job.id);
    this.#running.delete(job.id);
    this.#finished.push({ submission, job });
    if (job.state !== 'done') this.failures++;
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

  /**
   * Writes the intents down and sends them. The agent's answer is not waited for: one that is away holds up nobody, and
   * its jobs are offered until it takes or refuses them.
   */
  submit(news: readonly NewSubmission[]): void {
    const fresh: NewSubmission[] = [];
    const refused: Refusal[] = [];
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
    if (refused.length > 0) this.refused(refused);
    if (fresh.length === 0) return;
    this.ledger.intend(
      fresh.map((n) => n.submission),
      this.clock.now(),
    );
    for (const { submission } of fresh) this.#add(submission);
    void this.#send(fresh);
  }

  /** The result is recorded (or needs no record): forget the job, here and at the agent. */
  close(finished: readonly Finished[]): void {
    if (finished.length === 0) return;
    this.ledger.record(
      finished.map((f) => f.submission),
      this.clock.now(),
    );
    for (const { submission } of finished) this.#remove(submission);
    this.agent
      .release(finished.map((f) => f.job.id))
      // the agent keeps unreleased results; they only take room
      .catch((error: unknown) =>
        this.log.debug({ watch: this.watch, error: describeError(error) }, 'could not release results'),
      );
  }

  /** Asks the agent for jobs whose end may have been missed, one question at a time. */
  refresh(): void {
    if (this.#byJob.size === 0 || this.#isAsking) return;
    this.#isAsking = true;
    this.#ask()
      .catch((error: unknown) =>
        this.log.debug({ watch: this.watch, error: describeError(error) }, 'could not ask for the jobs'),
      )
      .finally(() => (this.#isAsking = false));
  }

  async #ask(): Promise<void> {
    // one that ends and starts anew under the same id meanwhile is another
    const asked = [...this.#accepted].map((id) => this.#byJob.get(id));
    const jobs = await this.agent.query([...this.#byJob.keys()]);
    if (this.#stopped) return;
    for (const job of jobs.values()) this.noticed(job);
    for (const submission of asked) {
      if (submission === undefined || this.#byJob.get(submission.jobId) !== submission) continue;
      if (jobs.get(submission.jobId)?.key === submission.key) continue;
      this.#finish(submission, lostJob(submission, this.clock.now()));
      this.wake();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelResubmit?.();
  }

  async #send(news: readonly NewSubmission[]): Promise<void> {
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
      return;
    }
    if (this.#stopped) return;
    this.#agentBack();
    const refused: Refusal[] = [];
    results.forEach((result, i) => {
      const { submission } = news[i]!;
      if (result.ok) this.#taken(submission, result.job);
      else refused.push({ submission, error: result.error });
    });
    if (refused.length > 0) this.#refuse(refused);
  }

  #taken(submission: Submission, job: Job): void {
    if (this.#byJob.get(job.id) === submission) this.#accepted.add(job.id);
    this.noticed(job);
  }

  #refuse(refused: readonly Refusal[]): void {
    for (const { submission } of refused) this.#drop(submission);
    this.#withdraw(refused.map((r) => r.submission));
    this.refused(refused);
    this.wake();
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
    if (this.#stopped) return;
    this.#unsent.push(...news);
    if (!this.#agentAway) {
      this.log.error(
        { watch: this.watch, error: describeError(error) },
        `cannot submit to the agent: ${describeError(error)}; trying again until it can`,
      );
    }
    this.#agentAway = true;
    if (this.#cancelResubmit !== undefined) return;
    this.#cancelResubmit = this.clock.after(this.#resubmitDelay, () => this.#resend());
    this.#resubmitDelay = Math.min(this.#resubmitDelay * 2, RESUBMIT_LONGEST_MS);
  }

  #resend(): void {
    this.#cancelResubmit = undefined;
    // of a batch whose answer was lost, some may have been taken, and be over
    const open = this.#unsent.splice(0).filter(({ submission: s }) => this.#byJob.get(s.jobId) === s);
    if (open.length > 0) void this.#send(open);
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

  #drop(submission: Submission): void {
    this.#byJob.delete(submission.jobId);
    this.#remove(submission);
  }

  #remove(submission: Submission): void {
    if (this.#byPath.get(submission.path)?.submission !== submission) return;
    this.#byPath.delete(submission.path);
    if (submission.backlog) this.backlogInFlight--;
  }
}

/** The agent took the job and does not know it any more, e.g. after it lost its state: how it ended cannot be known. */
function lostJob({ jobId, key }: Submission, now: number): Job {
  const ts = now / 1000;
  return {
    id: jobId,
    key,
    pool: '',
    args: [],
    node: '',
    state: 'failed',
    reason: 'lost',
    error: 'the agent does not know the job any more; whether it ran cannot be told',
    active: false,
    seq: 0,
    ts,
    submit_ts: ts,
    end_ts: ts,
    start_count: 0,
    fail_count: 1,
  };
}
