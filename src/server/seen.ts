import type { AgentCore } from '../agent/core.js';
import type { JobRecord } from '../agent/types.js';
import { isFinished } from '../protocol/job.js';
import { NO_KEY } from './job-view.js';

const PAUSE_MS = 1000;
const REMEMBERED = 10_000;

/**
 * Results of submitters that do not release them: they may expire once they have been in an answer. (Documented is
 * `expire` alone; a result that nobody could have seen is kept longer.)
 */
export class SeenResults {
  private readonly fresh = new Set<string>();
  private readonly known = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly core: Pick<AgentCore, 'release'>) {}

  note(record: JobRecord): void {
    if (record.key !== NO_KEY || !isFinished(record.state) || this.known.get(record.id) === record.seq)
      return;
    if (this.known.size >= REMEMBERED) this.known.clear();
    this.known.set(record.id, record.seq);
    this.fresh.add(record.id);
    this.timer ??= setTimeout(() => this.flush(), PAUSE_MS).unref();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.flush();
  }

  private flush(): void {
    this.timer = undefined;
    const ids = [...this.fresh];
    this.fresh.clear();
    try {
      if (ids.length > 0) this.core.release(ids);
    } catch {
      // they are kept longer, that is all
      this.known.clear();
    }
  }
}
