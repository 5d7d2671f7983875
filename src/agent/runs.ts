import { describeError } from '../lib/errors.js';
import type { Executor, RunEnd, RunEvents } from '../executors/executor.js';
import { Alarms } from './alarms.js';
import { RunEnvironments, runOf } from './run.js';
import type { Spool } from './spool.js';
import type { AgentOptions, JobRecord, Pools } from './types.js';

const DEFAULT_KILL_GRACE = 10;

export interface RunsEvents {
  started(id: string, run: number, pid: number): void;
  ended(id: string, run: number, end: RunEnd): void;
  /** Asks for the kill of a run that is over its time. @throws when that cannot be recorded: it is asked again */
  overrun(id: string): void;
}

/** The runs of jobs: starts, adopts, limits and ends them. */
export class Runs {
  private readonly limits: Alarms;
  /** ids of those that are being killed: no limit is set to them any more */
  private readonly killed = new Set<string>();
  private readonly environments: RunEnvironments;

  constructor(
    private readonly options: AgentOptions,
    private readonly executor: Executor,
    private readonly spool: Spool,
    private readonly events: RunsEvents,
  ) {
    this.limits = new Alarms(options.clock);
    this.environments = new RunEnvironments(options.env);
  }

  start(record: JobRecord, pools: Pools): void {
    const path = this.path(record);
    const run = runOf(record, path, this.environments, this.options.node);
    this.executor.start(run, this.listen(record, pools));
    if (record.run > 1) void this.spool.remove(record.id, record.run - 1);
  }

  /** Takes over a run of the agent before this one, and its kill if that was under way. */
  adopt(record: JobRecord, pools: Pools): void {
    this.executor.adopt(this.path(record), record.epoch ?? this.executor.epoch, this.listen(record, pools));
    if (record.wish) this.kill(record);
  }

  kill(record: JobRecord): void {
    this.limits.cancel(record.id);
    this.killed.add(record.id);
    this.executor.kill(this.path(record), graceOf(record));
  }

  stop(): void {
    this.limits.clear();
  }

  private listen(record: JobRecord, pools: Pools): RunEvents {
    const { id, run } = record;
    const path = this.path(record);
    const seconds = limitOf(record, pools);
    const recordedAt = record.start_ts ?? this.now();
    this.killed.delete(id);
    return {
      started: (pid, at) => {
        // some guardians know whole seconds only
        const start = Math.max(at ?? recordedAt, recordedAt);
        if (seconds !== Infinity && !this.killed.has(id)) this.limit(id, path, seconds, start);
        this.events.started(id, run, pid);
      },
      ended: (end) => {
        this.limits.cancel(id);
        this.killed.delete(id);
        this.events.ended(id, run, end);
      },
    };
  }

  /**
   * @param start of the program: between the record of the start and that the agent may have been stopped or suspended,
   * and a job that has hardly begun would be killed
   */
  private limit(id: string, path: string, seconds: number, start: number): void {
    this.limits.set(id, start + seconds, () => this.overrun(id, seconds, path));
  }

  private overrun(id: string, seconds: number, path: string): void {
    // an agent that was stopped or suspended hears of the time before it hears of an end within it
    if (this.executor.isOver(path)) return;
    const { log } = this.options;
    log.warn({ job: id, runtime: seconds }, 'the job runs too long');
    try {
      this.events.overrun(id);
    } catch (error) {
      log.error(
        { job: id },
        `cannot record that the job runs too long: ${describeError(error)}; trying again`,
      );
      this.limits.set(id, this.now() + 1, () => this.overrun(id, seconds, path));
    }
  }

  private path(record: JobRecord): string {
    return this.spool.path(record.id, record.run);
  }

  private now(): number {
    return this.options.clock.now() / 1000;
  }
}

/** Milliseconds between SIGTERM and SIGKILL. */
export const graceOf = (record: JobRecord): number => (record.spec.kill_grace ?? DEFAULT_KILL_GRACE) * 1000;

/** The smaller one of the job's and the pool's runtime, seconds; Infinity for none. */
function limitOf({ spec }: JobRecord, pools: Pools): number {
  const pool = pools[spec.pool];
  return Math.min(...[spec.runtime, pool?.max_runtime, pool?.runtime].map((limit) => limit ?? Infinity));
}
