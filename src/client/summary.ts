import type { Job } from '../protocol/job.js';
import { isFinished, isJobState } from '../protocol/states.js';
import type { JobCount, Summary } from './api.js';
import { isWireJob, toJob } from './wire-job.js';

/** The answer to `stat`; undefined where the agent does not know it. */
export function summaryOf(answer: unknown): Summary | undefined {
  if (!isWireJob(answer) || !Array.isArray(answer['counts']) || !isWireJob(answer['jobs'])) return undefined;
  const jobs = Object.entries(answer['jobs']);
  return {
    counts: answer['counts'].filter(isCount),
    jobs: jobs.flatMap(([id, job]) => (isWireJob(job) ? [toJob(id, job)] : [])),
  };
}

const isCount = (value: unknown): value is JobCount =>
  isWireJob(value) &&
  typeof value['node'] === 'string' &&
  typeof value['pool'] === 'string' &&
  typeof value['jobs'] === 'number' &&
  isJobState(value['state']);

/** The same, made of the jobs themselves; all of them are in it. */
export function summarise(all: readonly Job[], isActive: boolean): Summary {
  const jobs = isActive ? all.filter((job) => job.active || !isFinished(job.state)) : all;
  const counts = new Map<string, { -readonly [K in keyof JobCount]: JobCount[K] }>();
  for (const { node, pool, state } of jobs) {
    const key = JSON.stringify([node, pool, state]);
    const count = counts.get(key) ?? { node, pool, state, jobs: 0 };
    count.jobs++;
    counts.set(key, count);
  }
  return { counts: [...counts.values()], jobs };
}
