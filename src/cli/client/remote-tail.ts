import type { Client } from '../../client/api.js';
import { ClientError } from '../../client/errors.js';

const PIECE = 256 * 1024;

/** Reads what a job writes on another machine, each byte once; see `output` in the protocol. */
export class RemoteTail {
  #offset = 0;
  #run: number | undefined;

  constructor(
    private readonly client: Client,
    private readonly id: string,
    private readonly stream: 'stdout' | 'stderr',
  ) {}

  /** Passes on what is new. @returns false when the agent is of a version that does not tell */
  async read(print: (bytes: Buffer) => void): Promise<boolean> {
    if (this.client.agent.protocol < 2) return false;
    for (;;) {
      const part = await this.#ask();
      if (part === undefined) return false;
      const bytes = Buffer.from(part.data, 'base64');
      this.#run = part.run;
      this.#offset = part.offset + bytes.length;
      if (bytes.length > 0) print(bytes);
      if (bytes.length === 0 || this.#offset >= part.size) return true;
    }
  }

  async #ask(): Promise<Part | undefined> {
    const { id, stream } = this;
    const run = this.#run === undefined || this.#run === 0 ? {} : { run: this.#run };
    try {
      const part = await this.client.request('output', {
        id,
        stream,
        offset: this.#offset,
        limit: PIECE,
        ...run,
      });
      return isPart(part) ? part : undefined;
    } catch (error) {
      if (error instanceof ClientError && error.code === 'request') return undefined;
      throw error;
    }
  }
}

interface Part {
  readonly data: string;
  readonly run: number;
  readonly offset: number;
  readonly size: number;
}

const isPart = (value: unknown): value is Part =>
  typeof value === 'object' &&
  value !== null &&
  'data' in value &&
  typeof value.data === 'string' &&
  'run' in value;
