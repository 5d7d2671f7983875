import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test as base } from 'vitest';
import { parseJournal } from '../../src/executors/process/journals.js';
import { processStat } from '../../src/executors/process/proc.js';
import { journals } from './journals.js';

/** Built by `npm test`; MEESEEKS_TEST_DIST names another build, e.g. while dist is being rebuilt. */
const dist = process.env['MEESEEKS_TEST_DIST'] ?? resolve(import.meta.dirname, '../../dist');
const program = join(dist, 'bin/meeseeks-watch.js');

const POLL_MS = 10;
/** Against hanging only. What must be quick is told by what else would bring it about, and when. */
const DEADLINE_MS = 60_000;

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type Config = { readonly [key: string]: Json };

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [key: string]: unknown;
}

/** Polls every 10 ms until the condition holds. @throws when it does not within `ms` */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string),
  ms = DEADLINE_MS,
): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > deadline)
      throw new Error(`not within ${ms} ms: ${typeof what === 'string' ? what : what()}`);
    await sleep(POLL_MS);
  }
}

/** Observes for `ms` that a condition keeps holding. */
export async function stays(condition: () => boolean, what: string, ms: number): Promise<void> {
  const end = Date.now() + ms;
  do {
    if (!condition()) throw new Error(`did not stay so for ${ms} ms: ${what}`);
    await sleep(POLL_MS);
  } while (Date.now() < end);
}

export interface LaunchOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** a command that runs the command line after it, without a process of its own */
  readonly through?: readonly string[];
  /** run as somebody else; needs root */
  readonly uid?: number;
}

/** The real service in a child process. */
export class Service {
  readonly child: ChildProcess;
  /** resolves with the exit code, or null after a signal */
  readonly exit: Promise<number | null>;
  exited = false;
  #stderr = '';

  constructor(args: readonly string[], options: LaunchOptions & { cwd: string }) {
    const [command, ...rest] = [...(options.through ?? []), process.execPath, program, '--log-format=json'];
    this.child = spawn(command, [...rest, ...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'ignore', 'pipe'],
      ...(options.uid !== undefined && { uid: options.uid, gid: options.uid }),
    });
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.exit = new Promise((done) =>
      this.child.once('exit', (code) => {
        this.exited = true;
        done(code);
      }),
    );
  }

  get stderr(): string {
    return this.#stderr;
  }

  get log(): LogLine[] {
    return this.#stderr
      .split('\n')
      .slice(0, -1)
      .flatMap((line) => {
        try {
          return [JSON.parse(line) as LogLine];
        } catch {
          return [{ level: 0, msg: line }];
        }
      });
  }

  /** How many messages match. */
  said(pattern: RegExp): number {
    return this.log.filter(({ msg }) => pattern.test(msg)).length;
  }

  async hears(pattern: RegExp, ms = DEADLINE_MS): Promise<void> {
    await until(
      () => this.said(pattern) > 0,
      () => `the log says ${String(pattern)}; it says\n${this.tail()}`,
      ms,
    );
  }

  /** Resolves when the watches have made their first turn. */
  async watching(): Promise<this> {
    await until(
      () => this.said(/^watching: /) > 0 || this.exited,
      () => `the service starts\n${this.tail()}`,
    );
    if (this.exited) throw new Error(`the service ended at once:\n${this.tail()}`);
    return this;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM', ms = DEADLINE_MS): Promise<number | null> {
    this.signal(signal);
    await until(
      () => this.exited,
      () => `the service ends after ${signal}\n${this.tail()}`,
      ms,
    );
    return this.exit;
  }

  async crash(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exit;
  }

  tail = (): string => this.#stderr.split('\n').slice(-20).join('\n');
}

/** A world for one test: a directory to watch, a state directory, a configuration, and a log that jobs append to. */
export class Scene {
  readonly root = mkdtempSync(join(tmpdir(), 'meeseeks-it-'));
  readonly data = join(this.root, 'in');
  readonly state = join(this.root, 'state');
  readonly config = join(this.root, 'watch.json');
  readonly runLog = join(this.root, 'runs.log');
  readonly services: Service[] = [];
  readonly #mounts: string[] = [];

  constructor() {
    mkdirSync(this.data);
  }

  path = (...names: string[]): string => join(this.root, ...names);

  file = (name: string): string => join(this.data, name);

  /** Writes a file under its name, at once. */
  drop(name: string, content = 'x'): string {
    writeFileSync(this.file(name), content);
    return this.file(name);
  }

  /** A job that runs a shell script with the file name as $1 and the full path as $2; $log is the run log. */
  script(script: string, more: Config = {}): Config {
    return {
      pool: 'p',
      args: ['sh', '-c', script, 'job', '%(filename)s', '%(file)s'],
      env: { log: this.runLog },
      ...more,
    };
  }

  /** A job that appends the file's name to the run log, after `before` and followed by `after`. */
  append(before = ':', after = ':'): Config {
    return this.script(`${before}; printf '%s\\n' "$1" >>"$log"; ${after}`);
  }

