/** Longer than the events of one replacement come apart, ms. */
const MOMENT_MS = 1000;

/**
 * Files that another one seems to have been renamed over, for the moment in which that may still turn out to be a
 * removal and a new arrival: a look that follows the event of the removal may see the new file already. What is
 * written down too early would make a later start take the new file for processed.
 */
export class Overwrites {
  /** path -> ms since the epoch when it is certain; 0: as soon as events that waited have been heard */
  readonly #certainAt = new Map<string, number>();

  add(path: string, now: number): void {
    this.#certainAt.set(path, now + MOMENT_MS);
  }

  isUncertain = (path: string): boolean => this.#certainAt.has(path);

  /**
   * Those that are certain now; each is told once. To be asked once a turn, after the events: when the moment has
   * passed in sleep (a stopped process, a suspended machine), the events wait for the next turn. Also when the clock
   * was set back.
   */
  takeCertain(now: number): string[] {
    const certain: string[] = [];
    for (const [path, at] of this.#certainAt) {
      if (at === 0) certain.push(path);
      else if (now >= at || at - now > MOMENT_MS) this.#certainAt.set(path, 0);
    }
    for (const path of certain) this.#certainAt.delete(path);
    return certain;
  }

  /** ms since the epoch; Infinity for never */
  get nextAt(): number {
    let next = Infinity;
    for (const at of this.#certainAt.values()) next = Math.min(next, at);
    return next;
  }
}
