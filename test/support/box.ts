import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** Built by `npm test`; MEESEEKS_TEST_DIST names another build, e.g. while dist is being rebuilt. */
const dist = process.env['MEESEEKS_TEST_DIST'] ?? resolve(import.meta.dirname, '../../dist');
const program = join(dist, 'bin/meeseeks-box.js');

export interface BoxSetup {
  /** also holds the configuration; default: a new temporary one, removed by `remove` */
  readonly directory?: string;
  readonly config?: Record<string, unknown>;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** ms, against hanging only: a busy machine is no failure */
const DEADLINE_MS = 60_000;

/** A meeseeks-box in a process of its own, on a port of the system's choice. */
export class Box {
  readonly directory: string;
  readonly log: Record<string, unknown>[] = [];
  stderr = '';
  port = 0;
  private child!: ChildProcess;
  private gone!: Promise<number | null>;

  private constructor(private setup: BoxSetup) {
    this.directory = setup.directory ?? mkdtempSync(join(tmpdir(), 'meeseeks-box-'));
  }

  /** Resolves when it listens. @throws Error with what it said when it does not */
  static async start(setup: BoxSetup = {}): Promise<Box> {
    const box = new Box(setup);
    try {
      await box.restart();
    } catch (error) {
      if (setup.directory === undefined) rmSync(box.directory, { recursive: true, force: true });
      throw error;
    }
    return box;
  }

  /** The same again, after it ended. */
  async restart(config: Record<string, unknown> = this.setup.config ?? {}): Promise<void> {
    this.configure(config);
    const args = ['--log-format', 'json', this.configFile, ...(this.setup.args ?? [])];
    this.child = spawn(process.execPath, [program, ...args], {
      cwd: this.directory,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        HOME: this.directory,
        XDG_STATE_HOME: join(this.directory, 'state'),
        ...this.setup.env,
      },
    });
    this.gone = new Promise((done) => this.child.once('close', (code) => done(code)));
    const from = this.log.length;
    const entry = await this.readiness(from);
    if (entry === undefined) throw new Error(`the box did not start: ${this.stderr}`);
    this.port = (entry['ports'] as (number | null)[]).find((port) => port !== null) ?? 0;
  }

  /** What the next `restart` starts with. */
  settle(config: Record<string, unknown>): void {
    this.setup = { ...this.setup, config };
  }

  /** Writes the configuration file anew. */
  configure(config: Record<string, unknown>): void {
    const whole = { name: 'n1', listen: { address: '127.0.0.1', port: 0 }, ...config };
    writeFileSync(this.configFile, JSON.stringify(whole));
  }

  get pid(): number {
    return this.child.pid!;
  }

  connect(): Promise<Socket> {
    return new Promise((done, failed) => {
      const socket = connect(this.port, '127.0.0.1', () => done(socket));
      socket.once('error', failed);
    });
  }

  /** Sends lines on one connection and reads until it is closed. @returns the answers, parsed */
  async ask(...lines: readonly (string | object)[]): Promise<unknown[]> {
    const text = lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('');
    return parseLines(await this.raw(Buffer.from(text)));
  }

  /** Sends bytes, ends the sending side, and reads all that comes. */
  async raw(bytes: Uint8Array): Promise<string> {
    return exchange(await this.connect(), bytes);
  }

  /** The answer to one request, or its error. */
  async request(name: string, argument: unknown): Promise<unknown> {
    const [answer] = (await this.ask([{ [name]: argument }])) as Record<string, unknown>[][];
    const [item] = answer ?? [];
    return item !== undefined && name in item ? item[name] : item;
  }

  /** The job as soon as it is as wanted. */
  async until(
    id: string,
    wanted: (job: Record<string, unknown>) => boolean,
  ): Promise<Record<string, unknown>> {
    for (const end = Date.now() + DEADLINE_MS; Date.now() < end; await pause(20)) {
      const job = (await this.request('query', id)) as Record<string, unknown>;
      if (typeof job['state'] === 'string' && wanted(job)) return job;
    }
    throw new Error(`job ${id} did not become so: ${JSON.stringify(await this.request('query', id))}`);
  }

  finished(id: string): Promise<Record<string, unknown>> {
    return this.until(id, (job) => /done|failed|killed/.test(String(job['state'])) && job['active'] !== true);
  }

  /** Resolves when the log has a message like this. */
  async says(message: RegExp): Promise<void> {
    for (const end = Date.now() + DEADLINE_MS; Date.now() < end; await pause(20))
      if (this.log.some((entry) => message.test(String(entry['msg'])))) return;
    throw new Error(`no ${String(message)} in the log: ${this.stderr}`);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** kill -9, of this process only. */
  async crash(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.gone;
  }

  /** @returns the exit code */
  async stop(...signals: readonly NodeJS.Signals[]): Promise<number | null> {
    for (const signal of signals.length > 0 ? signals : (['SIGTERM'] as const)) {
      this.child.kill(signal);
      await Promise.race([pause(100), this.gone]);
    }
    return this.gone;
  }

  /** Ends it and its jobs, and removes what it left. */
  async remove(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) await this.restart();
    await this.stop('SIGINT', 'SIGINT');
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 10 });
  }

  private get configFile(): string {
    return join(this.directory, 'box.json');
  }

  private readiness(from: number): Promise<Record<string, unknown> | undefined> {
    const ready = new Promise<Record<string, unknown>>((done) => {
      let rest = '';
      this.child.stderr?.on('data', (chunk: Buffer) => {
        this.stderr += chunk.toString();
        const lines = (rest + chunk.toString()).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines)
          if (line.startsWith('{')) this.log.push(JSON.parse(line) as Record<string, unknown>);
        const entry = this.log.slice(from).find((one) => 'ports' in one);
        if (entry) done(entry);
      });
    });
    return Promise.race([ready, this.gone.then(() => undefined)]);
  }
}

/** Sends, ends the sending side, and reads until the other one closes; a reset counts as its end. */
export function exchange(socket: Socket, bytes: Uint8Array): Promise<string> {
  return new Promise((done) => {
    const chunks: Buffer[] = [];
    const finish = (): void => done(Buffer.concat(chunks).toString('utf8'));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('close', finish);
    socket.on('error', finish);
    socket.end(bytes);
  });
}

export const parseLines = (text: string): unknown[] =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);

/** Polls every 20 ms until the condition holds. @throws when it does not */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = condition.toString(),
): Promise<void> {
  for (const end = Date.now() + DEADLINE_MS; !(await condition()); await pause(20))
    if (Date.now() > end) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`);
}

export const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
