import { mkdtempSync, rmSync } from 'node:fs';
import { admit } from '../../src/agent/admission.js';
import { Engine } from '../../src/agent/engine.js';
import type { Spool } from '../../src/agent/spool.js';
import { Store } from '../../src/agent/store.js';
import type { JobRecord, Pools } from '../../src/agent/types.js';
import type { Executor, Run, RunEnd, RunEvents } from '../../src/executors/executor.js';
import { isFinished } from '../../src/protocol/job.js';
import { VirtualClock } from './clock.js';

/** How a process would end if nobody killed it. */
export interface Fate {
  /** ms from when it is asked for until its program begins: the machine may be busy, or suspended; default 0 */
  readonly begins?: number;
  /** ms from then on */
  readonly lasts: number;
  /** exit code; undefined: nobody knows how it ended */
  readonly code: number | undefined;
}

export type AgentStep =
  | {
      readonly do: 'submit';
      readonly job: number;
      readonly pool: 'a' | 'b';
      readonly priority: number;
      readonly retries: number;
      readonly hold: boolean;
      readonly runtime: number | undefined;
      readonly again: boolean;
    }
  | { readonly do: 'kill' | 'free'; readonly job: number }
  | { readonly do: 'slots'; readonly pool: 'a' | 'b'; readonly slots: number }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'crash'; readonly after: number }
  | { readonly do: 'disk full'; readonly writes: number };

export interface AgentScenario {
  readonly steps: readonly AgentStep[];
  /** of processes, taken in turn, for ever */
  readonly fates: readonly Fate[];
}

/** Bugs on purpose, to see that they are found. */
export type AgentPlant =
  | 'a start is not written'
  | 'a kill is not written'
  | 'an end before a crash is not collected'
  | 'slots are ignored'
  | 'hold is ignored'
  | 'retries never end'
  | 'a killed process is left alone'
  | 'nobody is told when a program began'
  | 'who takes over is not told that it began';

interface Process {
  readonly job: string;
  readonly pool: string;
  readonly start: number;
  /** seconds */
  readonly runtime: number | undefined;
  readonly fate: Fate;
  begun: number | undefined;
  killed: boolean;
  end: RunEnd | undefined;
}

class Crash extends Error {}

/** Where the agent may die: its durable steps, each before and after. */
export const agentKillPoints = [
  'store: a job is accepted',
  'store: a start',
  'store: an end',
  'store: a kill',
  'executor: a start',
] as const;
type KillPoint = (typeof agentKillPoints)[number];

/** Which step a write is; one of several takes the name of the first. */
function pointOf([record]: readonly JobRecord[]): KillPoint | undefined {
  if (record === undefined) return undefined;
  if (record.wish !== undefined || (record.state === 'killed' && record.run === 0)) return 'store: a kill';
  if (record.state === 'running') return 'store: a start';
  return record.run === 0 ? 'store: a job is accepted' : 'store: an end';
}

/** What the submitter knows of a job: what was acknowledged. */
export interface Promised {
  readonly id: string;
  readonly key: string;
  readonly spec: JobRecord['spec'];
  /** ms since the start of the simulation */
  killedAt: number | undefined;
}

/** The agent's engine and its real store, with processes, time, crashes and a disk that are not real. */
export class AgentWorld {
  readonly clock = new VirtualClock();
  readonly processes = new Map<string, Process>();
  readonly promised = new Map<string, Promised>();
  readonly #held = new Set<string>();
  /** what must never be, noted when it was seen */
  readonly violations: string[] = [];
  pools: Pools = { a: { slots: 2 }, b: { slots: 1 } };
  crashes = 0;
  /** kill points that were passed */
  readonly passed = new Set<string>();
  readonly #deaths: string[] = [];
  readonly #directory = mkdtempSync('/dev/shm/meeseeks-agent-simulation-');
  readonly #stores: Store[] = [];
  #store!: Store;
  #engine!: Engine;
  #alive = { yes: true };
  #countdown = Infinity;
  #refusals = 0;
  #fate = 0;
  #order = 0;

  constructor(
    private readonly scenario: AgentScenario,
    private readonly plant?: AgentPlant,
  ) {}

  async play(): Promise<void> {
    this.#start();
    for (const step of this.scenario.steps) {
      try {
        await this.#play(step);
      } catch (error) {
        // refused: the caller is told, and nothing has changed
        if (!(error instanceof Crash) && !/disk is full/.test(String(error))) throw error;
      }
      await this.#rest();
    }
    this.#countdown = Infinity;
    this.#refusals = 0;
    this.#held.clear();
    for (const { id } of this.promised.values()) this.#engine.setHold([id], false);
    this.#setPools({ a: { slots: 2 }, b: { slots: 1 } });
    for (let minute = 0; minute < 60; minute++) await this.#pass(60_000);
  }

