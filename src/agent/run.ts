import { RUN_VARIABLE, type Run } from '../executors/executor.js';
import { workingDirectory } from './view.js';
import type { AgentOptions, JobRecord } from './types.js';

/** What the executor needs to know to start a job. */
export function runOf(record: JobRecord, path: string, options: Pick<AgentOptions, 'env' | 'node'>): Run {
  const { spec } = record;
  const cwd = workingDirectory(record);
  const absolute = (file: string | undefined): string | undefined =>
    file === undefined || file.startsWith('/') ? file : `${cwd}/${file}`;
  return {
    path,
    args: spec.args,
    env: environment(record, path, options),
    cwd,
    stdin: absolute(spec.stdin),
    stdout: absolute(spec.stdout),
    stderr: absolute(spec.stderr),
  };
}

/** The agent's environment, the spec's, and who the job is. Later ones win. */
function environment(
  record: JobRecord,
  path: string,
  { env, node }: Pick<AgentOptions, 'env' | 'node'>,
): Map<string, string> {
  const result = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) if (value !== undefined) result.set(name, value);
  for (const [name, value] of Object.entries(record.spec.env ?? {})) result.set(name, value);
  result.set('MEESEEKS_JOB_ID', record.id.replaceAll('\0', ''));
  result.set('MEESEEKS_POOL', record.spec.pool.replaceAll('\0', ''));
  result.set('MEESEEKS_NODE', node);
  result.set('MEESEEKS_TAGS', (record.spec.tags ?? []).join(',').replaceAll('\0', ''));
  result.set(RUN_VARIABLE, path);
  return result;
}
