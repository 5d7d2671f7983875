import type { JobSpec } from '../protocol/job.js';
import type { WireKeys } from '../protocol/wire.js';
import { isMapping } from './json.js';

/** The keys of a job in our form, and as they were written where that is another one. */
export interface Normalised {
  readonly spec: Partial<JobSpec>;
  readonly wire: Record<string, unknown>;
}

/**
 * A job's keys as the agent has them: arguments are a list of texts, flags are true or false. What the submitter wrote
 * is kept beside it, so that answers repeat it.
 * @param raw the same keys, before validation
 */
export function normalise(keys: WireKeys, raw: unknown): Normalised {
  const { args, tags, runtime, uid, gid, config, ...plain } = keys;
  const env = plain.env ?? config?.env;
  const same = { cwd: config?.cwd, ...withoutUndefined(plain), env: undefined };
  const spec: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(same)) if (value !== undefined) spec[key] = value;
  if (args !== undefined) spec['args'] = typeof args === 'string' ? [args] : args.map(String);
  if (env !== undefined)
    spec['env'] = Object.fromEntries(Object.entries(env).map(([k, v]) => [k, String(v)]));
  if (runtime !== undefined && runtime > 0) spec['runtime'] = runtime;
  const labels = tags?.filter((tag) => tag !== null).map(String) ?? [];
  if (labels.length > 0) spec['tags'] = labels;
  const shown = withoutUndefined({ uid, gid, config: isMapping(raw) ? raw['config'] : undefined });
  return { spec, wire: { ...asWritten(spec, raw), ...shown } };
}

const asTheyAre = [
  'cwd',
  'stdin',
  'stdout',
  'stderr',
  'hold',
  'restart',
  'resubmit',
  'retries',
  'priority',
  'kill_grace',
  'args',
  'env',
] as const satisfies readonly (keyof JobSpec & keyof WireKeys)[];

/** The same for keys in plain form (protocol/plain.ts), which need no other. */
export function plainSpec(keys: WireKeys): Normalised {
  const spec: Record<string, unknown> = {};
  for (const key of asTheyAre) if (keys[key] !== undefined) spec[key] = keys[key];
  if (keys.runtime !== undefined && keys.runtime > 0) spec['runtime'] = keys.runtime;
  if (keys.tags !== undefined && keys.tags.length > 0) spec['tags'] = keys.tags;
  return { spec, wire: {} };
}

const withoutUndefined = <T extends object>(keys: T): Partial<T> =>
  Object.fromEntries(
    Object.entries(keys).filter(([, value]) => value !== undefined && value !== null),
  ) as Partial<T>;

function asWritten(spec: Readonly<Record<string, unknown>>, raw: unknown): Record<string, unknown> {
  const written: Record<string, unknown> = {};
  if (!isMapping(raw)) return written;
  for (const [key, value] of Object.entries(spec)) {
    if (key === 'env' || key === 'tags' || key === 'node' || !Object.hasOwn(raw, key)) continue;
    const original = raw[key];
    const isSame = Array.isArray(value)
      ? Array.isArray(original) && value.every((item, i) => item === original[i])
      : value === original;
    if (!isSame) written[key] = original;
  }
  return written;
}
