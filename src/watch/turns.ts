import type { Clock } from '../lib/clock.js';

/** ms between a wish and its turn: a burst of events becomes one turn. */
const SHORTEST_DELAY_MS = 2;
const LONGEST_DELAY_MS = 1000;
/** While events keep coming, planning may take about a third of the time; after a pause a turn comes at once. */
const BUSY_FACTOR = 2;

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((r) => (resolve = r));
  return { promise, resolve };
}

/**
 * Runs a turn whenever one is wanted, one at a time. Wishes that come during a turn lead to one more. A turn returns
 * when the next is due by itself, ms since the epoch.
 */
export class Turns {
  #running: Promise<void> | undefined;
  #wanted = false;
  #cancelTimer: (() => void) | undefined;
  #timerAt = Infinity;
  #endedAt = 0;
  #stopped = false;
  /** how long planning took last, ms: costly turns are made less often */
  cost = 0;

  /** @param turn must not reject */
  constructor(
    private readonly clock: Clock,
    private readonly turn: () => Promise<number>,
  ) {}

  /** Wants a turn soon. */
  want(): void {
    const rest = this.#endedAt + Math.min(this.cost * BUSY_FACTOR, LONGEST_DELAY_MS) - this.clock.now();
    this.#within(Math.max(SHORTEST_DELAY_MS, rest));
  }

  /** Makes a turn at once (after the running one) and resolves when all is quiet. */
  async now(): Promise<void> {
    this.#within(0);
    await this.idle();
  }

  /** Resolves when no turn is under way. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async stop(): Promise<void> {
    await this.idle();
    this.#stopped = true;
    this.#cancelTimer?.();
  }

  #within(ms: number): void {
    if (this.#stopped) return;
    if (this.#running !== undefined) {
      this.#wanted = true;
      return;
    }
    const at = this.clock.now() + ms;
    if (at >= this.#timerAt) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    if (ms === 0) this.#run();
    else this.#cancelTimer = this.clock.after(ms, () => this.#run());
  }

  #run(): void {
    this.#cancelTimer?.();
    this.#timerAt = Infinity;
    const { promise, resolve } = deferred();
    this.#running = promise;
    void this.#runTurn().then(resolve);
  }

  async #runTurn(): Promise<void> {
    const wakeAt = await this.turn();
    this.#running = undefined;
    this.#endedAt = this.clock.now();
    const wanted = this.#wanted;
    this.#wanted = false;
    if (wanted) this.want();
    this.#within(Math.max(wakeAt - this.#endedAt, 1));
  }
}
