import type { Presence } from './presence.js';
import { Backoff, pause } from './backoff.js';
import { asClientError, ClientError } from './errors.js';
import { openLink, type Greeting } from './hello.js';
import type { Answer, Link } from './link.js';
import type { Endpoint } from './options.js';

/** A request on its way. */
interface Entry {
  readonly name: string;
  /** the request as JSON, for an agent of protocol 1 */
  readonly plain: string;
  /** the same with its options, for newer ones */
  readonly text: string;
  readonly how: RequestStyle;
  /** place in the order of asking, kept when it is sent again */
  readonly serial: number;
  sent: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: ClientError) => void;
}

export interface RequestStyle {
  /** may be sent again when the connection ends before the answer; default true */
  readonly repeatable?: boolean;
  /** its answer may be large: it gets a line of its own */
  readonly alone?: boolean;
  /** sent beside the request to an agent of protocol 2 */
  readonly options?: Readonly<Record<string, unknown>>;
}

export interface ChannelOptions {
  /** seconds to try to connect for, at the start */
  readonly patienceAtStart: number;
  /** seconds to try to connect for, later */
  readonly patience: number;
  readonly presence: Presence;
}

const MOST_IN_A_LINE = 256;
const MOST_BYTES_IN_A_LINE = 1024 * 1024;
const MOST_LINES_OUT = 32;
const MOST_BYTES_UNSENT = 4 * 1024 * 1024;
const MOST_WAITING = 200_000;
/** A request is sent so often before an impatient client gives it up. */
const MOST_SENDS = 5;

/**
 * Requests over a connection that comes back: pipelined, many requests a line, sent again after a break where that
 * is harmless. What waits is bounded: past that, requests are refused.
 */
export class Channel {
  #queue: Entry[] = [];
  #link: Link | undefined;
  #greeting: Greeting | undefined;
  #connecting: Promise<void> | undefined;
  #flushing = false;
  #serial = 0;
  #wasConnected = false;
  readonly #backoff = new Backoff();
  readonly #stop = new AbortController();

  constructor(
    private readonly endpoint: Endpoint,
    private readonly options: ChannelOptions,
  ) {}

  /** Connects when it is not. @returns what the agent said of itself */
  async greeting(): Promise<Greeting> {
    await this.#connect();
    return this.#greeting!;
  }

  get isClosed(): boolean {
    return this.#stop.signal.aborted;
  }

  /** What the agent said last; for after `greeting`. */
  get lastGreeting(): Greeting {
    return this.#greeting ?? { protocol: 1 };
  }

