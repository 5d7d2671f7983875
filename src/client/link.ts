import type { Socket } from 'node:net';
import { ClientError } from './errors.js';
import { lineReader } from './lines.js';

export type Answer = Readonly<Record<string, unknown>>;

interface Pending {
  readonly resolve: (answers: readonly Answer[]) => void;
  readonly reject: (error: ClientError) => void;
}

interface LinkOptions {
  /** ms without a byte of an awaited answer */
  readonly timeout: number;
  readonly maxAnswer: number;
  readonly name: string;
}

/** One open connection: lines out, answers in the same order, events in between. Ends once, with a reason. */
export class Link {
  readonly #pending: Pending[] = [];
  #timer: NodeJS.Timeout | undefined;
  #end: ClientError | undefined;
  readonly #ended: Promise<ClientError>;
  #resolveEnded: (error: ClientError) => void = () => undefined;
  /** told of lines that answer nothing: `[{"event": ...}]` */
  onEvent: (event: unknown) => void = () => undefined;

  constructor(
    private readonly socket: Socket,
    private readonly options: LinkOptions,
  ) {
    this.#ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    const feed = lineReader(options.maxAnswer, (line) => this.#line(line));
    socket.on('data', (chunk: Buffer) => {
      this.#timer?.refresh();
      if (!feed(chunk)) this.#fail('protocol', `sent an answer over ${options.maxAnswer} bytes`);
    });
    socket.on('error', (error) => this.#fail('closed', `broke the connection: ${error.message}`));
    socket.on('close', () => this.#fail('closed', 'closed the connection'));
  }

  /** Resolves when the connection is over. */
  get ended(): Promise<ClientError> {
    return this.#ended;
  }

  get isOpen(): boolean {
    return this.#end === undefined;
  }

  /** Lines sent and not answered yet. */
  get waiting(): number {
    return this.#pending.length;
  }

  /** Bytes the system has not taken yet. */
  get unsent(): number {
    return this.socket.writableLength;
  }

  /** Sends one line of requests, each already JSON. */
  send(requests: readonly string[]): Promise<readonly Answer[]> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => {
      this.#pending.push({ resolve, reject });
      if (this.#pending.length === 1) this.#watch();
      this.socket.write(`[${requests.join(',')}]\n`);
    });
  }

  /** Stops reading: the agent's sends back up, memory does not. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Says goodbye (an empty line disconnects) and closes. */
  close(): void {
    if (this.#end !== undefined) return;
    const { socket } = this;
    this.#finish(new ClientError('closed', 'the connection was closed by this program'));
    socket.end('\n');
    const timer = setTimeout(() => socket.destroy(), 1000);
    socket.once('close', () => clearTimeout(timer));
    socket.resume();
  }

  #line(line: string): void {
    if (line === '' || this.#end !== undefined) return;
    const answers = parse(line);
    if (answers === undefined) return this.#fail('protocol', 'does not speak the protocol of meeseeks');
    const events = answers.filter((answer) => 'event' in answer);
    if (answers.length > 0 && events.length === answers.length) {
      for (const { event } of events) this.onEvent(event);
      return;
    }
    const pending = this.#pending.shift();
    if (pending === undefined) return this.#unasked(answers);
    this.#watch();
    pending.resolve(answers);
  }

  /** An error before any request is the agent's goodbye: too many connections, no token. */
  #unasked(answers: readonly Answer[]): void {
    const error = answers[0]?.['error'];
    this.#fail('protocol', typeof error === 'string' ? `says: ${error}` : 'answered what nobody asked');
  }

  #watch(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending.length === 0) return;
    const seconds = this.options.timeout / 1000;
    this.#timer = setTimeout(
      () => this.#fail('timeout', `gave no answer for ${seconds} s`),
      this.options.timeout,
    );
  }

  #fail(code: 'protocol' | 'closed' | 'timeout', what: string): void {
    if (this.#end !== undefined) return;
    this.#finish(new ClientError(code, `${this.options.name} ${what}`));
    this.socket.destroy();
  }

  #finish(end: ClientError): void {
    this.#end = end;
    clearTimeout(this.#timer);
    for (const { reject } of this.#pending.splice(0)) reject(end);
    this.#resolveEnded(end);
  }
}

function parse(line: string): Answer[] | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return Array.isArray(value) && value.every(isAnswer) ? value : undefined;
  } catch {
    return undefined;
  }
}

const isAnswer = (value: unknown): value is Answer =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
