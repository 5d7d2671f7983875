import { describeError } from '../lib/errors.js';
import type { Executor, RunEnd } from '../executors/executor.js';
import { isFinished } from '../protocol/job.js';
import { ended, killedBeforeStart, started } from './outcome.js';
import { Runs } from './runs.js';
import { Scheduler } from './schedule.js';
import type { Spool } from './spool.js';
import type { Store } from './store.js';
import type { AgentOptions, JobRecord, Pools } from './types.js';

/** Starts of one turn of the event loop: more would keep it from answering. */
const STARTS_A_TURN = 64;
const LONGEST_WRITE_PAUSE_MS = 10_000;

export interface EngineParts {
  readonly store: Pick<Store, 'list' | 'queued' | 'get' | 'write' | 'nextSeq'>;
  readonly spool: Spool;
  readonly executor: Executor;
  /** the environment that was taken out of a record */
  readonly env?: (record: JobRecord) => JobRecord['spec']['env'];
  /** may call back into the engine; `before`: as it was, if there was such a job */
  readonly changed: (record: JobRecord, before: JobRecord | undefined) => void;
}

/**
 * Moves jobs through their states. What a job is next is decided by pure functions; this writes it down, then lets
 * it happen: a start is durable before the executor hears of it, an end before anybody else does.
 */
export class Engine {
  /** jobs that run, and those whose last change is not on disk yet; all others are only there */
  private readonly live = new Map<string, JobRecord>();
  private readonly unwritten = new Map<string, JobRecord>();
  /** those as they ran, which is what others know of them until then */
  private readonly ran = new Map<string, JobRecord>();
  private readonly scheduler: Scheduler;
  private readonly runs: Runs;
  private turn: NodeJS.Immediate | undefined;
  private cancelWake: () => void = () => undefined;
  private writePause = 0;
  private writeTrouble = false;
  private lastOrder = 0;
  private starting = true;
  private closed = false;
  private idleWaiters: (() => void)[] = [];

  constructor(
    private readonly options: AgentOptions,
    private readonly parts: EngineParts,
    private pools: Pools,
  ) {
    this.scheduler = new Scheduler(pools, options.defaultSlots);
    this.runs = new Runs(options, parts.executor, parts.spool, {
      started: (id, run, pid) => this.noteStart(id, run, pid),
      ended: (id, run, end) => this.noteEnd(id, run, end),
      overrun: (id) => this.kill([id], 'timeout'),
    });
  }

  /** Takes over what the agent before this one left: queues the queued, adopts the running. */
  recover(): void {
    for (const { node, ...job } of this.parts.store.queued()) {
      this.lastOrder = Math.max(this.lastOrder, job.order);
      this.scheduler.add({ ...job, hold: job.hold || this.isElsewhere(node) });
    }
    for (const record of this.parts.store.list(['running'])) {
      this.lastOrder = Math.max(this.lastOrder, record.order);
      this.live.set(record.id, record);
      this.scheduler.started(record.id, record.spec.pool);
      this.runs.adopt(record, this.pools);
    }
    this.wake();
  }

  find(id: string): JobRecord | undefined {
    return this.live.get(id) ?? this.parts.store.get(id);
  }

  /** What others may know of a job: its end when that is on disk. */
  look(id: string): JobRecord | undefined {
    return this.ran.get(id) ?? this.find(id);
  }

  /** What is not on disk as it is: the running jobs, as others may know them. */
  liveRecords(): ReadonlyMap<string, JobRecord> {
    return this.ran.size === 0 ? this.live : new Map([...this.live, ...this.ran]);
  }

  running(): JobRecord[] {
    return [...this.live.values()].filter((record) => record.state === 'running');
  }

  nextOrder(): number {
    return ++this.lastOrder;
  }

  /** Queues jobs. @returns them as recorded @throws when they cannot be recorded; then nothing has changed */
  accept(records: readonly JobRecord[]): JobRecord[] {
    return this.change(records);
  }

  /**
   * Queues jobs. Of those that need not wait, only that they have started is recorded, at once: one write less until
   * they run. Others hear of both. @returns them as queued @throws like `accept`
   */
  acceptAndStart(records: readonly JobRecord[]): JobRecord[] {
    for (const record of records) this.enqueue(record);
    try {
      return this.transact(records);
    } catch (error) {
      for (const { id } of records) this.scheduler.remove(id);
      throw error;
    } finally {
      this.wake();
    }
  }

