import { isJobState } from '../protocol/states.js';
import { pause } from './backoff.js';
import { ClientError } from './errors.js';
import type { FeedOptions } from './feed.js';
import type { Link } from './link.js';
import { isWireJob, type WireJob } from './wire-job.js';

/**
 * Follows an agent that cannot push: asks for what has a higher sequence number. The original's numbers start again
 * with every start of it, so a new connection asks for everything and compares.
 */
export class Poll {
  /** what was seen of every job, to tell changes */
  #known: Map<string, string> | undefined;
  /** jobs of the filter, as far as it asks for states: the agent does not say when one leaves it */
  readonly #inside = new Set<string>();
  /** the states asked for, compared here; undefined: any, or what only the agent can compare */
  readonly #states: readonly unknown[] | undefined;

  constructor(
    private readonly options: FeedOptions,
    private readonly signal: AbortSignal,
    private readonly contact: () => void,
  ) {
    const { state } = options.filter;
    const states: unknown[] = Array.isArray(state) ? state : [state];
    this.#states = states.every(isJobState) ? states : undefined;
  }

  /** Polls until the connection ends. */
  async follow(link: Link): Promise<void> {
    let seq = await this.#everything(link);
    this.contact();
    while (!this.signal.aborted && link.isOpen) {
      await pause(this.options.refresh, this.signal);
      if (this.signal.aborted) return;
      const jobs = await this.#get(link, seq);
      for (const [id, job] of jobs) {
        seq = Math.max(seq, seqOf(job));
        this.#tell(id, job);
      }
      this.contact();
    }
  }

  /** All jobs, changes told, and nothing else remembered. The first time nothing has changed yet. */
  async #everything(link: Link): Promise<number> {
    const jobs = await this.#get(link, undefined);
    const before = this.#known;
    const { since } = this.options;
    this.#known = new Map();
    for (const [id, job] of jobs) {
      const seen = before?.get(id);
      const isNews = before === undefined ? since !== undefined && seqOf(job) > since : seen !== stamp(job);
      this.#known.set(id, stamp(job));
      if (isNews) this.#pass(id, job);
      else if (this.#states !== undefined && this.#isWanted(job)) this.#inside.add(id);
    }
    this.options.onAll?.(new Set(this.#known.keys()));
    return jobs.reduce((most, [, job]) => Math.max(most, seqOf(job)), 0);
  }

  #tell(id: string, job: WireJob): void {
    if (this.#known?.get(id) === stamp(job)) return;
    this.#known?.set(id, stamp(job));
    this.#pass(id, job);
  }

  #pass(id: string, job: WireJob): void {
    if (this.#isWanted(job)) {
      if (this.#states !== undefined) this.#inside.add(id);
      this.options.onJob(id, job, false);
    } else if (this.#inside.delete(id)) this.options.onJob(id, job, true);
  }

  #isWanted(job: WireJob): boolean {
    return this.#states?.includes(job['state']) !== false;
  }

  async #get(link: Link, seq: number | undefined): Promise<[string, WireJob][]> {
    const { state, ...rest } = this.options.filter;
    const asked = this.#states === undefined && state !== undefined ? { state } : {};
    const filter = { ...rest, ...asked, ...(seq === undefined ? {} : { seq }) };
    const [answer] = await link.send([JSON.stringify({ get: filter })]);
    const jobs = answer?.['get'];
    if (isWireJob(jobs))
      return Object.entries(jobs).filter((pair): pair is [string, WireJob] => isWireJob(pair[1]));
    const error = answer?.['error'];
    throw new ClientError(
      'request',
      `the agent does not list its jobs${typeof error === 'string' ? `: ${error}` : ''}`,
    );
  }
}

const seqOf = (job: WireJob): number => (typeof job['seq'] === 'number' ? job['seq'] : 0);
const stamp = (job: WireJob): string => `${seqOf(job)} ${String(job['ts'])} ${String(job['state'])}`;
