import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

interface LogEntry {
  readonly msg: string;
  readonly job?: string;
  readonly jobs?: number;
}

/** A service under torture: one process at a time, started again after each end. Its log is one file for all of them. */
export class Participant {
  /** what it said since it was started last, as far as it was read */
  readonly log: LogEntry[] = [];
  starts = 0;
  #child: ChildProcess | undefined;
  #ended = Promise.resolve();
  #asked = false;
  #offset = 0;
  #rest = '';

  constructor(
    readonly name: string,
    private readonly command: readonly string[],
    private readonly logFile: string,
    private readonly env: NodeJS.ProcessEnv,
    private readonly events: { heard(entry: LogEntry): void; died(how: string): void },
  ) {
    writeFileSync(logFile, '');
  }

  get isUp(): boolean {
    return this.#child !== undefined;
  }

  start(): void {
    if (this.isUp) return;
    const fd = openSync(this.logFile, 'a');
    const child = spawn(process.execPath, this.command, { env: this.env, stdio: ['ignore', fd, fd] });
    closeSync(fd);
    this.starts++;
    this.#child = child;
    this.#asked = false;
    this.log.length = 0;
    this.#ended = new Promise((done) =>
      child.once('exit', (code, signal) => {
        this.#child = undefined;
        if (!this.#asked) this.events.died(signal ?? `exit code ${code}`);
        done();
      }),
    );
  }

  /** Resolves true when the process has ended, false after `ms`. */
  async ended(ms: number): Promise<boolean> {
    return Promise.race([this.#ended.then(() => true), sleep(ms, false)]);
  }

  /** @param asks whether an end is what is asked for */
  signal(signal: NodeJS.Signals, asks = false): void {
    this.#asked ||= asks;
    this.#child?.kill(signal);
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL', true);
    await this.#ended;
  }

  /** Whether it has come so far that signals mean something to it. */
  said(pattern: RegExp): boolean {
    this.read();
    return this.log.some(({ msg }) => pattern.test(msg));
  }

  read(): void {
    const bytes = readFileSync(this.logFile);
    const lines = (this.#rest + bytes.toString('utf8', this.#offset)).split('\n');
    this.#offset = bytes.length;
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const entry = parse(line);
      this.log.push(entry);
      this.events.heard(entry);
    }
  }
}

/** A line that a kill cut is told as it is. */
function parse(line: string): LogEntry {
  try {
    return JSON.parse(line) as LogEntry;
  } catch {
    return { msg: line };
  }
}
