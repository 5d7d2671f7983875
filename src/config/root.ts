import { resolve as resolvePath } from 'node:path';
import { z } from 'zod';
import { check } from './check.js';
import { sectionOf } from './expand.js';
import { mergeMappings, resolve, resolveMapping } from './merge.js';
import { suggest } from './nearest.js';
import { errorAt, warningAt, type Path, type Problem } from './problem.js';
import {
  clientSchema,
  poolSchema,
  rootSchema,
  watchSchema,
  type ClientConfig,
  type PoolConfig,
} from './schema.js';
import { sslSchema } from './ssl-schema.js';
import { isMap, toPlain, valueOf, type Mapping, type Tree } from './tree.js';

/** The settings beside the watches. */
export interface RootSettings {
  readonly name?: string;
  /** agent to use; absent: one is embedded */
  readonly client?: ClientConfig;
  readonly pools: Readonly<Record<string, PoolConfig>>;
  /** absolute */
  readonly stateDir?: string;
  readonly onStop?: 'leave' | 'drain' | 'kill';
  /** seconds */
  readonly expire: number;
  readonly logLevel?: LogLevel;
}
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

const DEFAULT_EXPIRE = 86_400;

/** The sections with their part of `defaults` under them, operators applied. */
export interface RootTrees {
  readonly top: Mapping;
  readonly client: Mapping | undefined;
  readonly pools: Mapping;
}

/** Gives every section its defaults (seeds: "defaults for all other sections"). */
export function rootTrees(root: Mapping, problems: Problem[]): RootTrees {
  const defaults = sectionOf(root, 'defaults');
  const own = new Map(root.entries);
  for (const key of ['defaults', 'watch', 'template', 'client', 'pools']) own.delete(key);
  const top = resolveMapping({ ...root, entries: own }, [], problems);
  const client = root.entries.has('client')
    ? withDefaults(sectionOf(root, 'client', problems), defaults, clientSchema, ['client'], problems)
    : undefined;
  return { top, client, pools: poolTrees(sectionOf(root, 'pools', problems), defaults, problems) };
}

/** A section with those of `defaults` under it that it knows, operators applied. */
export function withDefaults(
  section: Mapping,
  defaults: Mapping,
  schema: z.ZodObject,
  path: Path,
  problems: Problem[],
): Mapping {
  const known = [...defaults.entries].filter(([key]) => Object.hasOwn(schema.shape, key));
  const merged = mergeMappings({ ...defaults, entries: new Map(known) }, section);
  return resolveMapping(merged, path, problems);
}

/** Keys of the original's `pools` section that are no pools; they have no meaning here. */
const poolSettings = new Set(['use_loadavg', 'wait_in_pool']);

function poolTrees(section: Mapping, defaults: Mapping, problems: Problem[]): Mapping {
  const resolved = resolve(section, ['pools'], problems);
  const entries = isMap(resolved) ? new Map(resolved.entries) : new Map();
  for (const [name, { at }] of entries) {
    const path = ['pools', name];
    const value: Tree | undefined = valueOf(resolved, name);
    if (poolSettings.has(name) && !isMap(value)) {
      problems.push(warningAt(at, path, `${name} does nothing here`, 'remove it'));
      entries.delete(name);
    } else if (isMap(value)) {
      const tree = withDefaults(value, defaults, poolSchema, path, problems);
      entries.set(name, { at, layers: [{ operation: 'set', at, value: tree }] });
    }
  }
  return { ...section, entries };
}

const topSchema = rootSchema.omit({ defaults: true, watch: true, template: true, client: true, pools: true });

/** Problems of everything but the watches. */
export function checkRoot({ top, client, pools }: RootTrees): Problem[] {
  const problems = check(topSchema, top, [], { unknownKeys: 'warning' }).map(suggestSection);
  if (client !== undefined) {
    problems.push(...check(clientSchema, client, ['client']), ...unknownIn(client, clientSchema, ['client']));
    const ssl = valueOf(client, 'ssl');
    if (isMap(ssl)) problems.push(...unknownIn(ssl, sslSchema, ['client', 'ssl']));
    const [pool] = pools.entries.values();
    if (pool !== undefined)
      problems.push(
        warningAt(pool.at, ['pools'], 'does nothing beside a client section', 'the agent has its own pools'),
      );
  }
  for (const [name, entry] of pools.entries) {
    const tree = valueOf(pools, name);
    const path = ['pools', name];
    if (isMap(tree))
      problems.push(...check(poolSchema, tree, path, { unknownKeys: 'warning' }).map(pluginHint));
    else problems.push(errorAt(tree?.at ?? entry.at, path, 'expected a mapping: the settings of the pool'));
  }
  const logging = valueOf(top, 'logging');
  if (isMap(logging)) problems.push(...unknownIn(logging, z.object({ level: z.unknown() }), ['logging']));
  return problems;
}

function unknownIn(tree: Mapping, schema: z.ZodObject, path: Path): Problem[] {
  const known = Object.keys(schema.shape);
  return [...tree.entries]
    .filter(([key]) => !known.includes(key))
    .map(([key, { at }]) => warningAt(at, [...path, key], `${key} does nothing here`, suggest(key, known)));
}

/** The schema at hand lacks the sections that are checked elsewhere; the nearest key may be one of them. */
function suggestSection(problem: Problem): Problem {
  if (problem.message !== 'unknown key' || problem.path === undefined) return problem;
  const { hint: _, ...rest } = problem;
  const near = Object.hasOwn(watchSchema.shape, problem.path)
    ? `it is a key of a watch: write defaults.${problem.path}, or set it in a watch or template`
    : suggest(problem.path, Object.keys(rootSchema.shape));
  return { ...rest, message: 'nothing knows this key', ...(near !== undefined && { hint: near }) };
}

const pluginHint = (problem: Problem): Problem =>
  problem.message === 'unknown key' && problem.path?.endsWith('.plugin') === true
    ? { ...problem, message: 'plugin does nothing here', hint: 'remove it' }
    : problem;

/** The values of validated sections. Relative paths start at `cwd`. */
export function rootSettings({ top, client, pools }: RootTrees, cwd: string): RootSettings {
  const { name, state_dir, on_stop, expire, logging } = topSchema.strip().parse(toPlain(top));
  const poolsByName = z.record(z.string(), poolSchema.strip()).parse(toPlain(pools));
  const level = logging?.level;
  return {
    ...(name !== undefined && { name }),
    ...(client !== undefined && { client: clientSchema.parse(toPlain(client)) }),
    pools: poolsByName,
    ...(state_dir !== undefined && { stateDir: resolvePath(cwd, state_dir) }),
    ...(on_stop !== undefined && { onStop: on_stop }),
    expire: expire ?? DEFAULT_EXPIRE,
    ...(level !== undefined && { logLevel: logLevel(level) }),
  };
}

const levels: Readonly<Record<string, LogLevel>> = {
  10: 'debug',
  20: 'info',
  30: 'warn',
  40: 'error',
  50: 'fatal',
  warning: 'warn',
  critical: 'fatal',
};

/** The level in our words, also from Python's names and numbers. */
export const logLevel = (level: string | number): LogLevel => levels[level] ?? (level as LogLevel);
