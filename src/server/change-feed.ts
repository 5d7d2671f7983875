import type { AgentCore } from '../agent/core.js';
import type { JobRecord } from '../agent/types.js';
import { toAscii } from './json.js';
import type { Interest } from './service.js';

/** Jobs a slow reader is behind by, before only the sequence number is remembered. */
const MOST_BEHIND = 1024;
/** Jobs of one catching up at a time. */
const BATCH = 256;

export interface FeedSink {
  /** Takes text; false: no more until `resume` is called. */
  write(text: string): boolean;
  view(record: JobRecord): Record<string, unknown>;
}

/**
 * The changes of jobs as lines for one reader. One that reads fast hears every state of every job; one that does not
 * hears of each job's latest state, and costs a bounded amount of memory meanwhile. So that its picture stays right, a
 * job that does not match any more is told with `left`; what it was before a break is not known, so it is then told
 * of every job that changed and does not match.
 */
export class ChangeFeed {
  private fresh: JobRecord[] = [];
  private readonly behind = new Set<string>();
  /** set: everything after it is to be told, `behind` is not complete */
  private lost: number | undefined;
  private blocked = false;
  private turn: NodeJS.Immediate | undefined;
  private readonly off: () => void;

  constructor(
    private readonly core: Pick<AgentCore, 'find' | 'changedSince' | 'onRecord'>,
    private readonly interest: Interest,
    since: number | undefined,
    private readonly sink: FeedSink,
  ) {
    this.lost = since;
    this.off = core.onRecord((record, before) => this.hear(record, before));
    if (since !== undefined) this.wake();
  }

  /** The reader has room again. */
  resume(): void {
    if (!this.blocked) return;
    this.blocked = false;
    this.wake();
  }

  stop(): void {
    this.off();
    if (this.turn) clearImmediate(this.turn);
    this.turn = undefined;
    this.fresh = [];
    this.behind.clear();
    this.blocked = true;
  }

  private hear(record: JobRecord, before: JobRecord | undefined): void {
    const { matches } = this.interest;
    if (!matches(record) && (before === undefined || !matches(before))) return;
    if (this.lost !== undefined) return; // it will be found by its number
    if (this.blocked || this.fresh.length >= MOST_BEHIND) this.postpone(record);
    else {
      this.fresh.push(record);
      this.wake();
    }
  }

  private postpone(record: JobRecord): void {
    this.behind.add(record.id);
    if (this.behind.size <= MOST_BEHIND) return;
    const oldest = Math.min(
      ...Array.from(this.behind, (id) => this.core.find(id)?.seq ?? Infinity),
      record.seq,
    );
    this.behind.clear();
    this.lost = oldest - 1;
  }

  private wake(): void {
    this.turn ??= setImmediate(() => {
      this.turn = undefined;
      this.tell();
    });
  }

  private tell(): void {
    if (this.blocked) return;
    const fresh = this.fresh;
    this.fresh = [];
    if (fresh.length > 0 && !this.send(fresh)) return;
    const ids = [...this.behind].slice(0, BATCH);
    for (const id of ids) this.behind.delete(id);
    const late = ids.map((id) => this.core.find(id)).filter((record) => record !== undefined);
    if (late.length > 0 && !this.send(late)) return;
    if (this.behind.size === 0 && this.lost !== undefined && !this.catchUp(this.lost)) return;
    if (this.behind.size > 0 || this.lost !== undefined) this.wake();
  }

  private catchUp(since: number): boolean {
    const { records, next } = this.core.changedSince(since, BATCH);
    this.lost = next;
    const batch = records.filter(this.interest.concerns);
    return batch.length === 0 || this.send(batch);
  }

  private send(records: readonly JobRecord[]): boolean {
    const lines = records.map((record) => {
      const left = this.interest.matches(record) ? {} : { left: true };
      const event = { job: { ...this.sink.view(record), id: record.id }, seq: record.seq, ...left };
      return `${toAscii([{ event }])}\n`;
    });
    this.blocked = !this.sink.write(lines.join(''));
    return !this.blocked;
  }
}
