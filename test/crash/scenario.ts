import { Random } from './random.js';

/** What a job does, as the file itself tells it. */
export interface Script {
  /** attempts that fail (or hang) before one succeeds */
  readonly fails: number;
  readonly ms: number;
  /** deaf: ignores SIGTERM; hang: the failing attempts do so for ever, with a child, and ignore SIGTERM */
  readonly mode: 'plain' | 'deaf' | 'hang';
}

export const watchNames = ['plain', 'upd', 'sets', 'lim', 'slow', 'chain'] as const;
export type WatchName = (typeof watchNames)[number];

/** rename: written elsewhere, renamed into place; slow: in pieces under its own name; direct: at once under its name */
export type Writer = 'rename' | 'slow' | 'direct';

/** What happens to a name; `serial` is the version it has then, unique in a scenario. Names are latin1 byte strings. */
export type FileOp =
  | {
      readonly kind: 'create' | 'rewrite' | 'replace';
      readonly at: number;
      readonly watch: WatchName;
      readonly name: string;
      readonly serial: number;
      readonly script: Script;
      readonly writer: Writer;
      /** ms: of a slow writer between its pieces, of a replacement between removal and drop, of a set between members */
      readonly pause: number;
    }
  | { readonly kind: 'remove'; readonly at: number; readonly watch: WatchName; readonly name: string };

export const faultKinds = {
  kill: 36,
  term: 12,
  freeze: 14,
  reload: 10,
  guardian: 12,
  job: 5,
  drain: 4,
  'kill-jobs': 3,
} as const;
export type FaultKind = keyof typeof faultKinds;
export type Target = 'watcher' | 'agent' | 'both';

export interface Fault {
  readonly at: number;
  readonly kind: FaultKind;
  readonly target: Target;
  /** ms: until it is continued, or started again */
  readonly pause: number;
  /** 0 <= x < 1, to choose the victim, or the variant */
  readonly choice: number;
}

export interface ScenarioOptions {
  readonly seed: number;
  /** length of the first phase, in which files arrive */
  readonly seconds: number;
  /** operations on files a second */
  readonly rate: number;
  readonly mode: 'embedded' | 'box';
  readonly watches?: readonly WatchName[];
  /** share of the files of the watch `slow` whose first attempt never ends by itself; default 0.15 */
  readonly hangs?: number;
  /** faults come this many times as often as usual */
  readonly haste?: number;
  readonly faults?: Partial<Readonly<Record<FaultKind, number>>>;
}

export interface Scenario {
  readonly files: readonly FileOp[];
  readonly faults: readonly Fault[];
  /** in the second phase: nothing arrives, but markers are taken away */
  readonly lateFaults: readonly Fault[];
}

/** Attempts a file of the watch `lim` gets: `retries` and one. */
export const MOST_ATTEMPTS = 3;

/** Everything that will be tried, from the seed alone. Pure. Times are ms since the start of the phase. */
export function makeScenario(options: ScenarioOptions): Scenario {
  const lateSeconds = Math.min(options.seconds / 3, 8);
  return {
    files: new FileOps(new Random(options.seed), options).make(),
    faults: makeFaults(new Random(options.seed ^ 0x5eed), options, options.seconds),
    lateFaults: makeFaults(new Random(options.seed ^ 0x1a7e), options, lateSeconds),
  };
}

function makeFaults(random: Random, options: ScenarioOptions, seconds: number): Fault[] {
  const weights = options.faults ?? faultKinds;
  if (Object.values(weights).every((weight) => weight === 0)) return [];
  const faults: Fault[] = [];
  const { haste = 1 } = options;
  for (let at = gap(random, haste); at < seconds * 1000; at += gap(random, haste)) {
    const kind = random.weighted(weights as Record<FaultKind, number>);
    const target =
      options.mode === 'embedded' ? 'watcher' : random.weighted({ watcher: 2, agent: 2, both: 1 });
    const pause = kind === 'freeze' ? random.between(50, 1500) : random.between(0, 400);
    faults.push({ at, kind, target, pause, choice: random.next() });
  }
  return faults;
}

