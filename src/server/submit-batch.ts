import type { AgentCore } from '../agent/core.js';
import type { JobRecord, Submission } from '../agent/types.js';
import { RequestError } from './errors.js';

/** A result that is there once the batch it waits for is on disk. */
export class Pending {
  private result: { readonly record: JobRecord } | { readonly error: string } | undefined;

  settle(result: { readonly record: JobRecord } | { readonly error: string }): void {
    this.result = result;
  }

  /** @throws RequestError when the submission was refused */
  get record(): JobRecord {
    if (this.result === undefined) throw new Error('asked before the batch was written');
    if ('error' in this.result) throw new RequestError(this.result.error);
    return this.result.record;
  }
}

/**
 * Group commit: the submits of one turn of the event loop, of all connections, become durable together. Whoever needs
 * to see them before that flushes.
 */
export class SubmitBatch {
  private waiting: { readonly submission: Submission; readonly pending: Pending }[] = [];
  private ids = new Set<string>();
  private turn: NodeJS.Immediate | undefined;
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly core: Pick<AgentCore, 'submit'>,
    /** told of what a listener threw */
    private readonly failed: (error: unknown) => void,
  ) {}

  get isEmpty(): boolean {
    return this.waiting.length === 0;
  }

  has(id: string): boolean {
    return this.ids.has(id);
  }

  add(submission: Submission): Pending {
    const pending = new Pending();
    this.waiting.push({ submission, pending });
    this.ids.add(submission.spec.id);
    this.turn ??= setImmediate(() => this.flush());
    return pending;
  }

  /** Calls back once, after the next flush. */
  whenFlushed(listener: () => void): void {
    this.listeners.add(listener);
  }

  /** Writes what waits; every Pending is settled then, well or not. */
  flush(): void {
    if (this.turn) clearImmediate(this.turn);
    this.turn = undefined;
    const batch = this.waiting;
    this.waiting = [];
    this.ids = new Set();
    if (batch.length > 0) this.write(batch);
    const listeners = [...this.listeners];
    this.listeners.clear();
    for (const listener of listeners) this.call(listener);
  }

  /** One that fails must not keep the others from their answers. */
  private call(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.failed(error);
    }
  }

  private write(batch: typeof this.waiting): void {
    try {
      const results = this.core.submit(batch.map(({ submission }) => submission));
      batch.forEach(({ pending }, i) => pending.settle(results[i]!));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      for (const { pending } of batch) pending.settle({ error: message });
    }
  }
}
