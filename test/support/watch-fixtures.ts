import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { JobStep, JobTemplate, WatchDefinition } from '../../src/config/schema.js';
import type { Clock } from '../../src/lib/clock.js';
import { bytesToText, textToBytes } from '../../src/lib/text.js';
import type { SubmitRequest } from '../../src/protocol/agent.js';
import type { Job } from '../../src/protocol/job.js';
import { identityOf, type FileStat, type Identity } from '../../src/watch/identity.js';
import type { MarkerState } from '../../src/watch/marker-name.js';
import type { Evidence, InFlight, ObservedFile, PlanInput } from '../../src/watch/observation.js';
import { plan, type Action, type Plan } from '../../src/watch/plan.js';
import type { Result, StepRecord } from '../../src/watch/record.js';
import { compileSelector } from '../../src/watch/select.js';
import { findUnits, type Unit } from '../../src/watch/unit.js';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** A directory of its own, removed after the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'meeseeks-watch-'));
  directories.push(directory);
  return directory;
}

/** A moment for tests, ms. */
export const NOW = 1_800_000_000_000;

export const spec = (...args: string[]): JobTemplate => ({
  pool: 'p',
  args: args.length === 0 ? ['true'] : args,
});
export const single = (...args: string[]): JobStep => ({ kind: 'single', spec: spec(...args) });
export const nothing: JobStep = { kind: 'single', spec: null };
export const lists = (...specs: (JobTemplate | null)[]): JobStep => ({ kind: 'lists', specs });
export const globs = (...patterns: string[]): WatchDefinition['lists'] =>
  patterns.map((glob) => ({ glob, pattern: undefined }));
export const patterns = (...expressions: string[]): WatchDefinition['lists'] =>
  expressions.map((pattern) => ({ glob: undefined, pattern }));

/** A watch with the documented defaults; `closed` is off, so that no probe comes before a submit. */
export function watchWith(over: Partial<WatchDefinition> = {}): WatchDefinition {
  const watch: WatchDefinition = {
    name: 'w',
    path: '/data',
    lists: globs('*'),
    exclude: [],
    recursive: false,
    type: 'file',
    reverse: false,
    split: undefined,
    fileset: undefined,
    leastLists: 1,
    skip: 0,
    updated: false,
    retries: Infinity,
    retryDelay: 30,
    retryMaxDelay: 3600,
    runAll: true,
    minAge: 0,
    maxAge: undefined,
    maxIndex: undefined,
    maxJobs: 1000,
    count: 1,
    refresh: 10,
    rescan: 60,
    cleanup: true,
    ready: { stable: undefined, sentinel: undefined, check: undefined, closed: false },
    statePath: undefined,
    store: 'marker',
    lease: 0,
    events: true,
    steps: [single()],
    keys: {},
    ...over,
  };
  return over.leastLists === undefined ? { ...watch, leastLists: watch.lists.length } : watch;
}

export interface Times {
  /** ms */
  readonly mtime?: number;
  readonly ctime?: number;
  readonly birth?: number;
  readonly size?: number;
  readonly inode?: number;
}

/** By default an hour old. */
export function statWith(times: Times = {}): FileStat {
  const mtime = times.mtime ?? NOW - 3_600_000;
  return {
    mtimeNs: BigInt(mtime) * 1_000_000n,
    ctimeNs: BigInt(times.ctime ?? mtime) * 1_000_000n,
    birthNs: BigInt(times.birth ?? 5) * 1_000_000n,
    size: times.size ?? 10,
    inode: BigInt(times.inode ?? 7),
  };
}

/** A file as the observer would hand it to the planner. */
export function fileOf(
  watch: WatchDefinition,
  path: string,
  over: Partial<ObservedFile> & { times?: Times } = {},
): ObservedFile {
  const { times, ...rest } = over;
  const stat = statWith(times);
  return {
    path,
    bytes: textToBytes(path),
    stat,
    selection: compileSelector(watch)(path),
    observedAt: Number(stat.ctimeNs / 1_000_000n),
    backlog: false,
    replaced: false,
    overwritten: false,
    quietUntil: 0,
    ...rest,
  };
}

/** Those of a list, in the order of the watch. */
export function inOrder(watch: WatchDefinition, files: readonly ObservedFile[]): ObservedFile[] {
  const sorted = files
    .filter((file) => file.selection.lists.length > 0)
    .sort((a, b) => Buffer.compare(Buffer.from(a.bytes, 'latin1'), Buffer.from(b.bytes, 'latin1')));
  return watch.reverse ? sorted : sorted.reverse();
}

export const filesOf = (watch: WatchDefinition, ...paths: string[]): ObservedFile[] =>
  inOrder(
    watch,
    paths.map((path) => fileOf(watch, path)),
  );

/** The unit of a file that is alone in its watch. */
export function unitOf(file: ObservedFile, index = 0): Unit {
  return { file, list: file.selection.lists[0] ?? 0, index };
}

