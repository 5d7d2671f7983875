import { chmodSync } from 'node:fs';
import { describeError, hasCode } from '../lib/errors.js';
import { loadLibc } from '../lib/load-libc.js';
import { makeDirectory } from '../lib/make-directory.js';
import { join } from 'node:path';
import type { Executor } from '../executors/executor.js';
import { findPrograms } from '../executors/process/guardian.js';
import { ProcessExecutor } from '../executors/process/process-executor.js';
import type { StopMode } from '../protocol/agent.js';
import { isFinished, jobStates } from '../protocol/job.js';
import type { JobState } from '../protocol/job.js';
import { admit } from './admission.js';
import { Engine } from './engine.js';
import { Forgetter } from './forgetter.js';
import { lockDirectory } from './lock.js';
import { graceOf } from './runs.js';
import { Spool } from './spool.js';
import { Store } from './store.js';
import type { Agent, AgentOptions, JobCount, JobRecord, Pools, Submission } from './types.js';

/** After the grace, SIGKILL needs a moment. */
const KILL_MARGIN_MS = 5_000;

/** Hears of a change; `before`: the job as it was, if there was one. */
export type RecordListener = (record: JobRecord, before: JobRecord | undefined) => void;

type Submitted = { readonly record: JobRecord } | { readonly error: string };

/**
 * The agent in terms of its records; what it is for others (a port, a protocol) is built on it. Calls are durable when
 * they return, and throw when the disk refuses. Jobs that an agent before it left running are adopted.
 */
export class AgentCore {
  readonly spool: Spool;
  private readonly store: Store;
  private readonly executor: Executor;
  private readonly engine: Engine;
  private readonly forgetter: Forgetter;
  private readonly unlock: () => void;
  private readonly listeners = new Set<RecordListener>();
  private readonly closeListeners = new Set<() => void>();
  private closingListeners: (() => void)[] = [];
  private stopping: Promise<void> | undefined;
  private cancelDeadline: () => void = () => undefined;
  private closed = false;
  pools: Pools;

  /** @throws AgentLockedError when another agent uses the directory; Error when its state cannot be read */
  constructor(private readonly options: AgentOptions) {
    makeDirectory(options.directory, 0o700);
    chmodSync(options.directory, 0o700);
    this.unlock = lockDirectory(options.directory);
    void loadLibc();
    try {
      this.store = new Store(options.directory);
      this.executor = new ProcessExecutor(
        options.clock,
        join(options.directory, 'guardians'),
        findPrograms(),
        (message) => options.log.warn({}, message),
      );
    } catch (error) {
      this.unlock();
      throw error;
    }
    this.pools = options.pools;
    this.spool = new Spool(options.directory);
    this.engine = new Engine(
      options,
      {
        store: this.store,
        spool: this.spool,
        executor: this.executor,
        env: (record) => this.store.env(record),
        changed: (record, before) => this.publish(record, before),
      },
      options.pools,
    );
    this.engine.recover();
    this.tellRecovery();
    this.forgetter = new Forgetter(options, this.store, this.spool);
  }

  private tellRecovery(): void {
    const { log } = this.options;
    const running = this.engine.running().map((record) => record.id);
    if (running.length > 0)
      log.info({ jobs: running.length, first: running.slice(0, 5) }, 'adopting running jobs');
    const orphans = Object.entries(this.engine.counts()).filter(
      ([pool, { queued, running: used }]) => queued + used > 0 && !Object.hasOwn(this.pools, pool),
    );
    if (orphans.length === 0) return;
    const pools = orphans.map(([pool]) => pool);
    const jobs = orphans.reduce((sum, [, { queued, running: used }]) => sum + queued + used, 0);
    log.warn({ pools, jobs }, 'jobs wait for pools that are not configured');
  }

