/** The present and the passing of time, as an argument: tests bring their own. */
export interface Clock {
  /** milliseconds since the epoch */
  now(): number;
  /** Calls back once after `ms`, never before it returns; 0: as soon as what has happened was heard. @returns the cancel function */
  after(ms: number, callback: () => void): () => void;
}

const LONGEST_TIMER = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, callback) {
    if (ms <= 0) {
      // setTimeout takes a millisecond at least
      const soon = setImmediate(callback);
      return () => clearImmediate(soon);
    }
    const timer = setTimeout(callback, Math.min(ms, LONGEST_TIMER));
    return () => clearTimeout(timer);
  },
};
