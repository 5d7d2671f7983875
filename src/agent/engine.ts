import type { Executor, RunEnd } from '../executors/executor.js';
import { isFinished } from '../protocol/job.js';
import { jobEnvironment } from './environment.js';
import { ended, killedBeforeStart, started } from './outcome.js';
import { Scheduler } from './schedule.js';
import type { Spool } from './spool.js';
import type { Store } from './store.js';
import type { AgentOptions, JobRecord, Pools } from './types.js';
import { workingDirectory } from './view.js';

/** Starts of one turn of the event loop: more would keep it from answering. */
const STARTS_A_TURN = 64;
const DEFAULT_KILL_GRACE = 10;
const LONGEST_WRITE_PAUSE_MS = 10_000;

export interface EngineParts {
  readonly store: Pick<Store, 'list' | 'get' | 'write' | 'nextSeq'>;
  readonly spool: Spool;
  readonly executor: Executor;
  readonly changed: (record: JobRecord) => void;
}

/**
 * Moves jobs through their states. What a job is next is decided by pure functions; this writes it down, then lets
 * it happen: a start is durable before the executor hears of it, an end before anybody else does.
 */
export class Engine {
  /** jobs that are not finished, and finished ones whose result is not on disk yet */
  private readonly live = new Map<string, JobRecord>();
  private readonly unwritten = new Map<string, JobRecord>();
  private readonly limits = new Map<string, () => void>();
  private readonly scheduler: Scheduler;
  private turn: NodeJS.Immediate | undefined;
  private cancelWake: () => void = () => undefined;
  private writePause = 0;
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
  }

  /** Takes over what the agent before this one left: queues the queued, adopts the running. */
  recover(): void {
    for (const record of this.parts.store.list(['new', 'running'])) {
      this.live.set(record.id, record);
      this.lastOrder = Math.max(this.lastOrder, record.order);
      if (record.state === 'new') this.enqueue(record);
      else this.adopt(record);
    }
    const orphans = [...this.live.values()].filter((r) => !Object.hasOwn(this.pools, r.spec.pool));
    if (orphans.length > 0) {
      const pools = [...new Set(orphans.map((r) => r.spec.pool))];
      this.options.log.warn(
        { pools, jobs: orphans.length },
        'jobs wait for pools that are not configured any more',
      );
    }
    this.wake();
  }

  find(id: string): JobRecord | undefined {
    return this.live.get(id) ?? this.parts.store.get(id);
  }

  liveRecords(): Iterable<JobRecord> {
    return this.live.values();
  }

  nextOrder(): number {
    return ++this.lastOrder;
  }

  /** Queues jobs. @throws when they cannot be recorded; then nothing has changed */
  accept(records: readonly JobRecord[]): void {
    for (const record of this.parts.store.write(records, this.now())) {
      this.unwritten.delete(record.id);
      this.live.set(record.id, record);
      this.enqueue(record);
      this.parts.changed(record);
    }
    this.wake();
  }

  /** Records the wish that these jobs end, and sees to it. @throws when it cannot be recorded */
  kill(ids: Iterable<string>, reason: 'kill' | 'timeout'): void {
    const changes: JobRecord[] = [];
    for (const id of new Set(ids)) {
      const record = this.live.get(id);
      if (!record || isFinished(record.state)) continue;
      if (record.state === 'new' && reason === 'kill') changes.push(killedBeforeStart(record, this.now()));
      else if (record.state === 'running' && record.wish !== 'kill')
        changes.push({ ...record, wish: reason });
    }
    if (changes.length === 0) return;
    for (const record of this.parts.store.write(changes, this.now())) this.applyKill(record);
    this.wake();
  }

  setHold(ids: Iterable<string>, hold: boolean): void {
    const changes = [...new Set(ids)]
      .map((id) => this.live.get(id))
      .filter((record) => record?.state === 'new')
      .map((record) => ({ ...record!, spec: { ...record!.spec, hold } }));
    if (changes.length > 0) this.accept(changes);
  }

  setPools(pools: Pools): void {
    this.pools = pools;
    this.scheduler.setPools(pools);
    this.wake();
  }

  counts(): ReturnType<Scheduler['counts']> {
    return this.scheduler.counts();
  }

  runningIds(): string[] {
    return [...this.live.values()].filter((r) => r.state === 'running').map((r) => r.id);
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
    if (this.turn) clearImmediate(this.turn);
    this.cancelWake();
    for (const cancel of this.limits.values()) cancel();
    this.starting = false;
    this.idleWaiters.splice(0).forEach((resolve) => resolve());
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
    const starts = this.chooseStarts();
    let written: JobRecord[];
    try {
      written = this.parts.store.write([...this.unwritten.values(), ...starts], this.now());
    } catch (error) {
      this.postpone(starts, error);
      return;
    }
    if (written.length > 0 && this.writePause > 0)
      this.options.log.info({}, 'the state can be written again');
    this.writePause = 0;
    this.unwritten.clear();
    for (const record of written) this.settle(record);
    if (starts.length === STARTS_A_TURN) this.wake();
    this.wakeWhenDue();
    if (this.scheduler.runningCount === 0) this.idleWaiters.splice(0).forEach((resolve) => resolve());
  }

  private chooseStarts(): JobRecord[] {
    if (!this.starting) return [];
    const now = this.now();
    return this.scheduler.take(now, STARTS_A_TURN).map((id) => started(this.live.get(id)!, now));
  }

  /** Disk full or worse: results wait in memory (and in the spool), nothing new starts, and it is tried again. */
  private postpone(starts: readonly JobRecord[], error: unknown): void {
    for (const { id } of starts) {
      this.scheduler.ended(id);
      this.enqueue(this.live.get(id)!);
    }
    this.writePause = Math.min(Math.max(this.writePause * 2, 500), LONGEST_WRITE_PAUSE_MS);
    this.options.log.error(
      { err: error, waiting: this.unwritten.size },
      'cannot write the state, trying again',
    );
    this.cancelWake = this.options.clock.after(this.writePause, () => this.run());
  }

  private settle(record: JobRecord): void {
    if (isFinished(record.state)) this.live.delete(record.id);
    else this.live.set(record.id, record);
    if (record.state === 'running') this.start(record);
    this.parts.changed(record);
  }

  private wakeWhenDue(): void {
    const due = this.starting ? this.scheduler.nextDue() : undefined;
    if (due === undefined) return;
    this.cancelWake = this.options.clock.after(Math.max(due - this.now(), 0) * 1000 + 1, () => this.wake());
  }

  // --- one job

  private enqueue(record: JobRecord): void {
    this.scheduler.add({
      id: record.id,
      pool: record.spec.pool,
      priority: record.spec.priority ?? 0,
      order: record.order,
      hold: record.spec.hold === true,
      notBefore: record.not_before ?? 0,
    });
  }

  private start(record: JobRecord): void {
    const { spec } = record;
    const run = {
      directory: this.directory(record),
      args: spec.args,
      env: jobEnvironment(record, this.options),
      cwd: workingDirectory(record),
      stdin: absolute(record, spec.stdin),
      stdout: absolute(record, spec.stdout),
      stderr: absolute(record, spec.stderr),
    };
    this.limit(record);
    this.parts.executor.start(run, this.events(record));
    if (record.run > 1) void this.parts.spool.remove(record.id, record.run - 1);
  }

  private adopt(record: JobRecord): void {
    this.options.log.info({ job: record.id, pid: record.pid }, 'adopting a run of the agent before this one');
    this.scheduler.started(record.id, record.spec.pool);
    this.parts.executor.adopt(this.directory(record), this.events(record));
    if (record.wish) this.parts.executor.kill(this.directory(record), this.grace(record));
    else this.limit(record);
  }

  private events({ id, run }: JobRecord): { started(pid: number): void; ended(end: RunEnd): void } {
    return {
      started: (pid) => this.noteStart(id, run, pid),
      ended: (end) => this.noteEnd(id, run, end),
    };
  }

  /** The pid is in the spool, too: this needs no write of its own. */
  private noteStart(id: string, run: number, pid: number): void {
    const record = this.live.get(id);
    if (record?.run !== run || record.state !== 'running') return;
    try {
      const changed = { ...record, pid, seq: this.parts.store.nextSeq(), ts: this.now() };
      this.live.set(id, changed);
      this.parts.changed(changed);
    } catch (error) {
      this.options.log.warn({ err: error, job: id }, 'cannot note the process id');
    }
  }

  private noteEnd(id: string, run: number, end: RunEnd): void {
    const record = this.live.get(id);
    if (record?.run !== run || record.state !== 'running') return;
    this.limits.get(id)?.();
    this.limits.delete(id);
    this.scheduler.ended(id);
    const next = ended(record, end, this.now());
    this.live.set(id, next);
    this.unwritten.set(id, next);
    if (next.state === 'new') this.enqueue(next);
    if (this.writePause === 0) this.wake();
  }

  private limit(record: JobRecord): void {
    const pool = this.pools[record.spec.pool];
    const seconds = Math.min(
      record.spec.runtime ?? Infinity,
      pool?.max_runtime ?? Infinity,
      pool?.runtime ?? Infinity,
    );
    if (seconds === Infinity) return;
    this.armLimit(record.id, (record.start_ts ?? this.now()) + seconds, seconds);
  }

  /** Looks at the time again when the timer fires: the longest timer is 24 days. */
  private armLimit(id: string, end: number, seconds: number, least = 0): void {
    const wait = Math.max((end - this.now()) * 1000, least);
    const fire = (): void => {
      if (this.now() < end) this.armLimit(id, end, seconds, 1);
      else this.overrun(id, end, seconds);
    };
    this.limits.set(id, this.options.clock.after(wait, fire));
  }

  private overrun(id: string, end: number, seconds: number): void {
    this.options.log.warn({ job: id, runtime: seconds }, 'the job runs too long');
    try {
      this.kill([id], 'timeout');
    } catch (error) {
      this.options.log.error(
        { err: error, job: id },
        'cannot record that the job runs too long, trying again',
      );
      this.armLimit(id, end, seconds, 1000);
    }
  }

  private applyKill(record: JobRecord): void {
    if (record.state === 'running') {
      this.live.set(record.id, record);
      this.parts.executor.kill(this.directory(record), this.grace(record));
    } else {
      this.scheduler.remove(record.id);
      this.live.delete(record.id);
      this.unwritten.delete(record.id);
    }
    this.parts.changed(record);
  }

  grace(record: JobRecord): number {
    return (record.spec.kill_grace ?? DEFAULT_KILL_GRACE) * 1000;
  }

  private directory(record: JobRecord): string {
    return this.parts.spool.directory(record.id, record.run);
  }

  private now(): number {
    return this.options.clock.now() / 1000;
  }
}

const absolute = (record: JobRecord, path: string | undefined): string | undefined =>
  path === undefined || path.startsWith('/') ? path : `${workingDirectory(record)}/${path}`;
