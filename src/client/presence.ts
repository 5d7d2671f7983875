import type { ConnectOptions } from './options.js';

/** Tells once that the agent is away, and once that it is back, whoever of its connections notices. */
export class Presence {
  #isAway = false;

  constructor(
    private readonly name: string,
    private readonly onStatus: ConnectOptions['onStatus'],
  ) {}

  away(reason: string): void {
    if (this.#isAway) return;
    this.#isAway = true;
    this.onStatus?.('away', `${reason}; trying again`);
  }

  back(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.onStatus?.('back', `${this.name} is back`);
  }
}
