import type { StopMode } from '../protocol/agent.js';
import type { Context } from './context.js';

export type Stop = { readonly mode: StopMode; readonly signal: string };

/** Signals as a queue of wishes: SIGTERM leaves jobs running, the first Ctrl-C drains, the second kills; on_stop changes the first. */
export class StopRequests {
  readonly #waiting: ((stop: Stop) => void)[] = [];
  readonly #pending: Stop[] = [];
  readonly #off: (() => void)[];
  #count = 0;

  constructor(
    private readonly context: Context,
    private readonly onStop: StopMode | undefined,
  ) {
    this.#off = [
      context.onSignal('SIGINT', () => this.#request('SIGINT')),
      context.onSignal('SIGTERM', () => this.#request('SIGTERM')),
    ];
  }

  next(): Promise<Stop> {
    const stop = this.#pending.shift();
    return stop !== undefined ? Promise.resolve(stop) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** True when a stop was asked for within `ms`; it is consumed. */
  async within(ms: number): Promise<boolean> {
    if (this.#pending.length > 0) return true;
    return new Promise((resolve) => {
      const cancel = this.context.clock.after(ms, () => {
        this.#waiting.splice(this.#waiting.indexOf(listener), 1);
        resolve(false);
      });
      const listener = (): void => {
        cancel();
        resolve(true);
      };
      this.#waiting.push(listener);
    });
  }

  dispose(): void {
    for (const off of this.#off) off();
  }

  #request(signal: 'SIGINT' | 'SIGTERM'): void {
    const first = this.onStop ?? (signal === 'SIGINT' ? 'drain' : 'leave');
    const stop: Stop = {
      mode: this.#count++ === 0 ? first : 'kill',
      signal: signal === 'SIGINT' ? 'Ctrl-C' : signal,
    };
    const waiting = this.#waiting.splice(0);
    if (waiting.length === 0) this.#pending.push(stop);
    for (const resolve of waiting) resolve(stop);
  }
}
