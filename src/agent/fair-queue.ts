import { Heap } from './heap.js';

/** What the order of starts depends on. */
export interface Queueable {
  readonly priority: number;
  /** first come, first served among equals */
  readonly order: number;
  /** whose turn it takes; jobs without one share a turn */
  readonly submitter?: string | undefined;
}

/** How the queue sees what is in it. */
export interface Keys<T> {
  readonly priority: (job: T) => number;
  readonly order: (job: T) => number;
  readonly submitter: (job: T) => string;
}

const ownKeys: Keys<Queueable> = {
  priority: (job) => job.priority,
  order: (job) => job.order,
  submitter: (job) => job.submitter ?? '',
};

/** Of one submitter: priority, then first come, first served. */
const comesBefore =
  <T>({ priority, order }: Keys<T>) =>
  (a: T, b: T): boolean =>
    (priority(b) - priority(a) || order(a) - order(b)) < 0;

export const before = comesBefore(ownKeys);

interface Lane<T> {
  readonly submitter: string;
  readonly jobs: Heap<T>;
  /** grows with every job taken: the smallest is served next */
  turn: number;
  /** entries in `heads` of another stamp are out of date */
  stamp: number;
}

interface Head {
  readonly lane: string;
  readonly stamp: number;
  readonly priority: number;
  readonly turn: number;
  readonly order: number;
}

const headBefore = (a: Head, b: Head): boolean =>
  (b.priority - a.priority || a.turn - b.turn || a.order - b.order) < 0;

/**
 * The queue of a pool. The highest priority first; submitters with jobs of the same priority take turns, so that the
 * backlog of one does not keep the others waiting. No I/O, no clock; every step costs the logarithm of the length.
 */
export class FairQueue<T> {
  private readonly lanes = new Map<string, Lane<T>>();
  private readonly heads = new Heap<Head>(headBefore);
  /** turns already taken by submitters that wait for nothing now; forgotten once everybody is as far */
  private readonly ahead = new Map<string, number>();
  private now = 0;
  private stamps = 0;
  private readonly isBefore: (a: T, b: T) => boolean;

  /** @param keys may be left out for jobs that carry these themselves */
  constructor(private readonly keys: Keys<T> = ownKeys as unknown as Keys<T>) {
    this.isBefore = comesBefore(keys);
  }

  push(job: T): void {
    const submitter = this.keys.submitter(job);
    const lane = this.lanes.get(submitter) ?? this.open(submitter);
    const isFirst = lane.jobs.peek() === undefined || this.isBefore(job, lane.jobs.peek()!);
    lane.jobs.push(job);
    if (isFirst) this.show(lane);
  }

  /** The job whose turn it is, out of the queue. */
  pop(): T | undefined {
    for (let head = this.heads.pop(); head; head = this.heads.pop()) {
      const lane = this.lanes.get(head.lane);
      if (lane?.stamp !== head.stamp) continue;
      const job = lane.jobs.pop()!;
      this.now = Math.max(this.now, lane.turn);
      lane.turn++;
      if (lane.jobs.peek() === undefined) this.close(lane);
      else this.show(lane);
      return job;
    }
    return undefined;
  }

  /** Takes back a turn: the job popped last turned out to be none. */
  refund(job: T): void {
    const submitter = this.keys.submitter(job);
    const lane = this.lanes.get(submitter);
    if (lane) {
      lane.turn--;
      this.show(lane);
    } else {
      const turn = this.ahead.get(submitter);
      if (turn !== undefined) this.ahead.set(submitter, turn - 1);
    }
  }

  /** Everything in the queue, in no order. */
  *all(): Generator<T> {
    for (const lane of this.lanes.values()) yield* lane.jobs.all();
  }

  private open(submitter: string): Lane<T> {
    const turn = Math.max(this.ahead.get(submitter) ?? 0, this.now);
    this.ahead.delete(submitter);
    const lane: Lane<T> = { submitter, jobs: new Heap<T>(this.isBefore), turn, stamp: 0 };
    this.lanes.set(submitter, lane);
    return lane;
  }

  private close(lane: Lane<T>): void {
    this.lanes.delete(lane.submitter);
    this.ahead.set(lane.submitter, lane.turn);
    if (this.ahead.size <= this.lanes.size + 64) return;
    for (const [submitter, turn] of this.ahead) if (turn <= this.now) this.ahead.delete(submitter);
  }

  private show(lane: Lane<T>): void {
    const job = lane.jobs.peek()!;
    const [priority, order] = [this.keys.priority(job), this.keys.order(job)];
    lane.stamp = ++this.stamps;
    this.heads.push({ lane: lane.submitter, stamp: lane.stamp, priority, turn: lane.turn, order });
  }
}
