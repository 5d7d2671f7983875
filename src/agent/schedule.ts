import type { PoolConfig } from '../config/schema.js';
import { FairQueue } from './fair-queue.js';
import { Heap } from './heap.js';
import { JobTable } from './job-table.js';
import type { QueuedJob, Slot } from './job-table.js';
import type { PoolCounts, Pools } from './types.js';

export type { QueuedJob } from './job-table.js';

interface Queue {
  readonly ready: FairQueue<Slot>;
  running: number;
  /** queued jobs of this pool */
  waiting: number;
}

/** Configurations may have 1 for true. */
const isOn = (flag: PoolConfig['drain']): boolean => flag === true || flag === 1;

/** Jobs a pool may run at a time: 0 when it starts none, Infinity without a limit. */
export function capacity(pool: PoolConfig | undefined, defaultSlots: number): number {
  if (!pool || isOn(pool.drain) || isOn(pool.hold) || pool.slots === -1) return 0;
  return pool.slots === 0 ? Infinity : (pool.slots ?? defaultSlots);
}

export { before } from './fair-queue.js';

/** Decides which jobs start now. No I/O, no clock: the time is an argument. */
export class Scheduler {
  private readonly jobs = new JobTable();
  private readonly running = new Map<string, string>();
  private readonly queues = new Map<string, Queue>();
  private readonly delayed = new Heap<Slot>((a, b) => this.jobs.notBefore(a) < this.jobs.notBefore(b));

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
    const slot = this.jobs.add(job, !job.hold);
    const queue = this.queue(job.pool);
    queue.waiting++;
    if (job.hold) return;
    if (job.notBefore > 0) this.delayed.push(slot);
    else queue.ready.push(slot);
  }

  /** Takes a job out of the queue. Its heap entry is dropped when it comes up. */
  remove(id: string): void {
    const slot = this.jobs.find(id);
    if (slot === undefined) return;
    const pool = this.jobs.pool(slot);
    this.jobs.remove(slot);
    this.queue(pool).waiting--;
    this.prune(pool);
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
    for (let due = this.nextDelayed(); due !== undefined; due = this.nextDelayed()) {
      if (this.jobs.notBefore(due) > now) break;
      this.delayed.pop();
      this.queue(this.jobs.pool(due)).ready.push(due);
    }
    const starts: string[] = [];
    // pools that are not configured start nothing, and cost nothing, however many there are
    for (const pool of Object.keys(this.pools)) {
      const queue = this.queues.get(pool);
      if (!queue) continue;
      const slots = capacity(this.pools[pool], this.defaultSlots);
      while (queue.running < slots && starts.length < most) {
        const id = this.nextReady(queue);
        if (id === undefined) break;
        this.started(id, pool);
        starts.push(id);
      }
    }
    return starts;
  }

  /** When the next delayed job is due, seconds. */
  nextDue(): number | undefined {
    const due = this.nextDelayed();
    return due === undefined ? undefined : this.jobs.notBefore(due);
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

  /** The delayed job that is due first; those that are gone are dropped. */
  private nextDelayed(): Slot | undefined {
    for (let slot = this.delayed.peek(); slot !== undefined; slot = this.delayed.peek()) {
      if (!this.jobs.isGone(slot)) return slot;
      this.delayed.pop();
      this.jobs.leave(slot);
    }
    return undefined;
  }

  private nextReady(queue: Queue): string | undefined {
    for (let slot = queue.ready.pop(); slot !== undefined; slot = queue.ready.pop()) {
      const id = this.jobs.isGone(slot) ? undefined : this.jobs.id(slot);
      if (id === undefined) queue.ready.refund(slot);
      this.jobs.leave(slot);
      if (id !== undefined) return id;
    }
    return undefined;
  }

  /** An empty queue goes, with what is left in it of jobs that were removed. */
  private prune(pool: string): void {
    const queue = this.queue(pool);
    if (queue.waiting > 0 || queue.running > 0) return;
    for (const slot of queue.ready.all()) this.jobs.leave(slot);
    this.queues.delete(pool);
  }

  private queue(pool: string): Queue {
    let queue = this.queues.get(pool);
    if (!queue) {
      queue = { ready: new FairQueue(this.jobs), running: 0, waiting: 0 };
      this.queues.set(pool, queue);
    }
    return queue;
  }
}
