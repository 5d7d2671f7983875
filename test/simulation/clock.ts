import { setImmediate as nextTurn } from 'node:timers/promises';
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

  /** @param turns of the event loop for what follows: on a slow machine long work lets it go in between */
  constructor(private readonly turns = 1) {}

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
    await this.#settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#elapsed = Math.max(this.#elapsed, next.at);
      next.callback();
      await this.#settle();
    }
    this.#elapsed = end;
  }

  /** All promises that can go on without time or I/O have gone on. */
  async #settle(): Promise<void> {
    for (let i = 0; i < this.turns; i++) await nextTurn();
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