  end(): void {
    this.#alive.yes = false;
    this.#engine.close();
    for (const store of this.#stores) store.close();
    rmSync(this.#directory, { recursive: true });
  }

  find = (id: string): JobRecord | undefined => this.#engine.find(id);

  async #play(step: AgentStep): Promise<void> {
    switch (step.do) {
      case 'submit':
        this.#submit(step);
        break;
      case 'kill':
        this.#kill(`job${step.job}`);
        break;
      case 'free':
        // whether it is freed before a crash or not is not known
        this.#held.delete(`job${step.job}`);
        this.#engine.setHold([`job${step.job}`], false);
        break;
      case 'slots':
        this.#setPools({ ...this.pools, [step.pool]: { slots: step.slots } });
        break;
      case 'pass':
        await this.#pass(step.ms);
        break;
      case 'crash':
        this.#countdown = step.after;
        break;
      case 'disk full':
        this.#refusals = step.writes;
        break;
    }
  }

  #submit(step: Extract<AgentStep, { do: 'submit' }>): void {
    const id = `job${step.job}`;
    const before = this.promised.get(id);
    const key = before !== undefined && !step.again ? before.key : `key${this.#order}`;
    const { pool, priority, retries, hold, runtime } = step;
    const spec = {
      id,
      pool,
      args: ['x'],
      priority,
      retries,
      hold,
      ...(runtime !== undefined && { runtime }),
    };
    const known = this.#engine.find(id);
    const admission = admit(
      { key, spec },
      known,
      this.pools,
      this.#engine.nextOrder(),
      this.clock.now() / 1000,
    );
    this.#order++;
    if (admission.kind === 'accept') this.#held.delete(id);
    if (admission.kind === 'accept' && hold) this.#held.add(id);
    if (admission.kind === 'refuse') return;
    if (admission.kind === 'known') return;
    if (known !== undefined && !isFinished(known.state))
      this.violations.push(`${id} taken anew while active`);
    try {
      // as the embedded agent does it, and as the one on the wire
      const records = [this.#planted(admission.record)];
      if (step.job % 2 === 0) this.#engine.acceptAndStart(records);
      else this.#engine.accept(records);
    } catch (error) {
      // not acknowledged: it may be there or not
      const there = this.find(id)?.key === key;
      if (there) this.promised.set(id, { id, key, spec, killedAt: undefined });
      if (error instanceof Crash) throw error;
      return;
    }
    this.promised.set(id, { id, key, spec, killedAt: undefined });
  }

  #planted(record: JobRecord): JobRecord {
    if (this.plant === 'hold is ignored') return { ...record, spec: { ...record.spec, hold: false } };
    if (this.plant === 'retries never end') return { ...record, spec: { ...record.spec, retries: 9 } };
    return record;
  }

