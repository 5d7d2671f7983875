import { describeError } from '../lib/errors.js';
import { isFinished } from '../protocol/job.js';
import type { Spool } from './spool.js';
import type { Store } from './store.js';
import type { AgentOptions, JobRecord } from './types.js';

const CHECK_MS = 60_000;
const BATCH = 500;
/** Results nobody ever asked for are not kept for ever. */
const LONGEST_KEPT_SECONDS = 30 * 86_400;

/** Removes results that their submitter has seen, once they are old enough, with their output. */
export class Forgetter {
  private readonly timer: NodeJS.Timeout;
  private running = false;
  private expire: number;
  private stopped = false;

  constructor(
    private readonly options: Pick<AgentOptions, 'clock' | 'expire' | 'log'>,
    private readonly store: Pick<Store, 'expired' | 'abandoned' | 'remove' | 'pruneEnvs'>,
    private readonly spool: Pick<Spool, 'remove'>,
  ) {
    this.expire = options.expire;
    const every = Math.min(Math.max(options.expire * 500, 1000), CHECK_MS);
    this.timer = setInterval(() => void this.run(), every).unref();
    void this.run();
  }

  setExpire(seconds: number): void {
    this.expire = seconds;
  }

  stop(): void {
    this.stopped = true;
    clearInterval(this.timer);
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    try {
      const { expire } = this;
      const now = this.options.clock.now() / 1000;
      const removed =
        (await this.forget(() => this.store.expired(now - expire, BATCH))) +
        (await this.forget(() => this.store.abandoned(now - Math.max(expire, LONGEST_KEPT_SECONDS), BATCH)));
      if (removed > 0 && !this.stopped) this.store.pruneEnvs();
    } catch (error) {
      if (!this.stopped)
        this.options.log.warn({}, `cannot forget expired jobs: ${describeError(error)}; trying again later`);
    } finally {
      this.running = false;
    }
  }

  private async forget(next: () => readonly JobRecord[]): Promise<number> {
    for (let removed = 0; ;) {
      if (this.stopped) return removed;
      const records = next().filter((record) => isFinished(record.state));
      // one that never ran has no files
      for (const { id, run } of records) if (run > 0) await this.spool.remove(id, run);
      if (this.stopped || records.length === 0) return removed;
      this.store.remove(records.map(({ id, seq }) => ({ id, seq })));
      removed += records.length;
    }
  }
}
