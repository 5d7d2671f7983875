import type { PoolConfig } from '../config/schema.js';
import { FairQueue } from './fair-queue.js';
import { Heap } from './heap.js';
import type { PoolCounts, Pools } from './types.js';

/** What the scheduler knows of a queued job. */
export interface QueuedJob {
  readonly id: string;
  readonly pool: string;
  readonly priority: number;
  /** equal priorities start in this order */
  readonly order: number;
  readonly hold: boolean;
  /** whose turn it takes, see FairQueue */
  readonly submitter?: string | undefined;
  /** seconds; 0: at once */
  readonly notBefore: number;
}

interface Queue {
  readonly ready: FairQueue<QueuedJob>;
  running: number;
  /** jobs of this pool in `queued` */
  waiting: number;
}

/** Jobs a pool may run at a time: 0 when it starts none, Infinity without a limit. */
export function capacity(pool: PoolConfig | undefined, defaultSlots: number): number {
  if (!pool || pool.drain === true || pool.hold === true || pool.slots === -1) return 0;
  return pool.slots === 0 ? Infinity : (pool.slots ?? defaultSlots);
}

export { before } from './fair-queue.js';

/** Decides which jobs start now. No I/O, no clock: the time is an argument. */
export class Scheduler {
  private readonly queued = new Map<string, QueuedJob>();
  private readonly running = new Map<string, string>();
  private readonly queues = new Map<string, Queue>();
  private readonly delayed = new Heap<QueuedJob>((a, b) => a.notBefore < b.notBefore);

  constructor(
    private pools: Pools,
    private readonly defaultSlots: number,
  ) {}

  setPools(pools: Pools): void {
    this.pools = pools;
  }

  /** Queues a job, or replaces what is known of a queued one. */
  add(job: QueuedJob): void {
    this.remove(job.id);
    this.queued.set(job.id, job);
    const queue = this.queue(job.pool);
    queue.waiting++;
    if (job.hold) return;
    if (job.notBefore > 0) this.delayed.push(job);
    else queue.ready.push(job);
  }

  /** Takes a job out of the queue. Its heap entry is dropped when it comes up. */
  remove(id: string): void {
    const job = this.queued.get(id);
    if (!job) return;
    this.queued.delete(id);
    this.queue(job.pool).waiting--;
    this.prune(job.pool);
  }

  /** The job occupies a slot from now on. */
  started(id: string, pool: string): void {
    if (!this.running.has(id)) {
      this.running.set(id, pool);
      this.queue(pool).running++;
    }
    this.remove(id);
  }

  ended(id: string): void {
    const pool = this.running.get(id);
    if (pool === undefined) return;
    this.running.delete(id);
    this.queue(pool).running--;
    this.prune(pool);
  }

  /** At most `most` jobs to start now, in order; they count as running when it returns. @param now seconds */
  take(now: number, most: number): string[] {
    for (let due = this.delayed.peek(); due && due.notBefore <= now; due = this.delayed.peek()) {
      this.delayed.pop();
      if (this.queued.get(due.id) === due) this.queue(due.pool).ready.push(due);
    }
    const starts: string[] = [];
    // pools that are not configured start nothing, and cost nothing, however many there are
    for (const pool of Object.keys(this.pools)) {
      const queue = this.queues.get(pool);
      if (!queue) continue;
      const slots = capacity(this.pools[pool], this.defaultSlots);
      while (queue.running < slots && starts.length < most) {
        const job = this.nextReady(queue);
        if (!job) break;
        this.started(job.id, pool);
        starts.push(job.id);
      }
    }
    return starts;
  }

  /** When the next delayed job is due, seconds. */
  nextDue(): number | undefined {
    for (let due = this.delayed.peek(); due; due = this.delayed.peek()) {
      if (this.queued.get(due.id) === due) return due.notBefore;
      this.delayed.pop();
    }
    return undefined;
  }

  get runningCount(): number {
    return this.running.size;
  }

  counts(): Record<string, PoolCounts> {
    const names = new Set([...Object.keys(this.pools), ...this.queues.keys()]);
    return Object.fromEntries(
      [...names].map((name) => {
        const slots = capacity(this.pools[name], this.defaultSlots);
        const { waiting = 0, running = 0 } = this.queues.get(name) ?? {};
        return [name, { queued: waiting, running, slots: slots === Infinity ? undefined : slots }];
      }),
    );
  }

  private nextReady(queue: Queue): QueuedJob | undefined {
    for (let job = queue.ready.pop(); job; job = queue.ready.pop()) {
      if (this.queued.get(job.id) === job) return job;
      queue.ready.refund(job);
    }
    return undefined;
  }

  /** An empty queue goes, with what is left in it of jobs that were removed. */
  private prune(pool: string): void {
    const queue = this.queues.get(pool);
    if (queue?.waiting === 0 && queue.running === 0) this.queues.delete(pool);
  }

  private queue(pool: string): Queue {
    let queue = this.queues.get(pool);
    if (!queue) {
      queue = { ready: new FairQueue(), running: 0, waiting: 0 };
      this.queues.set(pool, queue);
    }
    return queue;
  }
}