  /** @returns the value of the request in the answer; undefined when the agent does not know the request */
  request(name: string, argument: unknown, how: RequestStyle = {}): Promise<unknown> {
    if (this.#stop.signal.aborted) return Promise.reject(closedByUs());
    if (this.#queue.length >= MOST_WAITING)
      return Promise.reject(
        new ClientError('busy', `${MOST_WAITING} requests wait already; await some answers`),
      );
    return new Promise((resolve, reject) => {
      const plain = JSON.stringify({ [name]: argument });
      const { options } = how;
      const text = options === undefined ? plain : JSON.stringify({ [name]: argument, options });
      this.#queue.push({ name, plain, text, how, serial: this.#serial++, sent: 0, resolve, reject });
      this.#schedule();
    });
  }

  /** Sends nothing more, rejects what waits, disconnects. */
  close(): void {
    this.#stop.abort();
    this.#link?.close();
    this.#rejectAll(closedByUs());
  }

  /** After the current turn, so that requests made together travel together. */
  #schedule(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      if (this.#link?.isOpen === true) return this.#flush(this.#link);
      if (this.#queue.length > 0)
        this.#connect().then(
          () => this.#schedule(),
          (error: unknown) => this.#rejectAll(asClientError(error)),
        );
    });
  }

  #flush(link: Link): void {
    while (this.#queue.length > 0 && link.isOpen) {
      if (link.waiting >= MOST_LINES_OUT || link.unsent > MOST_BYTES_UNSENT) return;
      const batch = this.#queue.splice(0, batchLength(this.#queue));
      void this.#send(link, batch);
    }
  }

  async #send(link: Link, batch: readonly Entry[]): Promise<void> {
    for (const entry of batch) entry.sent++;
    try {
      const isNew = this.lastGreeting.protocol >= 2;
      const answers = await link.send(batch.map(({ text, plain }) => (isNew ? text : plain)));
      this.#backoff.reset();
      this.#settle(batch, answers);
    } catch (error) {
      this.#lost(batch, asClientError(error));
    }
    this.#schedule();
  }

  /** The original answers nothing after a request that failed: the rest of the line was not run and goes again. */
  #settle(batch: readonly Entry[], answers: readonly Answer[]): void {
    for (const [i, entry] of batch.slice(0, answers.length).entries()) settle(entry, answers[i]!);
    const rest = batch.slice(answers.length);
    if (rest.length === 0) return;
    if (typeof answers.at(-1)?.['error'] === 'string') this.#putBack(rest);
    else for (const entry of rest) entry.reject(unanswered(this.endpoint));
  }

  #lost(batch: readonly Entry[], error: ClientError): void {
    const isPatient = this.options.patience === Infinity;
    const again = (entry: Entry): boolean =>
      entry.how.repeatable !== false &&
      !this.#stop.signal.aborted &&
      (isPatient || (error.code === 'closed' && entry.sent < MOST_SENDS));
    for (const entry of batch) if (!again(entry)) entry.reject(error);
    this.#putBack(batch.filter(again));
  }

  #putBack(entries: readonly Entry[]): void {
    this.#queue = [...entries, ...this.#queue].sort((a, b) => a.serial - b.serial);
  }

  #rejectAll(error: ClientError): void {
    for (const { reject } of this.#queue.splice(0)) reject(error);
  }

  #connect(): Promise<void> {
    if (this.#stop.signal.aborted) return Promise.reject(closedByUs());
    if (this.#link?.isOpen === true) return Promise.resolve();
    this.#connecting ??= this.#tryToConnect().finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  async #tryToConnect(): Promise<void> {
    const { signal } = this.#stop;
    const patience = this.#wasConnected ? this.options.patience : this.options.patienceAtStart;
    const end = Date.now() + patience * 1000;
    if (this.#wasConnected) await pause(this.#backoff.next(), signal);
    for (;;) {
      try {
        const { link, greeting } = await openLink(this.endpoint, signal);
        return this.#connected(link, greeting);
      } catch (error) {
        const reason = asClientError(error);
        const wait = this.#backoff.next(reason);
        if (signal.aborted) throw closedByUs();
        if (Date.now() + wait > end) throw reason;
        this.options.presence.away(reason);
        await pause(wait, signal);
      }
    }
  }

  #connected(link: Link, greeting: Greeting): void {
    [this.#link, this.#greeting, this.#wasConnected] = [link, greeting, true];
    this.options.presence.back();
    if (this.#stop.signal.aborted) link.close();
    void this.#afterwards(link);
  }

  async #afterwards(link: Link): Promise<void> {
    const reason = await link.ended;
    if (!this.#stop.signal.aborted && this.#queue.length > 0) this.options.presence.away(reason);
    this.#schedule();
  }
}

function batchLength(queue: readonly Entry[]): number {
  let bytes = 0;
  let count = 0;
  for (const { text, how } of queue) {
    const isFull = count >= MOST_IN_A_LINE || bytes + text.length > MOST_BYTES_IN_A_LINE;
    if (count > 0 && (isFull || how.alone === true)) break;
    bytes += text.length;
    count++;
    if (how.alone === true) break;
  }
  return count;
}

function settle({ name, resolve, reject }: Entry, answer: Answer): void {
  if (Object.hasOwn(answer, name)) return resolve(answer[name]);
  const error = answer['error'];
  if (typeof error === 'string') return reject(new ClientError('request', error));
  resolve(undefined);
}

const closedByUs = (): ClientError => new ClientError('closed', 'the client was closed');
const unanswered = ({ name }: Endpoint): ClientError =>
  new ClientError('protocol', `${name} left requests unanswered`);
