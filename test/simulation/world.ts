import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { WatchDefinition } from '../../src/config/schema.js';
import type { SubmitRequest } from '../../src/protocol/agent.js';
import { isFinished, type Job } from '../../src/protocol/job.js';
import type { FileSystem } from '../../src/lib/file-system.js';
import type { HintListener, Hints } from '../../src/watch/hints.js';
import { Ledger, type Submission } from '../../src/watch/ledger.js';
import { Watcher } from '../../src/watch/watcher.js';
import { watchWith } from '../support/watch-fixtures.js';
import { VirtualClock } from './clock.js';
import { MemoryFiles } from './memory-files.js';
import { port, ReferenceAgent, type Fate } from './reference-agent.js';

/** What happens, in order. Times are ms. */
export type Step =
  | { readonly do: 'drop' | 'rewrite'; readonly name: string; readonly skew: number }
  | { readonly do: 'delete'; readonly name: string }
  /** a sentinel comes and goes */
  | { readonly do: 'sign' | 'unsign'; readonly name: string }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'crash'; readonly after: number; readonly downFor: number }
  | { readonly do: 'power cut'; readonly kept: number; readonly downFor: number }
  | { readonly do: 'restart' }
  /** the kernel's queue runs over: so many changes from now on are not told */
  | { readonly do: 'overflow'; readonly count: number }
  | { readonly do: 'set clock'; readonly by: number };

export interface Scenario {
  readonly watch: Partial<WatchDefinition> & { readonly steps: WatchDefinition['steps'] };
  readonly slots: number;
  /** processed files that a scan looks at itself; the rest is looked at between the turns */
  readonly lookAtOnce?: number;
  readonly steps: readonly Step[];
  /** of messages, taken in turn, for ever */
  readonly fates: readonly Fate[];
  /** ms a job takes, in turn, for ever */
  readonly lasts: readonly number[];
  /** how often each file's jobs fail before they succeed */
  readonly failures: Readonly<Record<string, number>>;
}

/** Bugs on purpose, to see that they are found. */
export type Plant =
  | 'nothing is flushed'
  | 'no intent is written'
  | 'every submit has a new id'
  | 'jobs count as done when they start'
  | 'jobs count as failed when they start'
  | 'the agent forgets results at once'
  | 'markers are never removed'
  | 'max_jobs is ignored'
  | 'retries never end'
  | 'quiet is not waited for'
  | 'sentinels are not looked for'
  | 'any set is complete';

/** A name for as long as a file stands under it: from its arrival until it is deleted. */
export interface Life {
  readonly name: string;
  /** modification times it has had, ms */
  readonly mtimes: number[];
  /** when it got each of them, ms since the start */
  readonly changedAt: number[];
  endedAt: number | undefined;
}

/** A time in which the sentinel of a name was there, ms since the start. */
export interface Sign {
  readonly name: string;
  readonly from: number;
  until: number | undefined;
}

/** Hidden: no data of the watch. */
const sentinelOf = (name: string): string => `.${name}.ok`;
export const SENTINEL = sentinelOf('%(filename)s');

class Crash extends Error {}

/** Where a watcher may die: names of durable steps, each before and after. */
export const killPoints = [
  'ledger.intend',
  'ledger.record',
  'ledger.withdraw',
  'agent.submit',
  'agent.release',
  'file.openSync',
  'file.writeFileSync',
  'file.flush',
  'file.renameSync',
  'file.unlinkSync',
] as const;

/** One start of the watcher, until it ends or dies at a kill point. */
class Instance {
  alive = true;
  /** durable steps (two a step: before, after) until it dies */
  countdown = Infinity;
  /** of one name only */
  at: { readonly point: string; readonly after: boolean } | undefined;
  /** where it died */
  died: string | undefined;
  onDeath: () => void = () => undefined;

  constructor(readonly passed: Set<string>) {}

  step<T>(point: string, action: () => T): T {
    this.#reach(point, 'before');
    const result = action();
    this.#reach(point, 'after');
    return result;
  }

  #reach(point: string, when: 'before' | 'after'): void {
    if (!this.alive) throw new Crash('dead');
    this.passed.add(`${point} ${when}`);
    const isHere = this.at?.point === point && this.at.after === (when === 'after');
    if (!isHere && --this.countdown > 0) return;
    this.alive = false;
    this.died = `${when} ${point}`;
    this.onDeath();
    throw new Crash(this.died);
  }
}

