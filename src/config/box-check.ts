import type { z } from 'zod';
import { boxPoolSchema, boxSchema, listenSchema, nodeSchema, stateSchema } from './box-schema.js';
import { sslSchema } from './ssl-schema.js';
import { check } from './check.js';
import { addressByPrefix, canonicalSsl } from './listen.js';
import { sectionOf } from './expand.js';
import { resolve, resolveMapping } from './merge.js';
import { suggest } from './nearest.js';
import { errorAt, warningAt, type Path, type Problem } from './problem.js';
import { withDefaults } from './root.js';
import { emptyMap, isMap, isNull, toPlain, valueOf, type Entry, type Mapping } from './tree.js';

/** The sections with their part of `defaults` under them. */
export interface BoxSections {
  /** what is no section */
  readonly top: Mapping;
  readonly listen: Mapping;
  readonly state: Mapping;
  readonly pools: Mapping;
  readonly nodes: Mapping;
  /** the settings that may stand at the top or among the pools */
  readonly shared: Mapping;
  readonly defaults: Mapping;
  readonly waitInPool: boolean;
}

const sectionNames = ['defaults', 'listen', 'state', 'pools', 'nodes'] as const;
/** The document shows them at the level of the pools. */
const poolSettings = ['use_loadavg', 'wait_in_pool'] as const;

export function sectionsOf(root: Mapping, problems: Problem[]): BoxSections {
  const defaults = sectionOf(root, 'defaults', problems);
  const own = new Map(root.entries);
  for (const key of sectionNames) own.delete(key);
  const top = resolveMapping({ ...root, entries: own }, [], problems);
  const section = (name: 'listen' | 'state', schema: z.ZodObject): Mapping =>
    withDefaults(sectionOf(root, name, problems), defaults, schema, [name], problems);
  const { entries: pools, settings } = splitPools(sectionOf(root, 'pools', problems), defaults, problems);
  return {
    top,
    listen: section('listen', listenSchema),
    state: section('state', stateSchema),
    pools,
    nodes: each(sectionOf(root, 'nodes', problems), defaults, nodeSchema, 'nodes', problems),
    shared: settings,
    defaults,
    waitInPool: isSet(valueOf(top, 'wait_in_pool')) || isSet(valueOf(settings, 'wait_in_pool')),
  };
}

const isSet = (tree: ReturnType<typeof valueOf>): boolean =>
  tree?.kind === 'scalar' && (tree.value === true || tree.value === 1);

function splitPools(section: Mapping, defaults: Mapping, problems: Problem[]) {
  const settings = new Map<string, Entry>();
  const entries = new Map(section.entries);
  const resolved = resolve(section, ['pools'], []);
  for (const key of poolSettings) {
    const entry = isMap(resolved) ? resolved.entries.get(key) : undefined;
    const value = valueOf(resolved, key);
    if (entry === undefined || isMap(value)) continue;
    entries.delete(key);
    if (!isNull(value)) settings.set(key, entry);
  }
  return {
    settings: { ...section, entries: settings },
    entries: each({ ...section, entries }, defaults, boxPoolSchema, 'pools', problems),
  };
}

/** Every entry of a section of named things with its defaults. `null` counts as an empty one. */
function each(
  section: Mapping,
  defaults: Mapping,
  schema: z.ZodObject,
  name: string,
  problems: Problem[],
): Mapping {
  const resolved = resolve(section, [name], problems);
  if (!isMap(resolved)) return section;
  const entries = new Map(resolved.entries);
  for (const [key, { at }] of entries) {
    const value = valueOf(resolved, key);
    const own = value?.kind === 'scalar' && value.value === null ? emptyMap(at) : value;
    if (!isMap(own)) continue;
    const tree = withDefaults(own, defaults, schema, [name, key], problems);
    entries.set(key, { at, layers: [{ operation: 'set', at, value: tree }] });
  }
  return { ...section, entries };
}

const topSchema = boxSchema.omit({ defaults: true, listen: true, state: true, pools: true, nodes: true });
const sharedSchema = boxSchema.pick({ use_loadavg: true, wait_in_pool: true });
const sectionKeys = [listenSchema, stateSchema, nodeSchema, boxPoolSchema].flatMap(({ shape }) =>
  Object.keys(shape),
);

/** Everything that is wrong with the sections. */
export function checkBox(sections: BoxSections): Problem[] {
  const { top, listen, state, pools, nodes, shared, defaults } = sections;
  return oneEach([
    ...check(topSchema, top, [], { unknownKeys: 'warning' }).map(suggestSection),
    ...check(listenSchema, listen, ['listen'], { unknownKeys: 'warning' }),
    ...check(stateSchema, state, ['state'], { unknownKeys: 'warning' }),
    ...check(sharedSchema, shared, ['pools']),
    ...checkDefaults(defaults),
    ...checkEach(pools, boxPoolSchema, 'pools'),
    ...checkEach(nodes, nodeSchema, 'nodes'),
    ...checkTls(listen),
    ...checkAccess(listen),
    ...checkReserved(pools),
    ...checkPrefix(listen),
    ...notYet(sections),
  ]);
}

/** One thing wrong with a value is enough: the others follow from it. */
function oneEach(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  return problems.filter(({ severity, file, line, column, path }) => {
    const place = JSON.stringify([severity, file, line, column, path]);
    return !seen.has(place) && seen.add(place);
  });
}

function checkDefaults({ entries }: Mapping): Problem[] {
  return [...entries]
    .filter(([key]) => !sectionKeys.includes(key))
    .map(([key, { at }]) =>
      warningAt(at, ['defaults', key], 'no section knows this key', suggest(key, sectionKeys)),
    );
}

