import type { Clock } from '../../src/lib/clock.js';

interface Timer {
  /** ms since the start of the simulation, which is never set back */
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Time that passes only when told to; the clock on the wall may be set back, timers do not care. */
export class VirtualClock implements Clock {
  #elapsed = 0;
  #wall = 1_800_000_000_000;
  #timers: Timer[] = [];
  #order = 0;

  now(): number {
    return this.#wall + this.#elapsed;
  }

  /** ms since the start */
  get elapsed(): number {
    return this.#elapsed;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#elapsed + Math.max(ms, 0), order: this.#order++, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  setWall(by: number): void {
    this.#wall += by;
  }

  /** Runs what is due within `ms`, one timer after the other, with everything that follows from it. */
  async pass(ms: number): Promise<void> {
    const end = this.#elapsed + ms;
    await settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#elapsed = Math.max(this.#elapsed, next.at);
      next.callback();
      await settle();
    }
    this.#elapsed = end;
  }

  #next(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers)
      if (
        timer.at <= end &&
        (first === undefined || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
      )
        first = timer;
    return first;
  }
}

/** All promises that can go on without time or I/O have gone on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