export const unitsOf = (watch: WatchDefinition, ...paths: string[]): readonly Unit[] =>
  findUnits(watch, filesOf(watch, ...paths), NOW).units;

export const record = (...states: MarkerState[]): StepRecord => ({ states: new Set(states) });

/** What is known in a test: records, jobs in flight and evidence, all by hand. */
export class World {
  readonly records = new Map<string, StepRecord>();
  readonly flying = new Map<string, InFlight>();
  readonly evidence = new Map<string, Evidence>();
  inFlightCount: number | undefined;
  backlogInFlight = 0;
  now = NOW;

  constructor(
    readonly watch: WatchDefinition,
    public files: readonly ObservedFile[],
  ) {}

  mark(path: string, step: number, ...states: MarkerState[]): this {
    return this.set(path, step, record(...states));
  }

  set(path: string, step: number, known: StepRecord): this {
    this.records.set(`${path}\0${step}`, known);
    return this;
  }

  fly(path: string, step = 0): this {
    this.flying.set(path, { step, jobId: `j-${path}`, attempt: 1, identity: identityOf(statWith()) });
    return this;
  }

  recordOf(path: string, step: number): StepRecord {
    return this.records.get(`${path}\0${step}`) ?? record();
  }

  input(): PlanInput {
    return {
      files: this.files,
      now: this.now,
      record: (path, step) => this.recordOf(path, step),
      inFlight: (path) => this.flying.get(path),
      inFlightCount: this.inFlightCount ?? this.flying.size,
      evidence: (path) => this.evidence.get(path),
      backlogInFlight: this.backlogInFlight,
    };
  }

  plan(): Plan {
    return plan(this.watch, this.input());
  }
}

export const describe1 = (action: Action): string =>
  action.kind === 'probe'
    ? `probe ${action.what} ${action.unit.file.path} ${action.step}`
    : `${action.kind} ${action.unit.file.path} ${action.step}`;

/** `submit b 0`, `mark a 1`, `probe closed c 0`. */
export const actionsOf = (made: Plan): string[] => made.actions.map(describe1);

export type Submit = Extract<Action, { kind: 'submit' }>;
export const submitsOf = (made: Plan): Submit[] => made.actions.filter((action) => action.kind === 'submit');

export const identityWith = (times: Times = {}): Identity => identityOf(statWith(times));

export function jobWith(over: Partial<Job> = {}): Job {
  return {
    id: 'j',
    key: 'k',
    pool: 'p',
    args: ['true'],
    node: 'n',
    state: 'done',
    active: false,
    rc: 0,
    seq: 1,
    ts: NOW / 1000,
    submit_ts: NOW / 1000 - 2,
    start_ts: NOW / 1000 - 1,
    end_ts: NOW / 1000,
    start_count: 1,
    fail_count: 0,
    ...over,
  };
}

export const resultWith = (path: string, over: Partial<Result> = {}): Result => ({
  ref: { path, step: 0 },
  watch: 'w',
  identity: identityWith(),
  attempt: 1,
  agent: 'test',
  job: jobWith(),
  ...over,
});

/** Time that passes only when told to. */
export class ManualClock implements Clock {
  #now: number;
  #timers: { at: number; callback: () => void }[] = [];

  constructor(now = NOW) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** when timers are due, in ms from now, ascending */
  get pending(): number[] {
    return this.#timers.map(({ at }) => at - this.#now).sort((a, b) => a - b);
  }

  /** Lets time pass, calling what is due in its order; what promises bring about in between happens in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await quiet();
      const next = this.#timers.sort((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#timers.shift();
      this.#now = Math.max(this.#now, next.at);
      next.callback();
    }
    this.#now = end;
    await quiet();
  }
}

/** All promises that can settle have settled. */
export const quiet = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The name with the given bytes, as text. */
export const textOf = (...bytes: number[]): string => bytesToText(String.fromCharCode(...bytes));

/** Names that break careless programs. */
export const nastyNames = [
  'a b',
  'line\nbreak',
  'trailing\n',
  '\n',
  `it's "quoted"`,
  '%s%n %(file)s %',
  '-rf',
  '--help',
  'back\\slash',
  '$(touch x)',
  '`id`',
  ';|&<>*?[]{}()!#~',
  'ümläut',
  '日本語',
  '😀.txt',
  'no_under_score_0_x',
  'a.done',
  textOf(0xff, 0xfe, 0x61),
  textOf(0x61, 0xc3),
  textOf(0xed, 0xb2, 0x80),
  'x'.repeat(255),
  '\u0001\u001b[31m',
] as const;

/** What an agent says of a job that it was given. */
export function jobOf({ key, spec }: SubmitRequest, state: Job['state']): Job {
  return {
    ...spec,
    args: [...spec.args],
    key,
    node: '',
    state,
    active: state === 'running',
    seq: 0,
    ts: 1,
    submit_ts: 1,
    start_count: 1,
    fail_count: 0,
  };
}
