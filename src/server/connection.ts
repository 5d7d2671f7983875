import type { Socket } from 'node:net';
import { ChangeFeed } from './change-feed.js';
import { renderLine, runLine } from './dispatch.js';
import type { LineAnswer } from './dispatch.js';
import { toAscii } from './json.js';
import { jobView } from './job-view.js';
import { LineParser } from './line-parser.js';
import { LineSplitter } from './line-splitter.js';
import type { Interest, Service, Session } from './service.js';

/** A longer line is refused, and the connection closed (contract, "The agent"). */
const LONGEST_LINE = 16 * 1024 * 1024;
/** Answers that wait to be read: with more, nothing is read from the client. */
const MOST_UNREAD = 1024 * 1024;
const CHECK_MS = 15_000;

export interface ConnectionLimits {
  /** seconds a line may take to arrive, and an answer to be taken */
  readonly stallSeconds: number;
  /** bytes of unfinished lines, of all connections together */
  readonly budget: { held: number };
}

/** With more than this in unfinished lines, whoever adds to it is let go. */
const MOST_HELD = 128 * 1024 * 1024;

/** One client: its lines in order, one answer a line, in as few writes as there are turns. */
export class Connection {
  private readonly splitter = new LineSplitter(LONGEST_LINE);
  private readonly session: Session;
  private lines: Buffer[] = [];
  private answers: (LineAnswer | string)[] = [];
  private unwritten = 0;
  /** answers wait for the client to read those before them */
  private isBehind = false;
  private feeds: ChangeFeed[] = [];
  private ended = false;
  private closed = false;
  private stalled: number | undefined;
  private progress = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly socket: Socket,
    private readonly service: Service,
    session: Omit<Session, 'startWatch' | 'parser'>,
    private readonly limits: ConnectionLimits,
    private readonly gone: () => void,
  ) {
    this.session = {
      ...session,
      parser: new LineParser(),
      startWatch: (interest, since) => this.startWatch(interest, since),
    };
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('drain', () => this.drained());
    socket.on('end', () => this.finish());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.close());
    this.timer = setInterval(() => this.checkStall(), Math.min(CHECK_MS, limits.stallSeconds * 500)).unref();
  }

  /** Ends it after what is being answered. */
  end(): void {
    this.deliver();
    this.socket.end();
    this.close();
  }

  private receive(chunk: Buffer): void {
    if (this.ended) return;
    const { budget } = this.limits;
    budget.held -= this.splitter.pending;
    const lines = this.splitter.push(chunk);
    budget.held += this.splitter.pending;
    if (lines === undefined || (this.splitter.pending > 0 && budget.held > MOST_HELD)) {
      this.refuse(
        lines === undefined ? `a line is longer than ${LONGEST_LINE} bytes` : 'too busy, try again later',
      );
      return;
    }
    this.lines = this.lines.length === 0 ? lines : [...this.lines, ...lines];
    this.pump();
  }

  private finish(): void {
    const rest = this.takeRest();
    if (rest.length > 0) this.lines.push(rest);
    this.lines.push(Buffer.alloc(0));
    this.pump();
  }

  /** Runs lines until there are none, or the client does not read its answers. */
  private pump(): void {
    let next = 0;
    while (next < this.lines.length && !this.ended && !this.isFull()) {
      const line = this.lines[next++]!;
      if (isBlank(line)) this.ended = true;
      else this.run(line);
    }
    this.lines = this.lines.slice(next);
    if (this.isFull()) this.socket.pause();
    if (this.service.submits.isEmpty) this.deliver();
    else this.service.submits.whenFlushed(() => this.deliver());
  }

  private isFull(): boolean {
    return this.isBehind || this.unwritten + this.socket.writableLength > MOST_UNREAD;
  }

  private run(line: Buffer): void {
    const answer = runLine(line, this.service, this.session);
    if (answer.waits) {
      this.answers.push(answer);
      this.unwritten += line.length;
      return;
    }
    const text = renderLine(answer, this.service);
    this.answers.push(text);
    this.unwritten += text.length;
  }

  /** Writes the answers, as many as there is room for: of a few short lines they may be many times their size. */
  private deliver(): void {
    if (this.closed) return;
    const answers = this.answers;
    let text = '';
    let next = 0;
    while (next < answers.length && text.length + this.socket.writableLength <= MOST_UNREAD) {
      const one = answers[next++]!;
      text += typeof one === 'string' ? one : renderLine(one, this.service);
    }
    this.answers = answers.slice(next);
    this.isBehind = this.answers.length > 0;
    this.unwritten = 0;
    const isTaken = text === '' ? !this.socket.writableNeedDrain : this.socket.write(text, 'latin1');
    if (this.isBehind) {
      // without a drain to come
      if (isTaken) setImmediate(() => this.deliver());
      return;
    }
    if (this.ended) this.socket.end();
    else if (!this.isFull()) this.drained();
  }

  private drained(): void {
    if (this.closed) return;
    if (this.isBehind) return this.deliver();
    if (this.ended) return;
    if (this.socket.isPaused()) this.socket.resume();
    if (this.lines.length > 0) setImmediate(() => this.pump());
    for (const feed of this.feeds) feed.resume();
  }

  private startWatch(interest: Interest, since: number | undefined): number {
    const { core } = this.service;
    for (const feed of this.feeds.splice(0)) feed.stop();
    const context = this.service.view();
    const feed = new ChangeFeed(core, interest, since, {
      view: (record) => jobView(record, context, { protocol: 2, output: true }),
      write: (text) => {
        // what was asked before is answered before
        if (this.answers.length > 0) this.service.submits.flush();
        if (this.isBehind) this.answers.push(text);
        else this.socket.write(text, 'latin1');
        return !this.isFull();
      },
    });
    this.feeds.push(feed);
    return since ?? core.lastSeq;
  }

  private takeRest(): Buffer {
    this.limits.budget.held -= this.splitter.pending;
    return this.splitter.rest();
  }

  private refuse(error: string): void {
    this.ended = true;
    this.lines = [];
    this.takeRest();
    this.deliver();
    this.answers = [];
    this.socket.end(`${toAscii([{ error }])}\n`);
    this.socket.destroySoon();
  }

  /** Half a line, or answers nobody takes: a while, then it is over. */
  private checkStall(): void {
    const isStalled = this.splitter.pending > 0 || this.socket.writableLength > 0 || this.ended;
    if (!isStalled) {
      this.stalled = undefined;
      return;
    }
    const now = this.service.clock.now();
    const progress = this.socket.bytesWritten - this.socket.writableLength;
    if (this.stalled === undefined || this.progress !== progress) this.stalled = now;
    this.progress = progress;
    if (now - this.stalled > this.limits.stallSeconds * 1000) this.socket.destroy();
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.timer);
    for (const feed of this.feeds.splice(0)) feed.stop();
    this.takeRest();
    this.lines = [];
    this.answers = [];
    this.gone();
  }
}

const isBlank = (line: Buffer): boolean =>
  line.length === 0 || (line.length < 8 && line.toString('latin1').trim() === '');