/** 0.2 s to 3 s, the shorter ones more often. */
const gap = (random: Random, haste: number): number => Math.round((200 * 15 ** random.next()) / haste);

/** The operations on files: arrivals in bursts, and later visits to some of the names. */
class FileOps {
  #serial = 0;
  readonly #known: { watch: WatchName; name: string; busyUntil: number }[] = [];

  constructor(
    private readonly random: Random,
    private readonly options: ScenarioOptions,
  ) {}

  make(): FileOp[] {
    const { rate, seconds } = this.options;
    const files: FileOp[] = [];
    for (let at = 0; at < seconds * 1000;) {
      const burst = this.random.chance(0.8) ? 1 : this.random.between(2, 12);
      for (let i = 0; i < burst; i++) files.push(this.random.chance(0.75) ? this.create(at) : this.visit(at));
      at += Math.round((this.random.next() * 2 * burst * 1000) / rate);
    }
    return files;
  }

  private create(at: number): FileOp {
    const watch = this.random.pick(this.options.watches ?? watchNames);
    const serial = ++this.#serial;
    const name = this.name(watch, serial);
    this.#known.push({ watch, name, busyUntil: at + 1500 });
    return this.write('create', at, watch, name, serial);
  }

  /** Changes, replaces or removes a file of before; in watches where that has a meaning. */
  private visit(at: number): FileOp {
    const visitable = this.#known.filter(
      (k) => k.busyUntil <= at && k.watch !== 'chain' && k.watch !== 'lim',
    );
    if (visitable.length === 0) return this.create(at);
    const file = this.random.pick(visitable);
    file.busyUntil = at + 1500;
    if (this.random.chance(0.1) && file.watch !== 'sets') {
      this.#known.splice(this.#known.indexOf(file), 1);
      return { kind: 'remove', at, watch: file.watch, name: file.name };
    }
    const kind = file.watch === 'upd' && this.random.chance(0.7) ? 'rewrite' : 'replace';
    return this.write(kind, at, file.watch, file.name, ++this.#serial);
  }

  private write(
    kind: 'create' | 'rewrite' | 'replace',
    at: number,
    watch: WatchName,
    name: string,
    serial: number,
  ): FileOp {
    const writer = watch === 'sets' ? 'rename' : this.random.weighted({ rename: 6, slow: 1, direct: 3 });
    const pause = this.random.chance(0.3) ? 0 : this.random.between(0, 250);
    return { kind, at, watch, name, serial, script: this.script(watch), writer, pause };
  }

  private script(watch: WatchName): Script {
    const { random } = this;
    const range = random.weighted({ quick: 70, short: 25, long: 5 });
    const ms = range === 'quick' ? random.between(0, 20) : random.between(20, range === 'short' ? 200 : 800);
    const fails = Number(random.weighted({ '0': 75, '1': 15, '2': 7, '3': 3 }));
    if (watch === 'lim') return { fails: random.pick([0, 0, 1, 2, 99]), ms: Math.min(ms, 50), mode: 'plain' };
    if (watch === 'slow')
      return { fails: random.chance(this.options.hangs ?? 0.15) ? 1 : 0, ms, mode: 'hang' };
    return { fails, ms, mode: random.chance(0.2) ? 'deaf' : 'plain' };
  }

  private name(watch: WatchName, serial: number): string {
    const plain = `f${String(serial).padStart(6, '0')}`;
    if (watch === 'sets' || watch === 'chain' || this.random.chance(0.8)) return plain;
    return this.random.pick(oddNames)(plain);
  }
}

const oddNames: readonly ((name: string) => string)[] = [
  (name) => `${name} with space`,
  (name) => `-${name}`,
  (name) => `${name}\nline`,
  (name) => `${name}'"$(touch x)`,
  (name) => `${name}%(file)s%%`,
  (name) => `${name}\xff\xfe`,
  (name) => `${name}\xc3\xa9`,
  (name) => `${name}_0_${name}.done`,
  (name) => `${name}~${'x'.repeat(200)}`,
  (name) => `${name}*[a]?{b}`,
];
