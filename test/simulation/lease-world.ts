import type { FileSystem } from '../../src/lib/file-system.js';
import type { LeaseHost } from '../../src/watch/lease-host.js';
import { LeaseKeeper } from '../../src/watch/lease-keeper.js';
import { readLease } from '../../src/watch/lease.js';

/** What happens to a watcher. Times are ms. */
export type LeaseStep =
  | { readonly do: 'start' | 'stop' | 'crash'; readonly actor: number }
  /** SIGSTOP before its n-th operation on files from now on, SIGCONT after `ms` */
  | { readonly do: 'pause'; readonly actor: number; readonly operation: number; readonly ms: number }
  | { readonly do: 'disk full'; readonly actor: number; readonly operations: number }
  | { readonly do: 'pass'; readonly ms: number };

/** Bugs on purpose, to see that they are found. */
export type LeasePlant =
  'files are not made exclusively' | 'the clock stops with the process' | 'everybody looks dead';

export interface LeaseScenario {
  readonly steps: readonly LeaseStep[];
  /** seconds, one an actor, taken in turn */
  readonly ttls: readonly number[];
  /** how fast the clock of each actor runs, taken in turn */
  readonly rates: readonly number[];
}

interface Timer {
  readonly at: number;
  readonly actor: Actor;
  readonly callback: () => void;
}

interface Inode {
  content: string;
}

const ACTORS = 3;
const ACT_EVERY_MS = 130;

class Actor {
  keeper: LeaseKeeper | undefined;
  /** the last owner id it wrote */
  id = '';
  generation = 0;
  pauseIn = Infinity;
  pauseFor = 0;
  paused = 0;
  frozen = false;
  refusals = 0;
  isHeld = false;

  constructor(
    readonly index: number,
    readonly ttl: number,
    readonly rate: number,
  ) {}
}

/** Real keepers of one lease on machines that are not: time, files, pauses and crashes are simulated. */
export class LeaseWorld {
  now = 0;
  readonly files = new Map<string, Inode>();
  /** owner ids in the order they acted */
  readonly acts: { readonly id: string; readonly at: number }[] = [];
  readonly actors: Actor[];
  takeOvers = 0;
  #timers: Timer[] = [];
  #ids = 0;
  #fd = 10;
  readonly #open = new Map<number, Inode>();

  constructor(
    private readonly scenario: LeaseScenario,
    private readonly plant?: LeasePlant,
  ) {
    const { ttls, rates } = scenario;
    this.actors = Array.from(
      { length: ACTORS },
      (_, i) => new Actor(i, ttls[i % ttls.length]!, rates[i % rates.length]!),
    );
  }

  play(): void {
    for (const step of this.scenario.steps) {
      if (step.do === 'pass') this.pass(step.ms);
      else this.#play(step, this.actors[step.actor % ACTORS]!);
    }
    for (const actor of this.actors) actor.refusals = 0;
  }

