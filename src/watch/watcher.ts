import { isDeepStrictEqual } from 'node:util';
import type { WatchDefinition } from '../config/schema.js';
import { describeError } from '../lib/errors.js';
import { scopeOf, serviceOfScope } from './ledger.js';
import { Journey } from './journey.js';
import type { JourneyPorts } from './journey-parts.js';
import type { Leftovers } from './leftovers.js';
import type { PlanCounts } from './plan.js';
import { Services } from './services.js';

type Runner = Journey | Services;

export interface WatchStatus extends PlanCounts {
  readonly name: string;
  readonly path: string | undefined;
  readonly problems: readonly string[];
}

/** All watches of a configuration. One that cannot work does not hold up another. */
export class Watcher {
  readonly #runners = new Map<string, Runner>();
  /** removed watches whose jobs are still followed until they are recorded */
  readonly #retired = new Set<Runner>();
  readonly #ports: JourneyPorts;
  #onSettled: (() => void) | undefined;
  #onQuiet: (() => void) | undefined;
  #stopped = false;
  #draining = false;
  constructor(ports: JourneyPorts) {
    this.#ports = {
      ...ports,
      onTurn: (name, counts) => {
        ports.onTurn(name, counts);
        this.#dismissRetired();
        this.#checkSettled();
        this.#checkQuiet();
      },
      onLost: (journey) => void this.#restart(journey),
    };
  }

  /**
   * Makes the running watches match the definitions: unchanged ones are not disturbed, removed ones submit nothing
   * more but record the results of their running jobs, changed ones start anew and take up their jobs.
   */
  async configure(
    watches: readonly WatchDefinition[],
  ): Promise<{ added: string[]; removed: string[]; changed: string[] }> {
    const wanted = new Map(watches.map((watch) => [watch.name, watch]));
    const removed: string[] = [];
    const changed: string[] = [];
    for (const [name, runner] of this.#runners) {
      const next = wanted.get(name);
      if (next === undefined) removed.push(name);
      else if (!isDeepStrictEqual(next, runner.watch)) changed.push(name);
    }
    await Promise.all(removed.map((name) => this.#retire(name)));
    await Promise.all(changed.map((name) => this.#replace(name, wanted.get(name)!)));
    const added = watches.filter((watch) => !this.#runners.has(watch.name));
    await Promise.all(added.map((watch) => this.#add(watch)));
    await this.#endForgottenServices();
    return {
      added: added.map((watch) => watch.name).filter((name) => !changed.includes(name)),
      removed,
      changed,
    };
  }

  status(): WatchStatus[] {
    return [...this.#runners.values()].map((runner) => ({
      name: runner.watch.name,
      path: runner.watch.path,
      ...runner.counts,
      problems: runner instanceof Journey ? runner.problems : [],
    }));
  }

  /** Looks at everything again, as after a change by hand. */
  rescan(): void {
    for (const runner of this.#runners.values()) runner.rescan();
  }

  get inFlight(): number {
    return [...this.#runners.values()].reduce((sum, runner) => sum + runner.inFlight, 0);
  }

  /** Jobs whose end is not known yet. */
  jobIds(): string[] {
    return [...this.#runners.values(), ...this.#retired].flatMap((runner) => runner.jobIds());
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Resolves when the end of every job is known. */
  quiet(): Promise<void> {
    return new Promise((resolve) => {
      this.#onQuiet = resolve;
      this.#checkQuiet();
    });
  }

  #checkQuiet(): void {
    if (this.#onQuiet !== undefined && this.jobIds().length === 0) this.#onQuiet();
  }

  /** Jobs of this run that ended without success; services aside. */
  get failures(): number {
    return this.#journeys().reduce((sum, journey) => sum + journey.failures, 0);
  }

  /** Resolves when everything that is there and can be processed now is processed, for --once. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#onSettled = resolve;
      this.#checkSettled();
    });
  }

  /** What each watch leaves behind, by name. */
  leftovers(): (Leftovers & { readonly name: string })[] {
    return this.#journeys().map((journey) => ({ name: journey.watch.name, ...journey.leftovers }));
  }

  #journeys = (): Journey[] => [...this.#runners.values()].filter((runner) => runner instanceof Journey);

  #checkSettled(): void {
    if (this.#onSettled !== undefined && this.#journeys().every((journey) => journey.isSettled))
      this.#onSettled();
  }

  /** Nothing new is submitted; the jobs of services are ended, all others run on and are recorded. */
  async drain(): Promise<void> {
    this.#draining = true;
    for (const runner of this.#runners.values()) runner.stopSubmitting();
    const services = [...this.#runners.values()].filter((runner) => runner instanceof Services);
    await Promise.all(services.map((runner) => runner.killJobs()));
  }

  /** Records the results at hand; resolves when that is done. */
  async recordRest(): Promise<void> {
    const all = [...this.#runners.values(), ...this.#retired];
    await Promise.all(all.map((runner) => (runner instanceof Journey ? runner.recordRest() : runner.idle())));
  }

  /** Also ends a `configure` under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#runners.values(), ...this.#retired].map((runner) => runner.stop()));
    this.#runners.clear();
    this.#retired.clear();
  }

  async #add(watch: WatchDefinition): Promise<void> {
    if (this.#stopped) return;
    const runner =
      watch.lists.length === 0 ? new Services(watch, this.#ports) : new Journey(watch, this.#ports);
    await this.#finishRetired(runner.scope);
    if (this.#stopped) return runner.stop();
    this.#runners.set(watch.name, runner);
    await runner.start();
  }

  /** One that is wanted again: its jobs are taken up by the new one; services start afresh. */
  async #finishRetired(scope: string): Promise<void> {
    for (const retired of [...this.#retired].filter((runner) => runner.scope === scope)) {
      await end(retired);
      this.#retired.delete(retired);
    }
  }

  async #retire(name: string): Promise<void> {
    const runner = this.#runners.get(name)!;
    this.#runners.delete(name);
    runner.stopSubmitting();
    this.#retired.add(runner);
    // one that cannot be told now does not keep the rest of a new configuration from being applied
    if (runner instanceof Services)
      await runner
        .killJobs()
        .catch((error: unknown) =>
          this.#ports.log.warn(
            { watch: name },
            `cannot end the jobs of service ${name}: ${describeError(error)}`,
          ),
        );
    this.#dismissRetired();
  }

  /** On another directory it is another watch: the old one records its running jobs where they belong. */
  async #replace(name: string, next: WatchDefinition): Promise<void> {
    const runner = this.#runners.get(name)!;
    if (runner.scope !== scopeOf(next)) return this.#retire(name);
    this.#runners.delete(name);
    this.#retired.add(runner);
    await end(runner);
    this.#retired.delete(runner);
  }

  /** Services of an earlier run that no configuration names any more would go on for ever. */
  async #endForgottenServices(): Promise<void> {
    const { ledger, agent, clock, log } = this.#ports;
    for (const scope of ledger.openScopes()) {
      const name = serviceOfScope(scope);
      const isKnown = [...this.#runners.values(), ...this.#retired].some((runner) => runner.scope === scope);
      if (name === undefined || isKnown) continue;
      const submissions = ledger.open(scope);
      log.warn({ watch: name }, `service ${name} is in no configuration any more; ending its jobs`);
      await agent.kill(submissions.map((submission) => submission.jobId));
      ledger.record(submissions, clock.now());
    }
  }

  /** Its lease is lost: a new one stands by until the other watcher ends. */
  async #restart(lost: Pick<Runner, 'watch' | 'stop'>): Promise<void> {
    const { name } = lost.watch;
    await lost.stop();
    for (const retired of this.#retired) if (retired === lost) this.#retired.delete(retired);
    if (this.#runners.get(name) !== lost) return;
    this.#runners.delete(name);
    await this.#add(lost.watch);
    if (this.#draining) this.#runners.get(name)?.stopSubmitting();
  }

  #dismissRetired(): void {
    for (const runner of this.#retired) {
      if (runner.inFlight > 0) continue;
      this.#retired.delete(runner);
      // not awaited: this is called from within the runner's own turn
      void runner.stop();
    }
  }
}

async function end(runner: Runner): Promise<void> {
  if (runner instanceof Services) await runner.endJobs();
  await runner.stop();
}
