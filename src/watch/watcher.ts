import { isDeepStrictEqual } from 'node:util';
import type { WatchDefinition } from '../config/schema.js';
import { Journey, type JourneyPorts } from './journey.js';
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

  constructor(ports: JourneyPorts) {
    this.#ports = {
      ...ports,
      onTurn: (name, counts) => {
        ports.onTurn(name, counts);
        this.#dismissRetired();
        this.#checkSettled();
      },
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
    await Promise.all(changed.map((name) => this.#remove(name)));
    const added = watches.filter((watch) => !this.#runners.has(watch.name));
    await Promise.all(added.map((watch) => this.#add(watch)));
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

  /** Resolves when everything that is there and can be processed now is processed, for --once. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#onSettled = resolve;
      this.#checkSettled();
    });
  }

  /** Files that failed and wait for a rerun, or that can have no job. */
  unfinished(): number {
    return this.#journeys().reduce((sum, journey) => sum + journey.unfinished, 0);
  }

  /** For each watch with files that are not ready: its name and what they wait for. */
  leftWaiting(): { readonly name: string; readonly reasons: string }[] {
    return this.#journeys()
      .map((journey) => ({ name: journey.watch.name, reasons: journey.leftWaiting.join(', ') }))
      .filter(({ reasons }) => reasons !== '');
  }

  #journeys = (): Journey[] => [...this.#runners.values()].filter((runner) => runner instanceof Journey);

  #checkSettled(): void {
    if (this.#onSettled !== undefined && this.#journeys().every((journey) => journey.isSettled))
      this.#onSettled();
  }

  /** Nothing new is submitted; the jobs of services are ended, all others run on and are recorded. */
  async drain(): Promise<void> {
    for (const runner of this.#runners.values()) runner.stopSubmitting();
    const services = [...this.#runners.values()].filter((runner) => runner instanceof Services);
    await Promise.all(services.map((runner) => runner.killJobs()));
  }

  /** Records the results at hand; resolves when that is done. */
  async recordRest(): Promise<void> {
    const all = [...this.#runners.values(), ...this.#retired];
    await Promise.all(all.map((runner) => (runner instanceof Journey ? runner.recordRest() : runner.idle())));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#runners.values(), ...this.#retired].map((runner) => runner.stop()));
    this.#runners.clear();
    this.#retired.clear();
  }

  async #add(watch: WatchDefinition): Promise<void> {
    const runner =
      watch.lists.length === 0 ? new Services(watch, this.#ports) : new Journey(watch, this.#ports);
    this.#runners.set(watch.name, runner);
    await runner.start();
  }

  async #retire(name: string): Promise<void> {
    const runner = this.#runners.get(name)!;
    this.#runners.delete(name);
    runner.stopSubmitting();
    if (runner instanceof Services) await runner.killJobs();
    this.#retired.add(runner);
  }

  async #remove(name: string): Promise<void> {
    const runner = this.#runners.get(name)!;
    this.#runners.delete(name);
    if (runner instanceof Services) await runner.endJobs();
    await runner.stop();
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