  /**
   * One result a submission, in order; all that are accepted become durable together.
   * @param start whether those that need not wait have started when it returns; else whoever asks in the same turn of the
   * event loop finds them queued, as with the Python original
   */
  submit(submissions: readonly Submission[], start: 'at once' | 'soon' = 'soon'): Submitted[] {
    this.mustBeOpen();
    const now = this.options.clock.now() / 1000;
    const pools = this.options.unroutable === 'wait' ? 'any' : this.pools;
    const accepted = new Map<string, JobRecord>();
    const errors = submissions.map((submission) => {
      const { id } = submission.spec;
      const known = accepted.get(id) ?? (submission.isNewId === true ? undefined : this.engine.find(id));
      const admission = admit(submission, known, pools, this.engine.nextOrder(), now);
      if (admission.kind === 'accept') accepted.set(id, admission.record);
      return admission.kind === 'refuse' ? admission.error : undefined;
    });
    const written = accepted.size === 0 ? [] : this.accept([...accepted.values()], start);
    for (const record of written) accepted.set(record.id, record);
    return submissions.map(({ spec }, i) => {
      const error = errors[i];
      return error === undefined
        ? { record: accepted.get(spec.id) ?? this.engine.look(spec.id)! }
        : { error };
    });
  }

  private accept(records: readonly JobRecord[], start: 'at once' | 'soon'): JobRecord[] {
    const { engine } = this;
    return this.record('jobs', () =>
      start === 'soon' ? engine.accept(records) : engine.acceptAndStart(records),
    );
  }

  find(id: string): JobRecord | undefined {
    this.mustBeOpen();
    return this.engine.look(id);
  }

  /** Jobs of some states, or of any, for which `wanted` is true. */
  list(
    states: readonly JobState[] = jobStates,
    wanted: (record: JobRecord) => boolean = () => true,
    containing?: string,
  ): JobRecord[] {
    this.mustBeOpen();
    const live = this.engine.liveRecords();
    const isStored = (record: JobRecord): boolean => !live.has(record.id) && wanted(record);
    const found = this.store.select(states, isStored, containing);
    for (const record of live.values())
      if (states.includes(record.state) && wanted(record)) found.push(record);
    return found.sort((a, b) => a.order - b.order);
  }

  /** How many jobs there are, by state, pool and node; an end counts when it is on disk. */
  tally(): JobCount[] {
    this.mustBeOpen();
    return this.store.counts();
  }

  /** Running jobs, then those that changed last: at most `most` together, all or those that are not finished. */
  newest(most: number, isActive: boolean): JobRecord[] {
    this.mustBeOpen();
    const live = this.engine.liveRecords();
    const running = [...live.values()].sort((a, b) => b.seq - a.seq);
    const others = this.store.newest(most + live.size, isActive).filter(({ id }) => !live.has(id));
    return [...running, ...others].slice(0, most);
  }

  /** The jobs that wait in a pool. */
  queuedIn(pool: string): JobRecord[] {
    this.mustBeOpen();
    return this.store.queuedIn(pool).filter(({ id }) => this.engine.look(id)?.state === 'new');
  }

  /**
   * The first `most` or so of the jobs that changed after `seq`, in that order; the cost is theirs and that of the
   * running ones. `next` is where to go on, absent when that was all.
   */
  changedSince(
    seq: number,
    most = Number.MAX_SAFE_INTEGER,
  ): { readonly records: JobRecord[]; readonly next?: number } {
    this.mustBeOpen();
    const live = this.engine.liveRecords();
    const stored = this.store.since(seq, most);
    const last = stored.length === most ? stored.at(-1)!.seq : Infinity;
    const records = stored.filter((record) => !live.has(record.id));
    for (const record of live.values()) if (record.seq > seq && record.seq <= last) records.push(record);
    records.sort((a, b) => a.seq - b.seq);
    return last === Infinity ? { records } : { records, next: last };
  }

  /** The environment a job was submitted with. */
  env(record: JobRecord): JobRecord['spec']['env'] {
    return this.store.env(record);
  }

  kill(ids: Iterable<string>): void {
    this.mustBeOpen();
    this.record('the kill', () => this.engine.kill(ids, 'kill'));
  }

  release(ids: readonly string[]): void {
    this.mustBeOpen();
    this.record('the release', () => this.store.release(ids));
  }

