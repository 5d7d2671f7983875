import { existsSync, readFileSync } from 'node:fs';
import type { AgentCore } from '../../agent/core.js';
import type { JobRecord, Submission } from '../../agent/types.js';
import type { StateConfig } from '../../config/box-schema.js';
import { writeFileAtomic } from '../../lib/atomic-write.js';
import { describeError } from '../../lib/errors.js';
import type { Log } from '../../lib/log.js';
import { wireSubmit } from '../../protocol/wire.js';
import { NO_KEY, wireState } from '../../server/job-view.js';
import { isMapping } from '../../server/json.js';
import { normalise } from '../../server/spec.js';

/**
 * `state.file`: a copy of all jobs as JSON, for people and for a move to another machine. The state itself is always on
 * disk; the copy is only read when there is no state yet, also one that the original wrote.
 */
export class Checkpoints {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly core: AgentCore,
    private readonly state: () => StateConfig,
    private readonly log: Log,
  ) {}

  start(): void {
    const { file } = this.state();
    if (file !== undefined && existsSync(file) && this.core.list().length === 0) this.load(file);
    this.configure();
  }

  configure(): void {
    clearInterval(this.timer);
    const { file, checkpoint } = this.state();
    if (file !== undefined && checkpoint !== undefined)
      this.timer = setInterval(() => this.save(), checkpoint * 1000).unref();
  }

  /** Writes a last copy. */
  stop(): void {
    clearInterval(this.timer);
    this.save();
  }

  private save(): void {
    const { file } = this.state();
    if (file === undefined) return;
    try {
      const jobs = Object.fromEntries(this.core.list().map((record) => [record.id, copyOf(record)]));
      writeFileAtomic(file, `${file}.${process.pid}`, JSON.stringify(jobs), 0o600);
    } catch (error) {
      this.log.error({ err: error }, `cannot write ${file}: ${describeError(error)}`);
    }
  }

  /** Queues the jobs that were not finished; results of another machine mean nothing here. */
  private load(file: string): void {
    try {
      const jobs: unknown = JSON.parse(readFileSync(file, 'utf8'));
      if (!isMapping(jobs)) throw new Error('expected a mapping of jobs');
      const submissions = Object.entries(jobs)
        .map(([id, job]) => submissionOf(id, job))
        .filter((one) => one !== undefined);
      this.core.submit(submissions);
      this.log.info({ jobs: submissions.length }, `read ${submissions.length} waiting job(s) from ${file}`);
    } catch (error) {
      this.log.error({ err: error }, `cannot read ${file}: ${describeError(error)}; starting without it`);
    }
  }
}

function copyOf(record: JobRecord): Record<string, unknown> {
  const { spec, wire, env: _env, owner: _owner, run: _run, order: _order, ...rest } = record;
  return { ...spec, ...rest, ...wire, state: wireState(record) };
}

function submissionOf(id: string, job: unknown): Submission | undefined {
  if (!isMapping(job) || job['state'] !== 'new') return undefined;
  const parsed = wireSubmit.safeParse({ ...job, id });
  if (!parsed.success || parsed.data.pool === undefined || parsed.data.args === undefined) return undefined;
  const { id: _id, key: _key, submitter, pool, node: _node, state: _state, ...rest } = parsed.data;
  const { spec } = normalise(rest, job);
  return { key: NO_KEY, spec: { ...spec, id, pool, args: spec.args! }, submitter };
}