  configure(config: Config): void {
    writeFileSync(this.config, JSON.stringify({ state_dir: this.state, ...config }, null, 1));
  }

  /** One watch named `w` on the data directory, whose job appends the file's name to the run log. */
  watch(keys: Config = {}, more: Config = {}): void {
    const watch = { path: this.data, glob: '*', jobs: [this.append()], ...keys };
    this.configure({ watch: { w: watch }, ...more });
  }

  launch(args: readonly string[] = [this.config], options: LaunchOptions = {}): Service {
    const service = new Service(args, { cwd: this.root, ...options });
    this.services.push(service);
    return service;
  }

  start(args?: readonly string[], options?: LaunchOptions): Promise<Service> {
    return this.launch(args, options).watching();
  }

  /** The command line that runs the CLI. */
  command = (...args: string[]): string[] => [process.execPath, program, ...args];

  /** A command of the CLI that ends by itself. */
  run(...args: string[]): Promise<Result> {
    return new Promise((done) => {
      const child = execFile(
        process.execPath,
        [program, ...args],
        { cwd: this.root, timeout: DEADLINE_MS, maxBuffer: 1 << 26 },
        (_, stdout, stderr) => done({ code: child.exitCode, stdout, stderr }),
      );
    });
  }

  /** The run log, a line a run. */
  runs(log = this.runLog): string[] {
    return existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(0, -1) : [];
  }

  count = (name: string): number => this.runs().filter((line) => line === name).length;

  /** Waits for this many runs, and observes shortly that there are not more. */
  async ran(count: number, ms = DEADLINE_MS): Promise<string[]> {
    await until(
      () => this.runs().length >= count,
      () => `${count} runs; there are ${this.runs().length}\n${this.services.at(-1)?.tail() ?? ''}`,
      ms,
    );
    await stays(() => this.runs().length === count, `${count} runs`, 100);
    return this.runs();
  }

  /** Without the temporary files that become markers by a rename. */
  markers(directory = this.data): string[] {
    return readdirSync(directory)
      .filter((name) => name.startsWith('._') && !name.endsWith('.tmp'))
      .sort();
  }

  marker(name: string, directory = this.data): Record<string, unknown> {
    return JSON.parse(readFileSync(join(directory, name), 'utf8')) as Record<string, unknown>;
  }

  async marked(name: string, ms = DEADLINE_MS): Promise<Record<string, unknown>> {
    await until(
      () => existsSync(join(this.data, name)),
      () => `marker ${name}; there are ${this.markers().join(', ')}\n${this.services.at(-1)?.tail() ?? ''}`,
      ms,
    );
    return this.marker(name);
  }

  /** A file system of its own; false where that is not permitted. */
  mount(path: string, ...options: string[]): boolean {
    try {
      execFileSync('mount', [...options, path], { stdio: 'ignore' });
      this.#mounts.push(path);
      return true;
    } catch {
      return false;
    }
  }

  remount(path: string, options: string): void {
    execFileSync('mount', ['-o', options, path]);
  }

  /** Everything below the root: kind, size, times and content, to see that nothing was touched. */
  snapshot(directory = this.root): string[] {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .sort()
      .map((name) => {
        const path = join(directory, name);
        const stat = lstatSync(path, { bigint: true });
        const content = stat.isFile() ? readFileSync(path).toString('base64') : '';
        return `${name} ${stat.mode} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs} ${content}`;
      });
  }

  async dispose(): Promise<void> {
    await Promise.all(this.services.map((service) => service.crash()));
    await until(() => this.#killJobs() === 0, 'the jobs of the test end');
    for (const path of this.#mounts.reverse()) unmount(path);
    if (existsSync(this.data)) chmodSync(this.data, 0o755);
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Jobs outlive the service by design. Only processes that the journals of this test name, with their start time. */
  #killJobs(): number {
    let alive = 0;
    const texts = stateDirectories(this.root).flatMap((state) => journals(state));
    const leaders = texts.flatMap((text) => [...parseJournal(text).runs.values()].map((run) => run.leader));
    for (const leader of leaders) {
      const stat = leader && processStat(leader.pid);
      if (stat === undefined || stat.birth !== leader?.birth) continue;
      alive++;
      try {
        process.kill(stat.group === stat.pid ? -stat.pid : stat.pid, 'SIGKILL');
      } catch {
        // gone meanwhile
      }
    }
    return alive;
  }
}

function stateDirectories(root: string): string[] {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => /(^|\/)guardians$/.test(name)).map((name) => join(root, dirname(name)));
}

function unmount(path: string): void {
  try {
    execFileSync('umount', ['-l', path], { stdio: 'ignore' });
  } catch {
    // the test did it
  }
}

/** vitest's `test` with a scene of its own. */
export const test = base.extend<{ scene: Scene }>({
  // eslint-disable-next-line no-empty-pattern -- vitest wants the pattern
  scene: async ({}, use) => {
    const scene = new Scene();
    try {
      await use(scene);
    } finally {
      await scene.dispose();
    }
  },
});
