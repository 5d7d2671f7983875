import type { ClientError } from './errors.js';
import type { ConnectOptions } from './options.js';

/**
 * Tells once that the agent is away, once that it refuses us, and once that it is back, whoever of its connections
 * notices.
 */
export class Presence {
  #status: 'away' | 'refused' | 'back' = 'back';

  constructor(
    private readonly name: string,
    private readonly onStatus: ConnectOptions['onStatus'],
  ) {}

  away({ code, message }: ClientError): void {
    if (code === 'refused') this.#tell('refused', `${message}; trying again, at most once a minute`);
    else this.#tell('away', `${message}; trying again`);
  }

  back(): void {
    this.#tell('back', `${this.name} is back`);
  }

  #tell(status: 'away' | 'refused' | 'back', message: string): void {
    if (this.#status === status) return;
    this.#status = status;
    this.onStatus?.(status, message);
  }
}