  /** Records what somebody changed of jobs, whatever their state. @returns, @throws like `accept` */
  change(records: readonly JobRecord[]): JobRecord[] {
    const before = this.known(records);
    const written = this.parts.store.write(records, this.now());
    for (const record of written) {
      this.unwritten.delete(record.id);
      this.ran.delete(record.id);
      if (record.state === 'running') this.live.set(record.id, record);
      else this.live.delete(record.id);
      if (record.state === 'new') this.enqueue(record);
      else if (isFinished(record.state)) this.scheduler.remove(record.id);
    }
    this.wake();
    this.tell(written, before);
    return written;
  }

  /** Jobs as they are before they change. What was never changed was not there: it needs no look into the store. */
  private known(records: readonly JobRecord[]): (JobRecord | undefined)[] {
    return records.map((record) => this.before(record));
  }

  private before({ id, seq }: JobRecord): JobRecord | undefined {
    return seq === 0 ? undefined : this.find(id);
  }

  private tell(written: readonly JobRecord[], before: readonly (JobRecord | undefined)[]): void {
    written.forEach((record, i) => this.parts.changed(record, before[i]));
  }

  /** Records the wish that these jobs end, and sees to it. @throws when it cannot be recorded */
  kill(ids: Iterable<string>, reason: 'kill' | 'timeout'): void {
    const before = Array.from(new Set(ids), (id) => this.find(id)).filter(
      (record) =>
        (record?.state === 'new' && reason === 'kill') ||
        (record?.state === 'running' && record.wish !== 'kill'),
    ) as JobRecord[];
    if (before.length === 0) return;
    const changes = before.map((record) =>
      record.state === 'new' ? killedBeforeStart(record, this.now()) : { ...record, wish: reason },
    );
    const written = this.parts.store.write(changes, this.now());
    written.forEach((record) => this.applyKill(record));
    this.wake();
    this.tell(written, before);
  }

  setHold(ids: Iterable<string>, hold: boolean): void {
    const records = Array.from(new Set(ids), (id) => this.find(id)).filter((r) => r?.state === 'new');
    const changes = records.map((record) => ({ ...record!, spec: { ...record!.spec, hold } }));
    if (changes.length > 0) this.change(changes);
  }

  setPools(pools: Pools): void {
    this.pools = pools;
    this.scheduler.setPools(pools);
    this.wake();
  }

  counts(): ReturnType<Scheduler['counts']> {
    return this.scheduler.counts();
  }

  /** Starts nothing from now on. */
  drain(): void {
    this.starting = false;
  }

  /** Resolves when nothing runs and all results are recorded. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.idleWaiters.push(resolve);
      this.wake();
    });
  }

  close(): void {
    this.closed = true;
    this.starting = false;
    if (this.turn) clearImmediate(this.turn);
    this.cancelWake();
    this.runs.stop();
    this.tellIdle();
  }

  // --- the turn: everything that happened since the last one is one transaction

  private wake(): void {
    if (this.closed) return;
    this.turn ??= setImmediate(() => {
      this.turn = undefined;
      this.run();
    });
  }

  private run(): void {
    this.cancelWake();
    try {
      this.transact([]);
    } catch (error) {
      this.postpone(error);
      return;
    }
    this.wakeWhenDue();
    if (this.scheduler.runningCount === 0 && this.unwritten.size === 0) this.tellIdle();
  }

  /**
   * Records what has ended, what is new, and what starts now, which may be new; then lets it start, and tells of it.
   * @returns what is new, as queued @throws when that cannot be recorded: then it is as before, with the new ones queued
   */
  private transact(accepted: readonly JobRecord[]): JobRecord[] {
    const fresh = new Map(accepted.map((one) => [one.id, { ...one, seq: this.parts.store.nextSeq() }]));
    const before = new Map(accepted.map((one) => [one.id, this.before(one)]));
    const queued = this.chooseStarts(fresh);
    const starting = new Set(queued.map(({ id }) => id));
    const ends = [...this.unwritten.values()];
    const waiting = [...fresh.values()].filter(({ id }) => !starting.has(id));
    const written = this.writeOrUndo([...ends, ...waiting, ...this.startedNow(queued)], queued);
    const starts = written.slice(ends.length + waiting.length);
    const told = starts.map((start, i) => (fresh.has(start.id) ? asQueued(queued[i]!, start) : queued[i]!));
    const isNew = told
      .filter(({ id }) => fresh.has(id))
      .concat(written.slice(ends.length, -starts.length || undefined));
    const ran = ends.map(({ id }) => this.ran.get(id));
    this.noteWritable(written.length);
    this.unwritten.clear();
    this.ran.clear();
    written.forEach((record) => this.settle(record));
    if (starts.length === STARTS_A_TURN) this.wake();
    // last: a listener may do anything, even stop the agent
    this.tell(written.slice(0, ends.length), ran);
    this.tell(
      isNew,
      isNew.map(({ id }) => before.get(id)),
    );
    this.tell(starts, told);
    return isNew;
  }

