import { setImmediate as nextTurn } from 'node:timers/promises';

/** the event loop is let go this often */
const SLICE_MS = 5;

/** Long work that lets the event loop go in between. */
export class Pace {
  #begin = performance.now();
  #before = 0;

  get isOver(): boolean {
    return performance.now() - this.#begin >= SLICE_MS;
  }

  /** ms that it was at work, without those in which it let the event loop go */
  get worked(): number {
    return this.#before + performance.now() - this.#begin;
  }

  /** Lets the event loop go when it is time. */
  async keep(): Promise<void> {
    if (!this.isOver) return;
    this.#before = this.worked;
    await nextTurn();
    this.#begin = performance.now();
  }
}

/** Runs long work, which lets the event loop go in between. */
export async function atPace<T>(work: Generator<undefined, T>, pace: Pace): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    await pace.keep();
  }
}
