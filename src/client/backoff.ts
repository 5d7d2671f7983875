import type { ClientError } from './errors.js';

const SHORTEST = 100;
const LONGEST = 5000;
/** of an agent that is there and does not want us: somebody must do something first */
const LONGEST_REFUSED = 60_000;

/** Growing pauses between attempts, with jitter so that many clients do not come back as one. */
export class Backoff {
  #failures = 0;

  constructor(private readonly random: () => number = Math.random) {}

  /** @returns ms to the next attempt */
  next(after?: ClientError): number {
    const longest = after?.code === 'refused' ? LONGEST_REFUSED : LONGEST;
    const base = Math.min(SHORTEST * 2 ** this.#failures, longest);
    this.#failures++;
    return base * (0.75 + this.random() / 2);
  }

  reset(): void {
    this.#failures = 0;
  }
}

/** Resolves after `ms`, or at once when aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