  setHold(ids: readonly string[], hold: boolean): void {
    this.mustBeOpen();
    this.record('the change', () => this.engine.setHold(ids, hold));
  }

  /** Records changed jobs; see changes.ts for what may change. */
  change(records: readonly JobRecord[]): void {
    this.mustBeOpen();
    this.record('the change', () => this.engine.change(records));
  }

  /** The number of the latest change. */
  get lastSeq(): number {
    return this.store.lastSeq;
  }

  /** A number somebody asked to keep with the state, e.g. how far a copy of it is. */
  mark(name: string): number | undefined {
    return this.store.mark(name);
  }

  /** @throws when it cannot be recorded */
  setMark(name: string, value: number | undefined): void {
    this.record('a mark', () => this.store.setMark(name, value));
  }

  /** A place at the end of the queue. */
  nextOrder(): number {
    return this.engine.nextOrder();
  }

  onRecord(listener: RecordListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Calls back once, when nothing more will happen and everything can still be asked. It must not throw. */
  onClosing(listener: () => void): void {
    this.closingListeners.push(listener);
  }

  /** Calls back when the agent stops. */
  onClose(listener: () => void): () => void {
    this.closeListeners.add(listener);
    return () => this.closeListeners.delete(listener);
  }

  setPools(pools: Pools): void {
    this.mustBeOpen();
    this.pools = pools;
    this.engine.setPools(pools);
  }

  /** @param seconds how long results are kept that were seen */
  setExpire(seconds: number): void {
    this.forgetter.setExpire(seconds);
  }

  counts(): ReturnType<Agent['counts']> {
    return this.engine.counts();
  }

  get runningCount(): number {
    return this.engine.running().length;
  }

  /** A second call escalates: leave and kill do not wait for a drain. */
  async stop(mode: StopMode): Promise<void> {
    if (this.closed) return;
    this.engine.drain();
    if (mode === 'leave') {
      this.close();
      return;
    }
    if (mode === 'kill') this.killAll();
    if (this.closed) return;
    this.stopping ??= this.engine.idle().then(() => this.close());
    await this.stopping;
  }

  private killAll(): void {
    const { log, clock } = this.options;
    const running = this.engine.running();
    try {
      this.engine.kill(
        running.map((record) => record.id),
        'kill',
      );
    } catch (error) {
      log.error({}, `cannot record the kill: ${describeError(error)}; the jobs are left running`);
      this.close();
      return;
    }
    this.cancelDeadline();
    this.cancelDeadline = clock.after(Math.max(0, ...running.map(graceOf)) + KILL_MARGIN_MS, () => {
      const jobs = this.engine.running().map((r) => r.id);
      log.error({ jobs }, 'jobs did not end after SIGKILL; leaving them');
      this.close();
    });
  }

  private close(): void {
    if (this.closed) return;
    for (const listener of this.closingListeners.splice(0)) listener();
    this.closed = true;
    this.cancelDeadline();
    this.forgetter.stop();
    this.listeners.clear();
    this.executor.stop();
    this.engine.close();
    this.store.close();
    this.unlock();
    for (const listener of this.closeListeners) listener();
  }

  private publish(record: JobRecord, before: JobRecord | undefined): void {
    const wasFinished = before !== undefined && isFinished(before.state);
    if (isFinished(record.state) && !wasFinished) this.options.finished?.(record);
    for (const listener of this.listeners) {
      try {
        listener(record, before);
      } catch (error) {
        this.options.log.error({ job: record.id }, `a listener failed: ${describeError(error)}`);
      }
    }
  }

  private record<T>(what: string, action: () => T): T {
    try {
      return action();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const advice = hasCode(error, 'SQLITE_FULL')
        ? '; nothing was changed: make room there and try again'
        : '';
      const path = join(this.options.directory, 'agent.db');
      throw new Error(`cannot record ${what} in ${path}: ${why}${advice}`, { cause: error });
    }
  }

  private mustBeOpen(): void {
    if (this.closed) throw new Error('the agent is stopped');
  }
}
