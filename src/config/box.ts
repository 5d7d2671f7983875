import { resolve as resolvePath } from 'node:path';
import { z } from 'zod';
import { checkBox, sectionsOf, type BoxSections } from './box-check.js';
import { boxPoolSchema, boxSchema, boxTypes, listenSchema, nodeSchema, stateSchema } from './box-schema.js';
import type { ListenConfig, StateConfig } from './box-schema.js';
import { canonicalListen } from './listen.js';
import { mergeMappings, resolveMapping } from './merge.js';
import { applyOverrides } from './override.js';
import { parse } from './parse.js';
import { certain, hasErrors, sortProblems, uniqueProblems, type Problem } from './problem.js';
import { readConfigFile } from './read.js';
import { logLevel, type LogLevel } from './root.js';
import type { PoolConfig } from './schema.js';
import { emptyMap, toPlain, type Mapping } from './tree.js';

/** A configuration of meeseeks-box without an error in it. */
export interface BoxConfig {
  /** of the node; undefined: the host's */
  readonly name?: string;
  readonly logLevel?: LogLevel;
  readonly listen: ListenConfig;
  readonly state: StateConfig;
  readonly nodes: readonly string[];
  readonly pools: Readonly<Record<string, PoolConfig>>;
  readonly waitInPool: boolean;
  readonly user?: string | number;
  readonly group?: string | number;
  readonly stateDir?: string;
  readonly onStop?: 'leave' | 'drain' | 'kill';
  /** absolute, to read again on reload */
  readonly files: readonly string[];
  /** all of it as plain data, merged, without secrets */
  readonly shown: Record<string, unknown>;
}

export interface BoxSource {
  readonly files: readonly string[];
  readonly overrides: readonly string[];
  /** configurations that clients pushed, merged over the rest, oldest first */
  readonly pushed?: readonly Record<string, unknown>[];
}

/** What only a restart changes: the keys, and what they are in a loaded configuration. */
export const fixedKeys = {
  name: 'name',
  listen: 'listen',
  user: 'user',
  group: 'group',
  state_dir: 'stateDir',
  on_stop: 'onStop',
  nodes: 'nodes',
} as const satisfies Readonly<Record<string, keyof BoxConfig>>;

export interface LoadedBox {
  readonly config?: BoxConfig;
  readonly problems: readonly Problem[];
}

/** Reads, merges and validates, like `load` for the watcher: all problems at once, never an exception. */
export function loadBox({ files, overrides, pushed = [] }: BoxSource, cwd: string): LoadedBox {
  const parsed = files.map((file) => readConfigFile(resolvePath(cwd, file), file));
  const trees = parsed.flatMap(({ tree }) => (tree === undefined ? [] : [tree]));
  const base = trees.reduce(mergeMappings, emptyMap({ file: files[0] ?? 'command line' }));
  const { root, problems: overrideProblems } = applyOverrides(base, overrides, boxTypes);
  const pushes = pushed.map(parsePushed);
  const merged = pushes.flatMap(({ tree }) => (tree === undefined ? [] : [tree])).reduce(mergeMappings, root);
  const syntax = [...[...parsed, ...pushes].flatMap(({ problems }) => problems), ...overrideProblems];
  const found: Problem[] = [];
  const sections = sectionsOf(merged, found);
  found.push(...checkBox(sections));
  const problems = hasErrors(syntax) ? certain(found) : found;
  const all = sortProblems(uniqueProblems([...syntax, ...problems]), files);
  if (hasErrors(all)) return { problems: all };
  const paths = files.map((file) => resolvePath(cwd, file));
  return { config: settings(sections, merged, paths, cwd), problems: all };
}

const PUSHED = 'pushed configuration';

const parsePushed = (pushed: Record<string, unknown>) => parse(Buffer.from(JSON.stringify(pushed)), PUSHED);

/** The warnings that a file of this content would get; errors depend on what it is merged with. */
export function checkPushed(pushed: Record<string, unknown>): Problem[] {
  const { tree } = parsePushed(pushed);
  if (tree === undefined) return [];
  const sections = sectionsOf(tree, []);
  return uniqueProblems(checkBox(sections)).filter(({ severity }) => severity === 'warning');
}

function settings(sections: BoxSections, root: Mapping, files: string[], cwd: string): BoxConfig {
  const top = boxSchema.partial().strip().parse(toPlain(sections.top));
  const listen = listenSchema.strip().parse(toPlain(sections.listen));
  const state = stateSchema.strip().parse(toPlain(sections.state));
  const pools = z.record(z.string(), boxPoolSchema.strip()).parse(toPlain(sections.pools));
  const nodes = z.record(z.string(), nodeSchema.strip()).parse(toPlain(sections.nodes));
  const { name, user, group, state_dir, on_stop, logging } = top;
  return {
    ...(name !== undefined && { name }),
    ...(user !== undefined && { user }),
    ...(group !== undefined && { group }),
    ...(state_dir !== undefined && { stateDir: resolvePath(cwd, state_dir) }),
    ...(on_stop !== undefined && { onStop: on_stop }),
    ...(logging?.level !== undefined && { logLevel: logLevel(logging.level) }),
    listen: canonicalListen(absolute(listen, cwd, ['path', 'token_file'])),
    state: absolute(state, cwd, ['file', 'history']),
    nodes: Object.keys(nodes),
    pools: Object.fromEntries(Object.entries(pools).map(([pool, config]) => [pool, poolOf(config)])),
    waitInPool: sections.waitInPool,
    files,
    shown: withoutSecrets(toPlain(resolveMapping(root, [], []))),
  };
}

/** Without `slots` a pool has no limit, as documented. */
function poolOf({
  update: _update,
  plugin: _plugin,
  slots = 0,
  ...rest
}: z.infer<typeof boxPoolSchema>): PoolConfig {
  return { ...rest, slots };
}

function absolute<T extends object>(section: T, cwd: string, keys: readonly (keyof T)[]): T {
  const result = { ...section };
  for (const key of keys) {
    const value = result[key];
    if (typeof value === 'string') result[key] = resolvePath(cwd, value) as T[keyof T];
  }
  return result;
}

const secrets = new Set(['token', 'password', 'pass']);

function withoutSecrets(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !secrets.has(key))
      .map(([key, child]) => [
        key,
        typeof child === 'object' && child !== null && !Array.isArray(child) ? withoutSecrets(child) : child,
      ]),
  );
}
