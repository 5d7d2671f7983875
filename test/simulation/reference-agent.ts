import type { AgentPort, SubmitRequest, SubmitResult } from '../../src/protocol/agent.js';
import type { Job, JobSpec } from '../../src/protocol/job.js';
import type { VirtualClock } from './clock.js';

/** One run of a job, as its own log would tell it. */
export interface Run {
  readonly id: string;
  readonly file: string;
  readonly step: number;
  /** ms, modification time of the file as it was selected */
  readonly mtime: number;
  readonly start: number;
  end: number | undefined;
  succeeded: boolean | undefined;
}

interface Known {
  readonly key: string;
  readonly spec: JobSpec & { readonly id: string };
  job: Job;
  run: Run | undefined;
}

export interface Outcome {
  /** ms */
  readonly lasts: number;
  readonly succeeds: boolean;
}

/**
 * The agent as its port is documented, in a few lines and without durability tricks: what it acknowledged it knows.
 * Watchers reach it through `port`, over a network that may lose, delay and repeat.
 */
export class ReferenceAgent {
  readonly runs: Run[] = [];
  readonly released = new Set<string>();
  readonly #jobs = new Map<string, Known>();
  readonly #listeners = new Set<(job: Job) => void>();
  #epoch = 0;
  mostActive = 0;

  constructor(
    private readonly clock: VirtualClock,
    private readonly slots: number,
    private readonly outcome: (file: string, step: number) => Outcome,
  ) {}

  get active(): number {
    return [...this.#jobs.values()].filter(({ job }) => job.state === 'new' || job.state === 'running')
      .length;
  }

  submit(requests: readonly SubmitRequest[]): SubmitResult[] {
    const results = requests.map(({ key, spec }): SubmitResult => {
      const known = this.#jobs.get(spec.id);
      if (known?.key === key) return { ok: true, job: known.job };
      if (known !== undefined && !isOver(known.job)) return { ok: false, error: `${spec.id} is active` };
      const job: Job = {
        ...spec,
        args: spec.args,
        key,
        node: 'n',
        state: 'new',
        active: false,
        seq: 0,
        ts: this.#seconds(),
        submit_ts: this.#seconds(),
        start_count: 0,
        fail_count: 0,
      };
      this.#jobs.set(spec.id, { key, spec, job, run: undefined });
      return { ok: true, job };
    });
    this.mostActive = Math.max(this.mostActive, this.active);
    this.#schedule();
    return results;
  }

  query = (ids: readonly string[]): Map<string, Job> =>
    new Map(ids.flatMap((id) => (this.#jobs.has(id) ? [[id, this.#jobs.get(id)!.job]] : [])));

  release(ids: readonly string[]): void {
    for (const id of ids) this.released.add(id);
  }

  onJob(listener: (job: Job) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The machine goes down: running jobs end without a result. */
  powerCut(): void {
    this.#epoch++;
    for (const known of this.#jobs.values()) {
      if (known.job.state !== 'running') continue;
      known.run!.end = this.clock.elapsed;
      this.#end(known, { state: 'failed', reason: 'lost' });
    }
    this.#schedule();
  }

  #schedule(): void {
    for (const known of this.#jobs.values()) {
      const running = [...this.#jobs.values()].filter(({ job }) => job.state === 'running').length;
      if (running >= this.slots) return;
      if (known.job.state === 'new') this.#start(known);
    }
  }

  #start(known: Known): void {
    const [file, step, mtime] = known.spec.args as [string, string, string];
    const run: Run = {
      id: known.spec.id,
      file,
      step: Number(step),
      mtime: Math.round(Number(mtime) * 1000),
      start: this.clock.elapsed,
      end: undefined,
      succeeded: undefined,
    };
    this.runs.push(run);
    known.run = run;
    this.#change(known, { state: 'running', active: true, start_ts: this.#seconds(), start_count: 1 });
    const { lasts, succeeds } = this.outcome(file, run.step);
    const epoch = this.#epoch;
    this.clock.after(lasts, () => {
      if (epoch !== this.#epoch) return;
      run.end = this.clock.elapsed;
      run.succeeded = succeeds;
      this.#end(known, { state: succeeds ? 'done' : 'failed', rc: succeeds ? 0 : 1, reason: 'exit' });
      this.#schedule();
    });
  }

  #end(known: Known, how: Partial<Job>): void {
    this.#change(known, { ...how, active: false, end_ts: this.#seconds() });
  }

  #change(known: Known, changes: Partial<Job>): void {
    known.job = { ...known.job, ...changes, ts: this.#seconds() };
    for (const listener of this.#listeners) listener(known.job);
  }

  #seconds = (): number => this.clock.now() / 1000;
}

const isOver = (job: Job): boolean => job.state !== 'new' && job.state !== 'running';

/** What happens to one message. */
export type Fate = 'arrives' | 'is lost' | 'answer is lost' | 'is late' | 'comes twice';

/** One watcher's way to the agent. `isAlive` false: the watcher has crashed, nothing reaches either side any more. */
export function port(
  agent: ReferenceAgent,
  clock: VirtualClock,
  fate: () => Fate,
  isAlive: () => boolean,
): AgentPort {
  const call = async <T>(action: () => T): Promise<T> => {
    const what = fate();
    if (!isAlive()) return new Promise(() => undefined);
    if (what === 'is late') await new Promise<void>((resolve) => clock.after(1500, resolve));
    // the connection of a dead watcher is closed: what has not arrived never does
    if (!isAlive()) return new Promise(() => undefined);
    if (what === 'is lost') throw new Error('connection lost');
    const result = action();
    if (what === 'comes twice') action();
    if (what === 'answer is lost') throw new Error('connection lost');
    if (!isAlive()) return new Promise(() => undefined);
    return result;
  };
  return {
    description: 'reference agent',
    submit: (requests) => call(() => agent.submit(requests)),
    query: (ids) => call(() => agent.query(ids)),
    list: () => Promise.resolve([]),
    kill: () => Promise.resolve(),
    release: (ids) => call(() => agent.release(ids)),
    onJob: (listener) =>
      agent.onJob((job) => {
        const what = fate();
        if (!isAlive() || what === 'is lost' || what === 'answer is lost') return;
        const tell = (): void => void (isAlive() && listener(job));
        if (what === 'is late') clock.after(700, tell);
        else tell();
        if (what === 'comes twice') tell();
      }),
    stop: () => Promise.resolve(),
  };
}
