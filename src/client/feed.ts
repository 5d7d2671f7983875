import { Backoff, pause } from './backoff.js';
import { asClientError, ClientError } from './errors.js';
import { openLink } from './hello.js';
import type { Link } from './link.js';
import type { Endpoint } from './options.js';
import { Poll } from './poll.js';
import type { Presence } from './presence.js';
import { isWireJob, type WireJob } from './wire-job.js';

export interface FeedOptions {
  /** attributes of the jobs to follow, as in `get` */
  readonly filter: Readonly<Record<string, unknown>>;
  /** also the last state of jobs changed after this sequence number; undefined: from now on */
  readonly since?: number | undefined;
  /** ms between polls of an agent that cannot push */
  readonly refresh: number;
  /** seconds to try to reconnect for */
  readonly patience: number;
  readonly presence: Presence;
  /** `left`: the job does not match the filter, or not any more */
  readonly onJob: (id: string, job: WireJob, left: boolean) => void;
  /** told all jobs there are, at every connection to an agent that cannot push */
  readonly onAll?: (ids: ReadonlySet<string>) => void;
}

/**
 * Follows the changes of jobs over a connection of its own, and takes up after a break where it ended: pushed by an
 * agent of protocol 2 (`watch`), polled by sequence number from an older one.
 */
export class Feed {
  /** Changes from here on are seen. Rejects when the agent stays away at the start. */
  readonly ready: Promise<void>;
  /** Resolves when the feed is over: closed, or the agent stayed away. */
  readonly ended: Promise<ClientError>;
  #setReady: () => void = () => undefined;
  #link: Link | undefined;
  #seq: number | undefined;
  #lastContact = Date.now();
  #isPaused = false;
  readonly #poll: Poll;
  readonly #backoff = new Backoff();
  readonly #stop = new AbortController();

  constructor(
    private readonly endpoint: Endpoint,
    private readonly options: FeedOptions,
  ) {
    this.#seq = options.since;
    this.#poll = new Poll(options, this.#stop.signal, () => this.#contact());
    const started = new Promise<void>((resolve) => (this.#setReady = resolve));
    this.ended = this.#run();
    this.ready = Promise.race([
      started,
      this.ended.then((error) => {
        throw error;
      }),
    ]);
    this.ready.catch(() => undefined);
  }

  close(): void {
    this.#stop.abort();
    this.#link?.close();
  }

  /** Takes no more changes until `resume`; the agent keeps them. */
  pause(): void {
    this.#isPaused = true;
    this.#link?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#link?.resume();
  }

  async #run(): Promise<ClientError> {
    const { signal } = this.#stop;
    for (;;) {
      const reason = await this.#follow().catch(asClientError);
      if (signal.aborted) return new ClientError('closed', 'closed by this program');
      const wait = this.#backoff.next(reason);
      if (Date.now() + wait > this.#lastContact + this.options.patience * 1000) return reason;
      this.options.presence.away(reason);
      await pause(wait, signal);
    }
  }

  /** One connection, to its end. */
  async #follow(): Promise<ClientError> {
    const { link, greeting } = await openLink(this.endpoint, this.#stop.signal);
    this.#link = link;
    if (this.#stop.signal.aborted) link.close();
    this.options.presence.back();
    try {
      if (greeting.protocol < 2) await this.#poll.follow(link);
      else await this.#watch(link);
    } finally {
      link.close();
    }
    return link.ended;
  }

  async #watch(link: Link): Promise<void> {
    link.onEvent = (event) => this.#event(event);
    const from = this.#seq === undefined ? {} : { seq: this.#seq };
    const [answer] = await link.send([JSON.stringify({ watch: { ...this.options.filter, ...from } })]);
    const watch = answer?.['watch'];
    if (!isWireJob(watch)) throw refused(answer?.['error']);
    if (typeof watch['seq'] === 'number') this.#seq ??= watch['seq'];
    this.#contact();
    if (this.#isPaused) link.pause();
    await link.ended;
  }

  #contact(): void {
    this.#lastContact = Date.now();
    this.#backoff.reset();
    this.#setReady();
  }

  #event(event: unknown): void {
    if (!isWireJob(event)) return;
    const { job, seq, left } = event;
    this.#lastContact = Date.now();
    if (typeof seq === 'number') this.#seq = Math.max(this.#seq ?? 0, seq);
    if (isWireJob(job) && typeof job['id'] === 'string') this.options.onJob(job['id'], job, left === true);
  }
}

const refused = (error: unknown): ClientError =>
  new ClientError('refused', typeof error === 'string' ? error : 'the agent refuses to be watched');