  #play(step: Exclude<LeaseStep, { do: 'pass' }>, actor: Actor): void {
    switch (step.do) {
      case 'start':
        if (actor.keeper === undefined) this.start(actor);
        break;
      case 'stop':
        actor.keeper?.stop();
        this.#end(actor);
        break;
      case 'crash':
        this.#end(actor);
        break;
      case 'pause':
        actor.pauseIn = step.operation;
        actor.pauseFor = step.ms;
        break;
      case 'disk full':
        actor.refusals = step.operations;
        break;
    }
  }

  #end(actor: Actor): void {
    actor.keeper = undefined;
    actor.generation++;
    this.#timers = this.#timers.filter((timer) => timer.actor !== actor);
  }

  start(actor: Actor): void {
    this.#end(actor);
    const generation = actor.generation;
    const alive = (callback: () => void) => (): void => void (actor.generation === generation && callback());
    const keeper = new LeaseKeeper(
      { directory: '/data', watch: 'w', ttl: actor.ttl },
      this.#fs(actor),
      {
        now: () => this.now,
        after: (ms, callback) => {
          const timer = this.#after(ms / actor.rate, actor, alive(callback));
          return () => void (this.#timers = this.#timers.filter((other) => other !== timer));
        },
      },
      this.#host(actor),
      { taken: () => undefined, says: () => undefined, lost: alive(() => this.start(actor)) },
    );
    actor.keeper = keeper;
    keeper.start();
    const act = (): void => {
      if (actor.keeper !== keeper) return;
      if (keeper.holds()) this.#act(actor);
      this.#after(ACT_EVERY_MS, actor, alive(act));
    };
    if (actor.keeper === keeper) this.#after(0, actor, alive(act));
  }

  #act({ id }: Actor): void {
    if (this.acts.at(-1)?.id !== id) this.takeOvers++;
    this.acts.push({ id, at: this.now });
  }

  /** @returns the owners that acted after a later one had acted */
  returns(): string[] {
    const ended = new Set<string>();
    const found: string[] = [];
    this.acts.forEach(({ id, at }, i) => {
      const before = this.acts[i - 1]?.id;
      if (before !== undefined && before !== id) ended.add(before);
      if (ended.has(id)) found.push(`${id} acts at ${at}, after another`);
    });
    return found;
  }

  pass(ms: number): void {
    const end = this.now + ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.now = Math.max(this.now, next.at);
      next.callback();
    }
    this.now = Math.max(this.now, end);
  }

  #next(end: number): Timer | undefined {
    const due = this.#timers.filter(({ at, actor }) => at <= end && !actor.frozen);
    return due.reduce<Timer | undefined>(
      (first, timer) => (first && first.at <= timer.at ? first : timer),
      undefined,
    );
  }

  #after(ms: number, actor: Actor, callback: () => void): Timer {
    const timer = { at: this.now + Math.max(ms, 0), actor, callback };
    this.#timers.push(timer);
    return timer;
  }

  #host(actor: Actor): LeaseHost {
    const abandoned = new Set<string>();
    const stops = this.plant === 'the clock stops with the process';
    return {
      self: {
        host: `host${actor.index}`,
        host_id: `${actor.index}`,
        boot_id: 'b',
        pid_namespace: 'n',
        pid: 2,
        birth: `${actor.generation}`,
      },
      newId: () => (actor.id = `${actor.index}-${++this.#ids}`),
      elapsed: () => (this.now - (stops ? actor.paused : 0)) * actor.rate + 1e6 * actor.index,
      isDead: ({ content }) =>
        this.plant === 'everybody looks dead' || abandoned.has(readLease(content)?.owner ?? ''),
      abandon: (id) => void abandoned.add(id),
    };
  }

  /** The whole process stands still, between any two operations; the others go on. */
  #pause(actor: Actor): void {
    if (--actor.pauseIn > 0) return;
    actor.pauseIn = Infinity;
    actor.frozen = true;
    const before = this.now;
    this.pass(actor.pauseFor);
    actor.paused += this.now - before;
    actor.frozen = false;
  }

  #fs(actor: Actor): FileSystem {
    const { generation } = actor;
    const real = this.#realFs();
    return new Proxy(real, {
      get: (fs, name: keyof FileSystem) => {
        const method = fs[name] as (...args: unknown[]) => unknown;
        return (...args: unknown[]): unknown => {
          if (actor.generation !== generation) throw new Error('dead');
          this.#pause(actor);
          if (actor.generation !== generation) throw new Error('dead');
          const writes = ['writeFileSync', 'writeSync', 'linkSync'].includes(name);
          if (writes && actor.refusals > 0 && --actor.refusals >= 0) throw fault('ENOSPC');
          return method(...args);
        };
      },
    });
  }

  #realFs(): FileSystem {
    const get = (path: Buffer | number): Inode => {
      const inode = typeof path === 'number' ? this.#open.get(path) : this.files.get(path.toString());
      if (inode === undefined) throw fault('ENOENT');
      return inode;
    };
    return {
      readdirSync: () => [...this.files.keys()].map((path) => path.slice('/data/'.length)),
      readFileSync: (path: Buffer | number) => get(path).content,
      openSync: (path: Buffer, flags: string) => {
        const name = path.toString();
        if (flags === 'wx' && this.files.has(name)) throw fault('EEXIST');
        if (flags === 'wx') this.files.set(name, { content: '' });
        this.#open.set(++this.#fd, get(path));
        return this.#fd;
      },
      closeSync: (fd: number) => void this.#open.delete(fd),
      fdatasyncSync: () => undefined,
      writeFileSync: (fd: number, content: string) => void (get(fd).content = content),
      writeSync: (fd: number, bytes: Buffer) => {
        get(fd).content = bytes.toString();
        return bytes.length;
      },
      linkSync: (from: Buffer, to: Buffer) => {
        const isFree = !this.files.has(to.toString()) || this.plant === 'files are not made exclusively';
        if (!isFree) throw fault('EEXIST');
        this.files.set(to.toString(), get(from));
      },
      unlinkSync: (path: Buffer) => {
        get(path);
        this.files.delete(path.toString());
      },
    } as unknown as FileSystem;
  }
}

const fault = (code: string): Error => Object.assign(new Error(code), { code });