/** A watcher that is real, in a world that is not: time, files, agent, crashes. */
export class World {
  readonly clock = new VirtualClock();
  readonly files = new MemoryFiles('/data', () => this.clock.now());
  readonly lives: Life[] = [];
  readonly signs: Sign[] = [];
  clockWasSet = false;
  readonly deaths: string[] = [];
  /** kill points that were passed */
  readonly passed = new Set<string>();
  readonly said: string[] = [];
  readonly agent: ReferenceAgent;
  readonly watch: WatchDefinition;
  readonly #directory = mkdtempSync('/dev/shm/meeseeks-simulation-');
  readonly #ledger = new Ledger(join(this.#directory, 'watch.db'));
  readonly #failed = new Map<string, number>();
  readonly #locked = new Map<string, Instance>();
  /** submissions closed since the last intent */
  #recorded: Submission[] = [];
  #instance: Instance | undefined;
  #watcher: Watcher | undefined;
  #fate = 0;
  #lasts = 0;
  #calm = false;
  #muted = 0;
  #startAt: number | undefined;

  constructor(
    private readonly scenario: Scenario,
    private readonly plant?: Plant,
  ) {
    this.watch = watchWith({
      path: '/data',
      rescan: 10,
      refresh: 5,
      retryDelay: 1,
      retryMaxDelay: 8,
      ...scenario.watch,
    });
    this.agent = new ReferenceAgent(this.clock, scenario.slots, (file, step) => this.#outcome(file, step));
  }

  /** Plays the scenario, then lets everything come to rest: no more faults, and an hour. */
  async play(): Promise<void> {
    await this.#start();
    for (const step of this.scenario.steps) await this.#play(step);
    this.#calm = true;
    if (this.#instance !== undefined) this.#instance.countdown = Infinity;
    if (this.#instance !== undefined) this.#instance.at = undefined;
    await this.#pass(3_600_000);
  }

  /** The watcher dies at this point when it gets there; once for each call, one start after the other. */
  dieAt(where: string): void {
    const [when, point] = where.split(' ') as ['before' | 'after', string];
    this.#nextDeaths.push({ point, after: when === 'after' });
  }
  readonly #nextDeaths: { readonly point: string; readonly after: boolean }[] = [];

  async end(): Promise<void> {
    if (this.#instance !== undefined) this.#instance.alive = false;
    this.#ledger.close();
    rmSync(this.#directory, { recursive: true });
    await Promise.resolve();
  }

  life(name: string, mtime: number): Life | undefined {
    return this.lives.find((life) => life.name === name && life.mtimes.includes(mtime));
  }

  present(): Life[] {
    return this.lives.filter((life) => life.endedAt === undefined);
  }

  async #play(step: Step): Promise<void> {
    switch (step.do) {
      case 'drop':
        this.#delete(step.name);
        this.#drop(step.name, step.skew);
        break;
      case 'rewrite':
        this.#rewrite(step.name, step.skew);
        break;
      case 'delete':
        this.#delete(step.name);
        break;
      case 'sign':
        this.#sign(step.name);
        break;
      case 'unsign':
        this.#unsign(step.name);
        break;
      case 'pass':
        await this.#pass(step.ms);
        break;
      case 'crash':
        if (this.#instance !== undefined) this.#instance.countdown = step.after;
        this.#downFor = step.downFor;
        break;
      case 'power cut':
        this.#kill('power cut', step.downFor);
        this.agent.powerCut();
        this.files.powerCut(step.kept);
        this.#reopen(step.kept);
        break;
      case 'restart':
        await this.#stop();
        await this.#start();
        break;
      case 'overflow':
        this.#muted = step.count;
        break;
      case 'set clock':
        this.clockWasSet = true;
        this.clock.setWall(step.by);
        break;
    }
  }
  #downFor = 1000;

  #drop(name: string, skew: number): void {
    const mtime = this.#freshMtime(name, skew);
    this.lives.push({ name, mtimes: [mtime], changedAt: [this.clock.elapsed], endedAt: undefined });
    this.files.put(name, `${name} ${mtime}`, mtime);
  }

  #rewrite(name: string, skew: number): void {
    const life = this.present().find((one) => one.name === name);
    if (life === undefined) return;
    const mtime = this.#freshMtime(name, skew);
    life.mtimes.push(mtime);
    life.changedAt.push(this.clock.elapsed);
    this.files.rewrite(name, `${name} ${mtime}`, mtime);
  }

  #delete(name: string): void {
    const life = this.present().find((one) => one.name === name);
    if (life !== undefined) life.endedAt = this.clock.elapsed;
    this.files.delete(name);
  }

  #sign(name: string): void {
    if (this.signs.some((sign) => sign.name === name && sign.until === undefined)) return;
    this.signs.push({ name, from: this.clock.elapsed, until: undefined });
    this.files.put(sentinelOf(name), 'x', Math.round(this.clock.now()));
  }

  #unsign(name: string): void {
    const sign = this.signs.find((one) => one.name === name && one.until === undefined);
    if (sign === undefined) return;
    sign.until = this.clock.elapsed;
    this.files.delete(sentinelOf(name));
  }

