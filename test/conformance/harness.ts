import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pools } from '../../src/agent/types.js';
import type { AgentPort } from '../../src/protocol/agent.js';
import { isFinished } from '../../src/protocol/job.js';
import type { Job, JobSpec } from '../../src/protocol/job.js';

/** Makes the agent under test, with its state below `directory`. */
export type AgentFactory = (directory: string, pools: Pools, env?: NodeJS.ProcessEnv) => Promise<AgentPort>;

/** One agent in a temporary directory, and short ways to use it. */
export class Bench {
  private static readonly directories: string[] = [];
  readonly directory = mkdtempSync(join(tmpdir(), 'meeseeks-agent-'));
  readonly seen: Job[] = [];
  private readonly waiting = new Set<() => void>();
  private counter = 0;

  private constructor(public agent: AgentPort) {
    Bench.directories.push(this.directory);
  }

  /** Removes the directories of all benches; their agents must be stopped. */
  static cleanUp(): void {
    for (const directory of Bench.directories.splice(0)) rmSync(directory, { recursive: true, force: true });
  }

  static async open(factory: AgentFactory, pools: Pools, env?: NodeJS.ProcessEnv): Promise<Bench> {
    const bench = new Bench(undefined as unknown as AgentPort);
    await bench.reopen(factory, pools, env);
    return bench;
  }

  /** Another agent on the same directory. */
  async reopen(factory: AgentFactory, pools: Pools, env?: NodeJS.ProcessEnv): Promise<void> {
    this.agent = await factory(join(this.directory, 'state'), pools, env);
    this.agent.onJob((job) => {
      this.seen.push(job);
      for (const check of this.waiting) check();
    });
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  async submit(spec: Partial<JobSpec> & { readonly args: string[] }, key = 'k'): Promise<Job> {
    const id = spec.id ?? `job-${++this.counter}`;
    const [result] = await this.agent.submit([{ key, spec: { pool: 'p', ...spec, id } }]);
    if (!result?.ok) throw new Error(result?.error ?? 'no result');
    return result.job;
  }

  /** Submits, and waits for the end. */
  async run(spec: Partial<JobSpec> & { readonly args: string[] }, key = 'k'): Promise<Job> {
    return this.finished((await this.submit(spec, key)).id);
  }

  shell(script: string, spec: Partial<JobSpec> = {}): Promise<Job> {
    return this.run({ ...spec, args: ['sh', '-c', script] });
  }

  finished(id: string): Promise<Job> {
    return this.until(id, (job) => isFinished(job.state));
  }

  running(id: string): Promise<Job> {
    return this.until(id, (job) => job.state === 'running' && job.pid !== undefined);
  }

  /** The job as soon as it is as wanted; driven by the agent's events. */
  async until(id: string, wanted: (job: Job) => boolean): Promise<Job> {
    for (;;) {
      const changed = this.nextChange(id);
      const job = (await this.agent.query([id])).get(id);
      if (job && wanted(job)) {
        changed.cancel();
        return job;
      }
      await changed.promise;
    }
  }

  private nextChange(id: string): { promise: Promise<void>; cancel: () => void } {
    const from = this.seen.length;
    let cancel = (): void => undefined;
    const promise = new Promise<void>((resolve) => {
      const check = (): void => {
        if (!this.seen.slice(from).some((job) => job.id === id)) return;
        this.waiting.delete(check);
        resolve();
      };
      cancel = () => this.waiting.delete(check);
      this.waiting.add(check);
    });
    return { promise, cancel };
  }

  async close(): Promise<void> {
    await this.agent.stop('kill');
    Bench.cleanUp();
  }
}

export const text = (base64: string | undefined): string =>
  Buffer.from(base64 ?? '', 'base64').toString('utf8');

/** Resolves when the condition holds: for what no event tells, such as another process' file. */
export async function eventually(condition: () => boolean, seconds = 60): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const nothing = (): void => undefined;
export const quietLog = { debug: nothing, info: nothing, warn: nothing, error: nothing };
