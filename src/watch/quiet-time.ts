const QUIET_MS = 1000;
const EXTEND_EVERY_MS = 100;

interface Waiting {
  /** ms since the epoch */
  quietUntil: number;
}

/**
 * Whoever removes a directory takes markers and files in any order, and may need long for it. Files without their marker
 * are therefore given a moment, which counts from the last marker that somebody removed, not from their own.
 */
export class QuietTime {
  readonly #waiting = new Set<Waiting>();
  #impatientUntil = 0;
  #extendedAt = -Infinity;

  /** The marker of a file was removed, not by us. */
  begin(file: Waiting, now: number): void {
    if (now < this.#impatientUntil) return;
    file.quietUntil = now + QUIET_MS;
    this.#waiting.add(file);
    if (Math.abs(now - this.#extendedAt) < EXTEND_EVERY_MS) return;
    this.#extendedAt = now;
    for (const one of this.#waiting)
      if (one.quietUntil + QUIET_MS <= now) this.#waiting.delete(one);
      else one.quietUntil = now + QUIET_MS;
  }

  /** A person changed the markers: nobody waits, and for a moment nobody will. */
  end(now: number): void {
    this.#impatientUntil = now + QUIET_MS;
    for (const one of this.#waiting) one.quietUntil = 0;
    this.#waiting.clear();
  }
}
