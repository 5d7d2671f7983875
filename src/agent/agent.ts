import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import type { Executor } from '../executors/executor.js';
import { ProcessExecutor } from '../executors/process/process-executor.js';
import type { JobFilter, StopMode, SubmitRequest, SubmitResult } from '../protocol/agent.js';
import { describeError } from '../lib/errors.js';
import { makeDirectory } from '../lib/make-directory.js';
import { isFinished } from '../protocol/job.js';
import type { Job } from '../protocol/job.js';
import { admit } from './admission.js';
import { Engine } from './engine.js';
import { lockDirectory } from './lock.js';
import { graceOf } from './runs.js';
import { Spool } from './spool.js';
import { Store } from './store.js';
import type { Agent, AgentOptions, JobRecord, Pools } from './types.js';
import { view } from './view.js';

const EXPIRE_CHECK_MS = 60_000;
const EXPIRE_BATCH = 500;
/** After the grace, SIGKILL needs a moment. */
const KILL_MARGIN_MS = 5_000;

export { AgentLockedError } from './lock.js';

/**
 * An agent in this process. Jobs that an agent before it left running are adopted.
 * @throws AgentLockedError when another agent uses the directory; Error when its state cannot be read
 */
export async function createAgent(options: AgentOptions): Promise<Agent> {
  makeDirectory(options.directory, 0o700);
  chmodSync(options.directory, 0o700);
  const unlock = lockDirectory(options.directory);
  try {
    const store = new Store(options.directory);
    return new EmbeddedAgent(options, store, new ProcessExecutor(options.clock), unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

class EmbeddedAgent implements Agent {
  readonly description: string;
  private readonly spool: Spool;
  private readonly engine: Engine;
  private readonly listeners = new Set<(job: Job) => void>();
  private readonly expiry: NodeJS.Timeout;
  private pools: Pools;
  private stopping: Promise<void> | undefined;
  private cancelDeadline: () => void = () => undefined;
  private closed = false;

  constructor(
    private readonly options: AgentOptions,
    private readonly store: Store,
    private readonly executor: Executor,
    private readonly unlock: () => void,
  ) {
    this.pools = options.pools;
    this.description = `embedded agent on ${options.node}, state in ${options.directory}`;
    this.spool = new Spool(options.directory);
    const parts = {
      store,
      spool: this.spool,
      executor,
      changed: (record: JobRecord) => this.publish(record),
    };
    this.engine = new Engine(options, parts, options.pools);
    this.engine.recover();
    this.tellRecovery();
    this.expiry = setInterval(() => void this.expire(), EXPIRE_CHECK_MS).unref();
    void this.expire();
  }

  private tellRecovery(): void {
    const { log } = this.options;
    const running = this.engine.running().map((record) => record.id);
    if (running.length > 0)
      log.info({ jobs: running.length, first: running.slice(0, 5) }, 'adopting running jobs');
    const orphans = this.engine.liveRecords().filter((r) => !Object.hasOwn(this.pools, r.spec.pool));
    if (orphans.length === 0) return;
    const pools = [...new Set(orphans.map((record) => record.spec.pool))];
    log.warn({ pools, jobs: orphans.length }, 'jobs wait for pools that are not configured');
  }

  async submit(requests: readonly SubmitRequest[]): Promise<SubmitResult[]> {
    this.mustBeOpen();
    const now = this.options.clock.now() / 1000;
    const accepted = new Map<string, JobRecord>();
    const errors = requests.map((request) => {
      const { id } = request.spec;
      const known = accepted.get(id) ?? this.engine.find(id);
      const admission = admit(request, known, this.pools, this.engine.nextOrder(), now);
      if (admission.kind === 'accept') accepted.set(id, admission.record);
      return admission.kind === 'refuse' ? admission.error : undefined;
    });
    if (accepted.size > 0) this.record('jobs', () => this.engine.accept([...accepted.values()]));
    return requests.map((request, i) => {
      const error = errors[i];
      return error === undefined
        ? { ok: true, job: this.show(this.engine.find(request.spec.id)!) }
        : { ok: false, error };
    });
  }

  async query(ids: readonly string[]): Promise<Map<string, Job>> {
    this.mustBeOpen();
    const found = new Map<string, Job>();
    for (const id of ids) {
      const record = this.engine.find(id);
      if (record) found.set(id, this.show(record));
    }
    return found;
  }

  /** Without the output of the jobs, which could be any amount: `query` has it. */
  async list(filter: JobFilter = {}): Promise<Job[]> {
    this.mustBeOpen();
    const records = new Map(this.store.list(filter.states).map((record) => [record.id, record]));
    for (const record of this.engine.liveRecords()) {
      if (!filter.states || filter.states.includes(record.state)) records.set(record.id, record);
      else records.delete(record.id);
    }
    const { tag } = filter;
    return [...records.values()]
      .filter((record) => tag === undefined || record.spec.tags?.includes(tag) === true)
      .map((record) => this.show(record, false));
  }

  async kill(ids: readonly string[]): Promise<void> {
    this.mustBeOpen();
    this.record('the kill', () => this.engine.kill(ids, 'kill'));
  }

  async release(ids: readonly string[]): Promise<void> {
    this.mustBeOpen();
    this.record('the release', () => this.store.release(ids));
  }

  async setHold(ids: readonly string[], hold: boolean): Promise<void> {
    this.mustBeOpen();
    this.record('the change', () => this.engine.setHold(ids, hold));
  }

  onJob(listener: (job: Job) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  setPools(pools: Pools): void {
    this.mustBeOpen();
    this.pools = pools;
    this.engine.setPools(pools);
  }

  counts(): ReturnType<Agent['counts']> {
    return this.engine.counts();
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
    const running = this.engine.running();
    try {
      this.engine.kill(
        running.map((record) => record.id),
        'kill',
      );
    } catch (error) {
      this.options.log.error(
        {},
        `cannot record the kill: ${describeError(error)}; the jobs are left running`,
      );
      this.close();
      return;
    }
    this.cancelDeadline();
    this.cancelDeadline = this.options.clock.after(
      Math.max(0, ...running.map(graceOf)) + KILL_MARGIN_MS,
      () => {
        this.options.log.error(
          { jobs: this.engine.running().map((r) => r.id) },
          'jobs did not end after SIGKILL; leaving them',
        );
        this.close();
      },
    );
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    this.cancelDeadline();
    clearInterval(this.expiry);
    this.listeners.clear();
    this.executor.stop();
    this.engine.close();
    this.store.close();
    this.unlock();
  }

  private publish(record: JobRecord): void {
    if (this.listeners.size === 0) return;
    const job = this.show(record);
    for (const listener of this.listeners) {
      try {
        listener(job);
      } catch (error) {
        this.options.log.error({ job: record.id }, `a listener failed: ${describeError(error)}`);
      }
    }
  }

  private show(record: JobRecord, output = true): Job {
    return view(record, this.options.node, this.spool, output);
  }

  private async expire(): Promise<void> {
    try {
      const until = this.options.clock.now() / 1000 - this.options.expire;
      for (let more = true; more && !this.closed;) {
        const records = this.store.expired(until, EXPIRE_BATCH).filter((r) => isFinished(r.state));
        for (const record of records) await this.spool.remove(record.id, record.run);
        if (this.closed) return;
        this.store.remove(records.map((r) => r.id));
        more = records.length === EXPIRE_BATCH;
      }
    } catch (error) {
      if (!this.closed)
        this.options.log.warn({}, `cannot forget expired jobs: ${describeError(error)}; trying again later`);
    }
  }

  private record(what: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`cannot record ${what} in ${join(this.options.directory, 'agent.db')}: ${why}`, {
        cause: error,
      });
    }
  }

  private mustBeOpen(): void {
    if (this.closed) throw new Error('the agent is stopped');
  }
}
