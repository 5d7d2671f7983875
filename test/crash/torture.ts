import { rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { storedJobs } from './agent-state.js';
import { check, expectedKeys, type Violation } from './checker.js';
import { keyOf, type Evidence, type SeenMarker } from './evidence.js';
import { DirectSubmitter } from './direct.js';
import { Faults } from './faults.js';
import { Feeder } from './feeder.js';
import { TortureObserver } from './observer.js';
import { Participant } from './participant.js';
import { endAll, processesOf } from './processes.js';
import { makeScenario, MOST_ATTEMPTS, type ScenarioOptions } from './scenario.js';
import { figuresOf, type Figures } from './figures.js';
import { slots, World, type Patch } from './world.js';

export interface TortureOptions extends ScenarioOptions {
  /** the project directory */
  readonly root: string;
  readonly patches?: readonly Patch[];
  /** ms without a word of any job, after the faults, until it counts as stuck; four times that at most in all */
  readonly patience?: number;
  /** a second watcher stands by */
  readonly standby?: boolean;
  /** a port at which the box serves TLS to the watcher, in place of its UNIX socket */
  readonly tlsPort?: number | undefined;
  /** ms that a fault waits at most until it can do harm; default: it does not */
  readonly waitsFor?: number;
  /** false: nothing is left of a failed episode either */
  readonly keep?: boolean;
}

export interface TortureResult {
  readonly violations: readonly Violation[];
  readonly evidence: Evidence;
  readonly figures: Figures;
  /** kept when there was a violation */
  readonly directory: string;
}

/** In a row, 100 ms apart: longer than the longest delay of a retry, so that one too many is seen. */
const QUIET_LOOKS = 7;

/** Share of the finished files whose marker is taken away between the phases. */
const RESET_EVERY = 12;

/** One episode: files and faults, rest, markers taken away and faults again, rest, and the verdict. */
export async function torture(options: TortureOptions): Promise<TortureResult> {
  const episode = new Episode(options);
  try {
    return await episode.run();
  } finally {
    episode.end();
  }
}

class Episode {
  private readonly world: World;
  private readonly observer: TortureObserver;
  private readonly feeder: Feeder;
  private readonly faults: Faults;
  private readonly watchers: readonly Participant[];
  private readonly box: Participant | undefined;
  private readonly direct: DirectSubmitter | undefined;
  private readonly history: string[] = [];
  private readonly resets: { key: string; at: number; state: string }[] = [];
  private readonly forgotten = new Map<string, number>();
  private readonly deaths: { who: string; how: string; at: number }[] = [];
  private unsettled: string[] = [];
  private adoptions = 0;
  private failed = true;

  constructor(private readonly options: TortureOptions) {
    this.world = new World(options.root, options.mode, options.patches, options.tlsPort);
    this.observer = new TortureObserver(this.world);
    this.feeder = new Feeder(this.world, (text) => this.note(text));
    const args = ['--log-format=json', '--log-level=debug', this.world.config];
    const names = options.standby === true ? ['watcher', 'standby'] : ['watcher'];
    this.watchers = names.map((name) => this.participant(name, 'meeseeks-watch', args));
    if (options.mode === 'box') {
      this.box = this.participant('box', 'meeseeks-box', ['--log-format', 'json', this.world.boxConfig]);
      this.direct = new DirectSubmitter(this.world, options.seed);
    }
    const victims = { watchers: this.watchers, box: this.box };
    const hooks = {
      note: (text: string) => this.note(text),
      beforeStart: () => this.lookForForgotten(),
    };
    this.faults = new Faults(this.world, victims, this.observer, hooks, options.waitsFor);
  }

  async run(): Promise<TortureResult> {
    const scenario = makeScenario(this.options);
    this.faults.restart();
    this.observer.start();
    const directly = this.direct?.run();
    await Promise.all([this.feeder.run(scenario.files), this.faults.run(scenario.faults)]);
    this.direct?.stop();
    await directly;
    await this.rest();
    if (this.unsettled.length === 0) {
      this.takeMarkersAway();
      await this.faults.run(scenario.lateFaults);
      await this.rest();
    }
    return this.verdict();
  }

  end(): void {
    this.observer.stop();
    endAll(this.world);
    if (!this.failed || this.options.keep === false)
      rmSync(this.world.directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  /** Those that stand by first: nobody is to take over in the end. */
  private participants(): Participant[] {
    return [...this.watchers.toReversed(), this.box].filter((one) => one !== undefined);
  }

  private participant(name: string, program: string, args: readonly string[]): Participant {
    const command = [join(this.world.product, `dist/bin/${program}.js`), ...args];
    const [key, value] = this.world.token.split('=');
    const env = { PATH: process.env['PATH'], HOME: this.world.directory, [key!]: value };
    return new Participant(name, command, this.world.path(`${name}.log`), env, {
      heard: ({ msg, jobs = 0 }) => {
        if (msg === 'adopting running jobs') this.adoptions += jobs;
      },
      died: (how) => this.died(name, how),
    });
  }

  /** A process that meets the broken configuration when it starts, or a SIGHUP before it listens to it, may end. */
  private died(who: string, how: string): void {
    this.note(`${who} ended by itself: ${how}`);
    if (how === 'SIGHUP' || how === 'exit code 2') return;
    this.deaths.push({ who, how, at: Date.now() / 1000 });
  }

  private note(text: string): void {
    this.history.push(`${(Date.now() / 1000).toFixed(3)} ${text}`);
  }

  /** While the agent is down: what it acknowledged must be in its state, and what it started. */
  private lookForForgotten(): void {
    for (const one of this.participants()) one.read();
    if ((this.box === undefined ? this.watchers : [this.box]).some(({ isUp }) => isUp)) return;
    const known = new Set(storedJobs(this.world.agentState, this.world.path('scratch')).map(({ id }) => id));
    const promised = [...(this.direct?.acknowledged ?? []), ...this.observer.readLog().map(({ job }) => job)];
    for (const job of promised) {
      if (known.has(job) || this.forgotten.has(job)) continue;
      this.forgotten.set(job, Date.now() / 1000);
    }
  }

  // --- rest: no faults, until everything is as it should be in the end

  private async rest(): Promise<void> {
    this.note('rest');
    this.faults.settle();
    const patience = new Patience(this.options.patience ?? 60_000);
    for (let quiet = 0; quiet < QUIET_LOOKS;) {
      this.faults.restart();
      this.unsettled = this.pending();
      const inFlight = this.unsettled.length === 0 ? await this.inFlight() : 1;
      if (this.unsettled.length === 0 && inFlight > 0) this.unsettled = [`${inFlight} jobs in flight`];
      quiet = this.unsettled.length === 0 ? quiet + 1 : 0;
      if (patience.isOver(this.observer.readLog().length)) return;
      await sleep(100);
    }
    this.note('at rest');
  }

  private async inFlight(): Promise<number> {
    const ofAgent = await this.direct?.inFlight().catch(() => 1);
    return (ofAgent ?? 0) + (await jobsInFlight(this.world.state));
  }

  private pending(): string[] {
    const markers = new Map(this.observer.markers().map((marker) => [keyOf(marker), marker]));
    this.observer.readLog();
    const unfinished = expectedKeys(this.feeder.versions)
      .filter(({ key }) => !isFinal(markers.get(key)))
      .map(
        ({ key, version }) =>
          `${key} ${JSON.stringify(version.name)}: ${markers.get(key)?.state ?? 'no marker'}`,
      );
    return [...unfinished, ...this.observer.alive().map((start) => `pid ${start.pid} runs`)];
  }

  /** What a person may do: a file whose marker is gone runs again, once. */
  private takeMarkersAway(): void {
    const markers = this.observer.markers().filter(({ state }) => state === 'done' || state === 'killed');
    const expected = new Set(expectedKeys(this.feeder.versions).map(({ key }) => key));
    for (const marker of markers) {
      const isChosen = marker.state === 'killed' || marker.serial % RESET_EVERY === 0;
      if (!isChosen || !expected.has(keyOf(marker)) || marker.watch === 'chain') continue;
      this.resets.push({ key: keyOf(marker), at: Date.now() / 1000, state: marker.state });
      unlinkSync(Buffer.from(marker.path, 'latin1'));
    }
    this.note(`took ${this.resets.length} markers away`);
  }

  // --- the end

  private async verdict(): Promise<TortureResult> {
    for (const one of this.participants()) {
      one.signal('SIGTERM', true);
      if (!(await one.ended(60_000))) this.deaths.push({ who: one.name, how: 'does not end', at: 0 });
      await one.kill();
    }
    const leftBehind = await this.leftBehind();
    this.lookForForgotten();
    const evidence = this.evidence(leftBehind);
    const violations = check(evidence);
    const figures = figuresOf(evidence, this.faults.record.done, {
      starts: this.participants().reduce((sum, { starts }) => sum + starts, 0),
      adoptions: this.adoptions,
      direct: this.direct?.acknowledged.length ?? 0,
      samples: this.observer.samples,
    });
    this.failed = violations.length > 0;
    if (this.failed) writeFileSync(this.world.path('history.log'), `${this.history.join('\n')}\n`);
    return { violations, evidence, figures, directory: this.world.directory };
  }

  private async leftBehind(): Promise<string[]> {
    // what a job started is its own when somebody shoots the job and nothing else: the agent was not asked to end it
    const shot = new Set(this.faults.record.jobKills.map(({ pid }) => pid));
    const left = () => processesOf(this.world).filter(({ session }) => !shot.has(session));
    // what a bug leaves may end by itself some time: who looks for bugs is less patient
    const patience = this.options.patience === undefined ? 20_000 : 3000;
    for (const deadline = Date.now() + patience; Date.now() < deadline; await sleep(50))
      if (left().length === 0) return [];
    return left().map(({ pid, what }) => `${pid} ${what}`);
  }

  private evidence(leftBehind: readonly string[]): Evidence {
    const { observer, faults, feeder, world } = this;
    const final = observer.markers();
    return {
      versions: feeder.versions,
      log: observer.readLog(),
      answers: storedJobs(world.agentState, world.path('scratch')),
      seen: observer.seen,
      final,
      torn: observer.torn,
      ...faults.record,
      kills: this.direct?.kills ?? [],
      resets: this.resets,
      forgotten: [...this.forgotten].map(([job, at]) => ({ job, at })),
      deaths: this.deaths,
      leftBehind,
      unsettled: this.unsettled,
      aliveUntil: observer.aliveUntil,
      slots,
    };
  }
}

/** A busy machine may be slow, as long as there is progress. */
class Patience {
  readonly #end: number;
  #until: number;
  #progress = 0;

  constructor(private readonly ms: number) {
    this.#until = Date.now() + ms;
    this.#end = Date.now() + 4 * ms;
  }

  isOver(progress: number): boolean {
    if (progress > this.#progress) this.#until = Date.now() + this.ms;
    this.#progress = progress;
    return Date.now() > Math.min(this.#until, this.#end);
  }
}

const isFinal = (marker: SeenMarker | undefined): boolean =>
  marker !== undefined &&
  (marker.state !== 'failed' || (marker.watch === 'lim' && marker.attempt >= MOST_ATTEMPTS));

/** Asks the watcher, on its control socket. @returns 1 when it does not answer */
function jobsInFlight(state: string): Promise<number> {
  return new Promise((done) => {
    const socket = connect(join(state, 'control.sock'), () => socket.write('status\n'));
    let text = '';
    socket.setTimeout(2000, () => socket.destroy());
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (!text.endsWith('\n')) return;
      const { watches } = JSON.parse(text) as { watches: { ready: number; running: number }[] };
      done(watches.reduce((sum, watch) => sum + watch.ready + watch.running, 0));
      socket.destroy();
    });
    socket.on('error', () => done(1));
    socket.on('close', () => done(1));
  });
}