  private writeOrUndo(records: readonly JobRecord[], starts: readonly JobRecord[]): JobRecord[] {
    try {
      return this.parts.store.write(records, this.now());
    } catch (error) {
      for (const record of starts) {
        this.scheduler.ended(record.id);
        this.enqueue(record);
      }
      throw error;
    }
  }

  private chooseStarts(fresh: ReadonlyMap<string, JobRecord>): JobRecord[] {
    if (!this.starting) return [];
    return this.scheduler.take(this.now(), STARTS_A_TURN).map((id) => fresh.get(id) ?? this.find(id)!);
  }

  private startedNow(queued: readonly JobRecord[]): JobRecord[] {
    const { epoch } = this.parts.executor;
    return queued.map((record) => started(record, this.now(), epoch));
  }

  /** Disk full or worse: results wait in memory (and in the spool), nothing new starts, and it is tried again. */
  private postpone(error: unknown): void {
    this.writePause = Math.min(Math.max(this.writePause * 2, 500), LONGEST_WRITE_PAUSE_MS);
    if (!this.writeTrouble) {
      const fields = { results: this.unwritten.size };
      const message = `cannot write the state in ${this.options.directory}: ${describeError(error)}; results are kept, trying again until it works`;
      this.options.log.error(fields, message);
    }
    this.writeTrouble = true;
    this.cancelWake = this.options.clock.after(this.writePause, () => this.run());
  }

  private noteWritable(records: number): void {
    if (this.writePause > 0 && records > 0) this.options.log.info({}, 'the state can be written again');
    this.writePause = 0;
    this.writeTrouble = false;
  }

  private settle(record: JobRecord): void {
    if (record.state !== 'running') {
      this.live.delete(record.id);
      return;
    }
    this.live.set(record.id, record);
    this.runs.start(this.complete(record), this.pools);
  }

  private complete(record: JobRecord): JobRecord {
    const env = this.parts.env?.(record);
    return env === undefined ? record : { ...record, spec: { ...record.spec, env } };
  }

  private wakeWhenDue(): void {
    const due = this.starting ? this.scheduler.nextDue() : undefined;
    if (due === undefined) return;
    this.cancelWake = this.options.clock.after(Math.max(due - this.now(), 0) * 1000 + 1, () => this.wake());
  }

  private tellIdle(): void {
    this.idleWaiters.splice(0).forEach((resolve) => resolve());
  }

  // --- one job

  private enqueue({ id, spec, order, not_before, submitter }: JobRecord): void {
    const { pool, priority = 0 } = spec;
    const hold = spec.hold === true || this.isElsewhere(spec.node);
    this.scheduler.add({ id, pool, priority, order, hold, submitter, notBefore: not_before ?? 0 });
  }

  /** Only where jobs wait for nodes that are not there; else the node of a job means nothing. */
  private isElsewhere(node: string | undefined): boolean {
    return this.options.unroutable === 'wait' && node !== undefined && node !== this.options.node;
  }

  /** The pid is in the spool, too: this needs no write of its own. */
  private noteStart(id: string, run: number, pid: number): void {
    const record = this.live.get(id);
    if (record?.run !== run || record.state !== 'running') return;
    try {
      const changed = { ...record, pid, seq: this.parts.store.nextSeq(), ts: this.now() };
      this.live.set(id, changed);
      this.parts.changed(changed, record);
    } catch (error) {
      this.options.log.warn({ job: id }, `cannot note the process id: ${describeError(error)}`);
    }
  }

  private noteEnd(id: string, run: number, end: RunEnd): void {
    const record = this.live.get(id);
    if (record?.run !== run || record.state !== 'running') return;
    this.scheduler.ended(id);
    const next = ended(record, end, this.now());
    this.live.set(id, next);
    this.unwritten.set(id, next);
    this.ran.set(id, record);
    if (next.state === 'new') this.enqueue(next);
    if (this.writePause === 0) this.wake();
  }

  private applyKill(record: JobRecord): void {
    if (record.state === 'running') {
      this.live.set(record.id, record);
      this.runs.kill(record);
    } else {
      this.scheduler.remove(record.id);
      this.live.delete(record.id);
      this.unwritten.delete(record.id);
      this.ran.delete(record.id);
    }
  }

  private now(): number {
    return this.options.clock.now() / 1000;
  }
}

/** A job that was queued for no time, as others hear of it. */
const asQueued = (queued: JobRecord, { ts, env, spec }: JobRecord): JobRecord => ({
  ...queued,
  ts,
  env,
  spec,
});
