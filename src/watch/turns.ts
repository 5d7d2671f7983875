import type { Clock } from '../lib/clock.js';

const LONGEST_DELAY_MS = 1000;
/** While events keep coming, turns may take about a third of the time; after a pause one comes at once. */
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
  /** how long after the turn under way another is wanted, as `want` has it */
  #wanted: number | undefined;
  #cancelTimer: (() => void) | undefined;
  #timerAt = Infinity;
  #endedAt = 0;
  #stopped = false;
  /** what the last turn took of the processor, ms: costly turns are made less often */
  cost = 0;

  /** @param turn must not reject */
  constructor(
    private readonly clock: Clock,
    private readonly turn: () => Promise<number>,
  ) {}

  /**
   * Wants a turn soon: what happened at the same time becomes one.
   * @param patience how many times as long as the last turn took the pause after it may be
   */
  want(patience = BUSY_FACTOR): void {
    if (this.#running !== undefined) {
      this.#wanted = Math.min(this.#wanted ?? Infinity, patience);
      return;
    }
    const rest = this.#endedAt + Math.min(this.cost * patience, LONGEST_DELAY_MS) - this.clock.now();
    this.#within(Math.max(0, rest));
  }

  /** Makes a turn at once (after the running one) and resolves when all is quiet. */
  async now(): Promise<void> {
    this.#due();
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
    const at = this.clock.now() + ms;
    if (at >= this.#timerAt) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    // what the kernel has told meanwhile is heard first
    this.#cancelTimer = this.clock.after(ms, () => setImmediate(() => this.#due()));
  }

  #due(): void {
    if (this.#running !== undefined) this.#wanted = Math.min(this.#wanted ?? Infinity, BUSY_FACTOR);
    else if (!this.#stopped) this.#run();
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
    this.#wanted = undefined;
    if (wanted !== undefined) this.want(wanted);
    this.#within(Math.max(wakeAt - this.#endedAt, 1));
  }
}
