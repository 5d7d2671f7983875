import type { AgentOptions, JobRecord } from './types.js';

/** What a job finds in its environment: the agent's, the spec's, and who it is. Later ones win. */
export function jobEnvironment(
  record: JobRecord,
  { env, node }: Pick<AgentOptions, 'env' | 'node'>,
): Map<string, string> {
  const result = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) if (value !== undefined) result.set(name, value);
  for (const [name, value] of Object.entries(record.spec.env ?? {})) result.set(name, value);
  result.set('MEESEEKS_JOB_ID', record.id.replaceAll('\0', ''));
  result.set('MEESEEKS_POOL', record.spec.pool);
  result.set('MEESEEKS_NODE', node);
  result.set('MEESEEKS_TAGS', (record.spec.tags ?? []).join(',').replaceAll('\0', ''));
  return result;
}
