import type { Job } from '../protocol/job.js';
import { isFinished } from '../protocol/states.js';
import type { FollowOptions } from './client.js';
import { ClientError } from './errors.js';
import { Feed } from './feed.js';
import type { Endpoint } from './options.js';

/** Follows jobs to their ends, all over one connection that is there while somebody waits. */
export class Waits {
  readonly #waiting = new Map<string, Set<() => void>>();
  #feed: Feed | undefined;

  constructor(
    private readonly endpoint: Endpoint,
    private readonly follow: FollowOptions,
  ) {}

  /** First listens, then looks, so that no end falls between. */
  async wait(
    id: string,
    look: (output: boolean) => Promise<Job | undefined>,
    signal: AbortSignal,
  ): Promise<Job> {
    const feed = (this.#feed ??= this.#open());
    const bell = new Bell();
    const rings = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, rings.add(bell.ring));
    signal.addEventListener('abort', bell.ring);
    try {
      await feed.ready;
      for (;;) {
        bell.reset();
        if (signal.aborted) throw new ClientError('closed', `waiting for job ${id} was ended`);
        const job = await look(false);
        if (job === undefined) throw new ClientError('request', `there is no job ${id}`);
        if (isFinished(job.state)) return (await look(true)) ?? job;
        await Promise.race([bell.rung, over(feed)]);
      }
    } finally {
      signal.removeEventListener('abort', bell.ring);
      this.#leave(id, bell.ring);
    }
  }

  #open(): Feed {
    return new Feed(this.endpoint, {
      ...this.follow,
      filter: {},
      onJob: (id) => {
        for (const ring of this.#waiting.get(id) ?? []) ring();
      },
    });
  }

  #leave(id: string, ring: () => void): void {
    const rings = this.#waiting.get(id);
    rings?.delete(ring);
    if (rings?.size === 0) this.#waiting.delete(id);
    if (this.#waiting.size > 0) return;
    this.#feed?.close();
    this.#feed = undefined;
  }
}

/** Something may have changed since `reset`. */
class Bell {
  rung: Promise<void> = Promise.resolve();
  ring: () => void;
  #resolve: () => void = () => undefined;

  constructor() {
    this.ring = () => this.#resolve();
  }

  reset(): void {
    this.rung = new Promise((resolve) => (this.#resolve = resolve));
  }
}

const over = async (feed: Feed): Promise<never> => {
  throw await feed.ended;
};