function checkEach(section: Mapping, schema: z.ZodObject, name: string): Problem[] {
  return [...section.entries].flatMap(([key, { at }]) => {
    const tree = valueOf(section, key);
    if (isMap(tree)) return check(schema, tree, [name, key], { unknownKeys: 'warning' });
    return [
      errorAt(tree?.at ?? at, [name, key], 'expected a mapping: its settings', 'write {} for the defaults'),
    ];
  });
}

function suggestSection(problem: Problem): Problem {
  if (problem.message !== 'unknown key' || problem.path === undefined) return problem;
  const { hint: _, ...rest } = problem;
  const near = suggest(problem.path, Object.keys(boxSchema.shape));
  return { ...rest, message: 'nothing knows this key', ...(near !== undefined && { hint: near }) };
}

function checkTls(listen: Mapping): Problem[] {
  const ssl = valueOf(listen, 'ssl');
  if (!isMap(ssl)) return [];
  const path: Path = ['listen', 'ssl'];
  const known = Object.keys(sslSchema.shape);
  const problems = [...ssl.entries]
    .filter(([key]) => !known.includes(key))
    .map(([key, { at }]) => warningAt(at, [...path, key], `${key} does nothing here`, suggest(key, known)));
  const plain = canonicalSsl(toPlain(ssl) as Record<string, unknown>);
  if (plain.certfile === undefined)
    problems.push(
      errorAt(ssl.at, [...path, 'certfile'], 'missing; expected the certificate of the server', 'add it'),
    );
  const mode = plain.verify_mode ?? plain.cert_reqs;
  const isRequired = mode === 2 || mode === 'CERT_REQUIRED';
  if (isRequired && plain.cafile === undefined)
    problems.push(
      errorAt(
        ssl.at,
        [...path, 'cafile'],
        'missing; expected the authorities of client certificates',
        'add it',
      ),
    );
  return problems;
}

/** Only this machine connects to a loopback address; any other needs proof of who connects. */
function checkAccess(listen: Mapping): Problem[] {
  const plain = toPlain(listen) as Record<string, unknown>;
  const prefix = plain['prefix'];
  const address = plain['address'] ?? (typeof prefix === 'string' ? addressByPrefix(prefix) : undefined);
  if (typeof address !== 'string' || isLocal(address) || plain['port'] === false) return [];
  if (plain['insecure'] === true || plain['insecure'] === 1) return [];
  if (plain['token'] !== undefined || plain['token_file'] !== undefined) return [];
  const ssl = plain['ssl'] as Record<string, unknown> | undefined;
  if (ssl !== undefined && requiresClient(ssl)) return [];
  const at = (valueOf(listen, 'address') ?? valueOf(listen, 'prefix'))?.at ?? listen.at;
  const hint =
    'add listen.token_file, or listen.ssl with certfile and cafile; listen.insecure: true lets anybody run commands here';
  return [
    errorAt(
      at,
      ['listen', plain['address'] === undefined ? 'prefix' : 'address'],
      `${address} can be reached by other machines, without proof of who connects`,
      hint,
    ),
  ];
}

/** Whether a TLS section makes clients show a certificate. */
export function requiresClient(ssl: Readonly<Record<string, unknown>>): boolean {
  const mode = ssl['verify_mode'] ?? ssl['cert_reqs'] ?? ssl['verify'];
  return mode === undefined ? ssl['cafile'] !== undefined : mode === 2 || mode === 'CERT_REQUIRED';
}

const isLocal = (address: string): boolean =>
  address.startsWith('/') ||
  address === 'localhost' ||
  address === '::1' ||
  /^127(\.\d{1,3}){3}$/.test(address);

function checkPrefix(listen: Mapping): Problem[] {
  const tree = valueOf(listen, 'prefix');
  const { prefix, address } = toPlain(listen) as Record<string, unknown>;
  if (tree === undefined || typeof prefix !== 'string') return [];
  const path: Path = ['listen', 'prefix'];
  if (address !== undefined)
    return [warningAt(tree.at, path, 'does nothing beside listen.address', 'remove one of the two')];
  if (addressByPrefix(prefix) !== undefined) return [];
  return [warningAt(tree.at, path, `no address of this host starts with ${prefix}: listening at localhost`)];
}

function checkReserved(pools: Mapping): Problem[] {
  const entry = pools.entries.get('__config');
  return entry
    ? [errorAt(entry.at, ['pools', '__config'], 'this name is reserved for pushed configurations')]
    : [];
}

/** What is accepted for the sake of existing files, and does nothing yet. */
function notYet({ nodes, pools, top, shared }: BoxSections): Problem[] {
  const problems: Problem[] = [];
  const [first] = nodes.entries.values();
  if (first)
    problems.push(
      warningAt(
        first.at,
        ['nodes'],
        'connecting to downstream nodes is not possible yet: jobs for them wait here',
      ),
    );
  for (const pool of pools.entries.keys()) {
    const plugin = isMap(valueOf(pools, pool)) ? valueOf(valueOf(pools, pool), 'plugin') : undefined;
    if (plugin)
      problems.push(warningAt(plugin.at, ['pools', pool, 'plugin'], 'plugin does nothing here', 'remove it'));
  }
  const loads = [
    { path: ['use_loadavg'], value: valueOf(top, 'use_loadavg') },
    { path: ['pools', 'use_loadavg'], value: valueOf(shared, 'use_loadavg') },
  ];
  for (const { path, value } of loads)
    if (value && isSet(value))
      problems.push(warningAt(value.at, path, 'there is only this node to choose from yet'));
  return problems;
}