  #freshMtime(name: string, skew: number): number {
    const used = new Set(this.lives.filter((life) => life.name === name).flatMap((life) => life.mtimes));
    let mtime = Math.round(this.clock.now() + skew);
    while (used.has(mtime)) mtime++;
    return mtime;
  }

  #outcome(file: string, step: number): { lasts: number; succeeds: boolean } {
    const key = `${file} ${step}`;
    const failed = this.#failed.get(key) ?? 0;
    const succeeds = failed >= (this.scenario.failures[file] ?? 0);
    this.#failed.set(key, succeeds ? 0 : failed + 1);
    const { lasts } = this.scenario;
    return { lasts: lasts[this.#lasts++ % lasts.length] ?? 100, succeeds };
  }

  async #pass(ms: number): Promise<void> {
    const end = this.clock.elapsed + ms;
    while (this.clock.elapsed < end) {
      if (this.#startAt !== undefined && this.#startAt <= this.clock.elapsed) await this.#start();
      const next = Math.min(end, this.#startAt ?? Infinity, this.clock.elapsed + 1000);
      await this.clock.pass(Math.max(next - this.clock.elapsed, 0));
    }
  }

  /** That the ledger was closed is not synced: what came after the last intent may be lost, the latest first. */
  #reopen(kept: number): void {
    const lost = this.#recorded.slice(Math.floor(kept * (this.#recorded.length + 1)));
    this.#recorded = [];
    this.#ledger.intend(lost, this.clock.now());
  }

  #kill(why: string, downFor: number): void {
    if (this.#instance === undefined) return;
    this.#instance.alive = false;
    this.#instance.died = why;
    this.#dead(this.#instance, downFor);
  }

  #dead(instance: Instance, downFor: number): void {
    this.deaths.push(instance.died ?? '');
    for (const [path, owner] of this.#locked) if (owner === instance) this.#locked.delete(path);
    this.#instance = undefined;
    this.#watcher = undefined;
    this.#startAt = this.clock.elapsed + downFor;
  }

  async #stop(): Promise<void> {
    await this.#watcher?.stop();
    if (this.#instance !== undefined) this.#instance.alive = false;
    this.#watcher = undefined;
    this.#instance = undefined;
  }

  async #start(): Promise<void> {
    this.#startAt = undefined;
    const instance = new Instance(this.passed);
    instance.onDeath = () => this.#dead(instance, this.#downFor);
    instance.at = this.#nextDeaths.shift();
    this.#instance = instance;
    const say = (_: unknown, message: string): void => void this.said.push(message);
    const watcher = new Watcher({
      agent: this.#agentOf(instance),
      ledger: this.#ledgerOf(instance),
      clock: {
        now: () => this.clock.now(),
        after: (ms, callback) => this.clock.after(ms, () => void (instance.alive && callback())),
      },
      log: { debug: () => undefined, info: () => undefined, warn: say, error: say },
      fs: this.#filesOf(instance),
      lock: (path) => this.#lock(path, instance),
      createHints: (listener) => this.#hints(listener, instance),
      onTurn: () => undefined,
      ...(this.scenario.lookAtOnce !== undefined && { lookAtOnce: this.scenario.lookAtOnce }),
    });
    this.#watcher = watcher;
    // not awaited: an agent that does not answer holds it up
    const planted = {
      ...(this.plant === 'max_jobs is ignored' && { maxJobs: 1000 }),
      ...(this.plant === 'retries never end' && { retries: Infinity }),
      ...(this.plant === 'quiet is not waited for' && {
        minAge: 0,
        ready: { ...this.watch.ready, stable: undefined },
      }),
      ...(this.plant === 'sentinels are not looked for' && {
        ready: { ...this.watch.ready, sentinel: undefined },
      }),
      ...(this.plant === 'any set is complete' && { leastLists: 1 }),
    };
    watcher.configure([{ ...this.watch, ...planted }]).catch(() => undefined);
    await this.clock.pass(0);
  }

  #lock(path: string, instance: Instance): (() => void) | undefined {
    if (this.#locked.has(path)) return undefined;
    this.#locked.set(path, instance);
    return () => this.#locked.delete(path);
  }

  /** Events come a moment after the change, in order; of one that ran over only this is told. */
  #hints(listener: HintListener, instance: Instance): Hints {
    let watched = false;
    this.files.onEvent = (name, kind) => {
      if (!watched) return;
      const lost = this.#muted > 0;
      if (lost) this.#muted--;
      this.clock.after(1, () => {
        if (!instance.alive || !watched) return;
        if (lost) listener.overflowed();
        else listener.changed('', name, kind);
      });
    };
    const stop = (): void => void (watched = false);
    return { add: () => void (watched = true), remove: stop, awaitPath: () => undefined, close: stop };
  }

  #agentOf(instance: Instance): ReturnType<typeof port> {
    const { fates } = this.scenario;
    const fate = (): Fate => (this.#calm ? 'arrives' : (fates[this.#fate++ % fates.length] ?? 'arrives'));
    const inner = port(this.agent, this.clock, fate, () => instance.alive);
    // who dies right after asking never hears the answer
    const heard = <T>(answer: Promise<T>): Promise<T> => {
      answer.catch(() => undefined);
      return answer;
    };
    return {
      ...inner,
      submit: (requests) => instance.step('agent.submit', () => heard(inner.submit(this.#renamed(requests)))),
      query: async (ids) => {
        const jobs = await inner.query(ids);
        if (this.plant !== 'the agent forgets results at once') return jobs;
        return new Map([...jobs].filter(([, job]) => !isFinished(job.state)));
      },
      onJob: (listener) => inner.onJob((job) => listener(this.#retold(job))),
      release: (ids) => instance.step('agent.release', () => heard(inner.release(ids))),
    };
  }

  #renamed(requests: readonly SubmitRequest[]): readonly SubmitRequest[] {
    if (this.plant !== 'every submit has a new id') return requests;
    return requests.map(({ key, spec }) => ({ key, spec: { ...spec, id: `${spec.id}.${this.#fate++}` } }));
  }

  #retold(job: Job): Job {
    if (job.state !== 'running') return job;
    if (this.plant === 'jobs count as done when they start') return { ...job, state: 'done', active: false };
    if (this.plant === 'jobs count as failed when they start')
      return { ...job, state: 'failed', active: false };
    return job;
  }

  #ledgerOf(instance: Instance): Ledger {
    const steps = new Set<PropertyKey>(['intend', 'record', 'withdraw']);
    return new Proxy(this.#ledger, {
      get: (ledger, name: keyof Ledger) => {
        const method = ledger[name] as (...args: unknown[]) => unknown;
        return (...args: unknown[]): unknown => {
          const isPlanted = this.plant === 'no intent is written' && name === 'intend';
          const call = (): unknown => (isPlanted ? undefined : method.apply(ledger, args));
          if (name === 'intend') this.#recorded = [];
          if (name === 'record') this.#recorded.push(...(args[0] as Submission[]));
          return steps.has(name) ? instance.step(`ledger.${name}`, call) : call();
        };
      },
    });
  }

  #filesOf(instance: Instance): FileSystem {
    return new Proxy(this.files.fs, {
      get: (fs, name: keyof FileSystem) => {
        const method = fs[name] as (...args: unknown[]) => unknown;
        return (...args: unknown[]): unknown => {
          const call = (): unknown => (this.#isSkipped(name) ? undefined : method(...args));
          if ((killPoints as readonly string[]).includes(`file.${name}`))
            return instance.step(`file.${name}`, call);
          if (!instance.alive) throw new Crash('dead');
          return call();
        };
      },
    });
  }

  #isSkipped = (name: string): boolean =>
    (this.plant === 'nothing is flushed' && (name === 'flush' || name === 'fdatasyncSync')) ||
    (this.plant === 'markers are never removed' && name === 'unlinkSync');
}
