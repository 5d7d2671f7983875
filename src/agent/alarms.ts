import type { Clock } from '../lib/clock.js';

/** One alarm a name, at a time of the clock, however far away: the longest timer is 24 days. */
export class Alarms {
  private readonly cancels = new Map<string, () => void>();

  constructor(private readonly clock: Clock) {}

  /** @param at seconds since the epoch; replaces an earlier alarm of that name */
  set(name: string, at: number, ring: () => void): void {
    this.cancel(name);
    this.wait(name, at, ring, 0);
  }

  cancel(name: string): void {
    this.cancels.get(name)?.();
    this.cancels.delete(name);
  }

  clear(): void {
    for (const cancel of this.cancels.values()) cancel();
    this.cancels.clear();
  }

  private wait(name: string, at: number, ring: () => void, least: number): void {
    const fire = (): void => {
      if (this.clock.now() / 1000 < at) {
        this.wait(name, at, ring, 1);
        return;
      }
      this.cancels.delete(name);
      ring();
    };
    this.cancels.set(name, this.clock.after(Math.max(at * 1000 - this.clock.now(), least), fire));
  }
}
