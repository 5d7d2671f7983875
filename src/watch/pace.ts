import { setImmediate as nextTurn } from 'node:timers/promises';

/** the event loop is let go this often */
const SLICE_MS = 5;

/** Long work that lets the event loop go in between. */
export class Pace {
  #end = performance.now() + SLICE_MS;

  get isOver(): boolean {
    return performance.now() >= this.#end;
  }

  /** Lets the event loop go when it is time. */
  async keep(): Promise<void> {
    if (!this.isOver) return;
    await nextTurn();
    this.#end = performance.now() + SLICE_MS;
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
