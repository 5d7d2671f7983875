import { Names } from './names.js';
import { RareNumbers } from './rare-numbers.js';

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

/** A row of the table. */
export type Slot = number;

const SMALLEST = 64;
const [HOLD, WAITS_IN_HEAP, GONE] = [1, 2, 4];

/**
 * The queued jobs in columns: some 130 bytes a job, and next to nothing for the garbage collector to walk through. A
 * job that leaves while a heap still has its slot keeps the slot, and is `isGone`, until the heap gives it up.
 */
export class JobTable {
  private readonly slots = new Map<string, Slot>();
  private readonly ids: string[] = [];
  private readonly free: Slot[] = [];
  private readonly names = new Names();
  private orders = new Float64Array(SMALLEST);
  private readonly priorities = new RareNumbers();
  private readonly times = new RareNumbers();
  private pools = new Int32Array(SMALLEST);
  private submitters = new Int32Array(SMALLEST);
  private flags = new Uint8Array(SMALLEST);

  find(id: string): Slot | undefined {
    return this.slots.get(id);
  }

  /** @param waitsInHeap a heap will have its slot: it is to be given up there with `leave` */
  add(job: QueuedJob, waitsInHeap: boolean): Slot {
    const slot = this.free.pop() ?? this.ids.length;
    if (slot >= this.flags.length) this.grow();
    this.slots.set(job.id, slot);
    this.ids[slot] = job.id;
    this.orders[slot] = job.order;
    this.priorities.set(slot, job.priority);
    this.times.set(slot, job.notBefore);
    this.pools[slot] = this.names.use(job.pool);
    this.submitters[slot] = this.names.use(job.submitter ?? '');
    this.flags[slot] = (job.hold ? HOLD : 0) | (waitsInHeap ? WAITS_IN_HEAP : 0);
    return slot;
  }

  /** The job is not queued any more. */
  remove(slot: Slot): void {
    this.slots.delete(this.ids[slot]!);
    if ((this.flags[slot]! & WAITS_IN_HEAP) !== 0) this.flags[slot]! |= GONE;
    else this.release(slot);
  }

  /** No heap has the slot any more. */
  leave(slot: Slot): void {
    if (this.isGone(slot)) this.release(slot);
    else this.flags[slot]! &= ~WAITS_IN_HEAP;
  }

  isGone(slot: Slot): boolean {
    return (this.flags[slot]! & GONE) !== 0;
  }

  id(slot: Slot): string {
    return this.ids[slot]!;
  }

  pool(slot: Slot): string {
    return this.names.text(this.pools[slot]!);
  }

  submitter = (slot: Slot): string => this.names.text(this.submitters[slot]!);
  priority = (slot: Slot): number => this.priorities.get(slot);
  order = (slot: Slot): number => this.orders[slot]!;
  notBefore = (slot: Slot): number => this.times.get(slot);

  private release(slot: Slot): void {
    this.names.drop(this.pools[slot]!);
    this.names.drop(this.submitters[slot]!);
    this.ids[slot] = '';
    this.flags[slot] = 0;
    this.free.push(slot);
  }

  private grow(): void {
    const size = Math.ceil(this.flags.length * 1.5);
    this.orders = copied(this.orders, new Float64Array(size));
    this.pools = copied(this.pools, new Int32Array(size));
    this.submitters = copied(this.submitters, new Int32Array(size));
    this.flags = copied(this.flags, new Uint8Array(size));
  }
}

function copied<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}