  /** What of a write reaches the disk. */
  #reaching(records: Iterable<JobRecord>): JobRecord[] {
    return [...records].map((record) => {
      if (this.plant === 'a start is not written' && record.state === 'running')
        return { ...record, state: 'new' as const, run: record.run - 1 };
      if (this.plant === 'a kill is not written' && record.wish === 'kill')
        return { ...record, wish: undefined };
      return record;
    });
  }

  #kill(id: string): void {
    const promised = this.promised.get(id);
    const wasActive = !isFinished(this.find(id)?.state ?? 'done');
    try {
      this.#engine.kill([id], 'kill');
    } catch (error) {
      if (error instanceof Crash) throw error;
      return;
    }
    if (promised !== undefined && wasActive) promised.killedAt = this.clock.elapsed;
  }

  #setPools(pools: Pools): void {
    this.pools = pools;
    this.#engine.setPools(this.#enginePools());
  }

  #enginePools = (): Pools =>
    this.plant === 'slots are ignored' ? { a: { slots: 0 }, b: { slots: 0 } } : this.pools;

  async #pass(ms: number): Promise<void> {
    await this.clock.pass(ms);
    await this.#rest();
  }

  /** The engine takes its turns in setImmediate. */
  async #rest(): Promise<void> {
    for (let i = 0; i < 4; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  #start(): void {
    this.#alive = { yes: true };
    const alive = this.#alive;
    this.#store = new Store(this.#directory);
    this.#stores.push(this.#store);
    this.#engine = new Engine(
      {
        directory: this.#directory,
        node: 'n',
        pools: this.pools,
        defaultSlots: 2,
        expire: 1000,
        env: {},
        log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
        clock: {
          now: () => this.clock.now(),
          after: (ms, callback) => this.clock.after(ms, () => void (alive.yes && guarded(callback))),
        },
      },
      {
        store: this.#storeOf(alive),
        spool: {
          path: (id: string, run: number) => `${id}.${run}`,
          remove: async () => undefined,
        } as unknown as Spool,
        executor: this.#executor(alive),
        changed: () => undefined,
      },
      this.#enginePools(),
    );
    this.#engine.recover();
  }

  #crash(): void {
    this.#countdown = Infinity;
    this.crashes++;
    this.#alive.yes = false;
    this.#engine.close();
    this.#start();
  }

  #storeOf(alive: { readonly yes: boolean }): Store {
    const store = this.#store;
    return new Proxy(store, {
      get: (target, name: keyof Store) => {
        const value = target[name] as unknown;
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          const call = (): unknown => (value as (...all: unknown[]) => unknown).apply(target, args);
          if (name !== 'write') return call();
          if (!alive.yes) throw new Crash('dead');
          if (this.#refusals > 0 && --this.#refusals >= 0) throw new Error('database or disk is full');
          const [records, now] = args as [Iterable<JobRecord>, number];
          const all = [...records];
          const point = pointOf(all);
          if (this.#isDeath('before', point)) this.#die();
          const result = this.#write(target, [all, now]);
          if (this.#isDeath('after', point)) this.#die();
          return result;
        };
      },
    });
  }

  #write(store: Store, [records, now]: [Iterable<JobRecord>, number]): JobRecord[] {
    const all = [...records];
    if (this.plant === undefined) return store.write(all, now);
    const written = store.write(this.#reaching(all), now);
    return all.map((record, i) => ({ ...record, seq: written[i]!.seq, ts: now }));
  }

  /** It dies at this point when it gets there, once. */
  dieAt(where: string): void {
    this.#deaths.push(where);
  }

  #isDeath(when: 'before' | 'after', point: KillPoint | undefined): boolean {
    const where = `${when} ${point}`;
    this.passed.add(where);
    const at = this.#deaths.indexOf(where);
    if (at >= 0) this.#deaths.splice(at, 1);
    return at >= 0 || (point !== 'executor: a start' && --this.#countdown <= 0);
  }

  /** Dies here: what comes after this in the program never happens. */
  #die(): never {
    this.#crash();
    throw new Crash('crash');
  }

  #executor(alive: { readonly yes: boolean }): Executor {
    const events = new Map<string, RunEvents>();
    const tell = (path: string): void => {
      const { end } = this.processes.get(path)!;
      if (alive.yes && end !== undefined) guarded(() => events.get(path)?.ended(end));
    };
    const finish = (path: string, end: RunEnd): void => {
      const process = this.processes.get(path)!;
      if (process.end !== undefined) return;
      process.end = end;
      const { begun = Infinity, runtime = Infinity } = process;
      // the disk may be full, and the agent away, for a while
      if (this.clock.elapsed - begun > runtime * 1000 + 10_000)
        this.violations.push(`${process.job} outlived its runtime`);
      const { killedAt } = this.promised.get(process.job) ?? {};
      if (killedAt !== undefined && killedAt >= process.start && this.clock.elapsed > killedAt + 1000)
        this.violations.push(`${process.job} outlived its kill`);
      for (const listener of this.#listeners) listener(path);
    };
    const tellBegin = (path: string): void => {
      const { begun, end } = this.processes.get(path)!;
      if (!alive.yes || begun === undefined || end !== undefined) return;
      const at = (this.clock.now() - this.clock.elapsed + begun) / 1000;
      const told = this.plant === 'nobody is told when a program began' ? undefined : at;
      guarded(() => events.get(path)?.started(1, told));
    };
    const begin = (path: string): void => {
      const process = this.processes.get(path)!;
      if (process.end !== undefined) return;
      process.begun = this.clock.elapsed;
      this.clock.after(process.fate.lasts, () => finish(path, endOf(process, this.clock)));
      for (const listener of this.#beginListeners) listener(path);
    };
    this.#listeners = [tell];
    this.#beginListeners = [tellBegin];
    return {
      epoch: 'e',
      start: (run, listener) => {
        // what the dead do is not done; the engine has no way back from here that could be thrown through
        if (!alive.yes) return;
        if (this.#isDeath('before', 'executor: a start')) return this.#crash();
        events.set(run.path, listener);
        const process = this.#spawn(run);
        if (process === undefined) return;
        if (this.plant === 'nobody is told when a program began') listener.started(1, undefined);
        this.clock.after(process.fate.begins ?? 0, () => begin(run.path));
        if (this.#isDeath('after', 'executor: a start')) this.#crash();
      },
      adopt: (path, _, listener) => {
        events.set(path, listener);
        const process = this.processes.get(path);
        this.clock.after(0, () => {
          if (process === undefined) guarded(() => alive.yes && listener.ended({ kind: 'never' }));
          else if (process.end !== undefined && this.plant !== 'an end before a crash is not collected')
            tell(path);
          if (process !== undefined && this.plant !== 'who takes over is not told that it began')
            tellBegin(path);
        });
      },
      isOver: (path) => this.processes.get(path)?.end !== undefined,
      kill: (path) => {
        const process = this.processes.get(path);
        if (process === undefined || process.end !== undefined) return;
        if (this.plant === 'a killed process is left alone') return;
        this.#checkRuntime(process);
        process.killed = true;
        this.clock.after(20, () => finish(path, endOf(process, this.clock)));
      },
      stop: () => undefined,
    };
  }
  #listeners: ((path: string) => void)[] = [];
  #beginListeners: ((path: string) => void)[] = [];

  /** Whoever runs too long is killed; who does not, is not. */
  #checkRuntime({ job, runtime = 0, begun = Infinity }: Process): void {
    // seconds since the epoch are exact to a microsecond
    if (this.find(job)?.wish === 'timeout' && this.clock.elapsed - begun < runtime * 1000 - 0.01)
      this.violations.push(`${job} was killed before its time`);
  }

  #spawn(run: Run): Process | undefined {
    const { path } = run;
    const job = path.slice(0, path.lastIndexOf('.'));
    const record = this.find(job);
    const pool = record?.spec.pool ?? '?';
    if (this.processes.has(path)) {
      this.violations.push(`started twice: ${path}`);
      return undefined;
    }
    const alive = [...this.processes.values()].filter((process) => process.end === undefined);
    if (alive.some((process) => process.job === job)) this.violations.push(`two runs of ${job} at a time`);
    const slots = this.pools[pool]?.slots ?? 0;
    // slots may have been taken away from jobs that run
    const used = alive.filter((process) => process.pool === pool).length;
    if (slots > 0 && used >= slots) this.violations.push(`${used + 1} jobs in pool ${pool} of ${slots}`);
    if (slots === -1) this.violations.push(`${job} started in a pool that drains`);
    if (this.#held.has(job)) this.violations.push(`${job} started while held`);
    const { key, killedAt } = this.promised.get(job) ?? {};
    // a submit with another key may start it before it is acknowledged
    if (killedAt !== undefined && record?.key === key) this.violations.push(`${job} started after its kill`);
    const { fates } = this.scenario;
    const process: Process = {
      job,
      pool,
      start: this.clock.elapsed,
      runtime: record?.spec.runtime,
      begun: undefined,
      fate: fates[this.#fate++ % fates.length]!,
      killed: false,
      end: undefined,
    };
    this.processes.set(path, process);
    return process;
  }
}

function endOf(process: Process, clock: VirtualClock): RunEnd {
  const at = clock.now() / 1000;
  if (process.killed) return { kind: 'signal', signal: 15, at };
  const { code } = process.fate;
  return code === undefined ? { kind: 'lost', error: 'nobody knows', at } : { kind: 'exit', code, at };
}

/** A crash ends the callback it happens in, and nothing else. */
function guarded(callback: () => unknown): void {
  try {
    callback();
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
}

/** What must hold when all has come to rest: written against the document, not the engine. */
export function agentViolations(world: AgentWorld): string[] {
  const found = [...world.violations];
  for (const { id, key, spec, killedAt } of world.promised.values()) {
    const record = world.find(id);
    if (record?.key !== key) {
      found.push(`${id} was acknowledged and is not known`);
      continue;
    }
    if (!isFinished(record.state)) found.push(`${id} never ends: ${record.state}`);
    if (killedAt !== undefined && record.state !== 'killed')
      found.push(`${id} was killed and is ${record.state}`);
    if (record.fail_count > (spec.retries ?? 0) + 1) found.push(`${id} failed ${record.fail_count} times`);
    if (record.state === 'failed' && record.fail_count !== (spec.retries ?? 0) + 1)
      found.push(`${id} gave up after ${record.fail_count} failures of ${(spec.retries ?? 0) + 1}`);
    if (record.state === 'done' && record.rc !== 0) found.push(`${id} is done with ${record.rc}`);
  }
  return found;
}
