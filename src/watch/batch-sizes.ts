const FIRST = 8;
/** Takes a few ms. Each batch is on disk before the next: less at a time would cost more of that. */
const LARGEST = 64;

/**
 * How many jobs to submit at a time, so that the event loop is let go in between. The first ones take much longer
 * than later ones, by when the code is compiled.
 */
export class BatchSizes {
  #next = FIRST;

  /** Splits a list, in its order. */
  *of<T>(all: readonly T[]): Generator<readonly T[]> {
    for (let at = 0; at < all.length;) {
      const batch = all.slice(at, at + this.#next);
      at += batch.length;
      if (batch.length === this.#next) this.#next = Math.min(this.#next * 2, LARGEST);
      yield batch;
    }
  }
}
