import { applyLayer } from './operators.js';
import { errorAt, warningAt, type Path, type Problem } from './problem.js';
import type { Entry, Layer, Location, Mapping, Operation, Tree } from './tree.js';

/** One key of a file as written, operators and all. */
export interface RawEntry {
  readonly key: string;
  readonly at: Location;
  readonly value: Tree;
  /** the key is taken as it is, a leading `+` and the like included */
  readonly literal?: boolean;
}

/**
 * Splits a key from its operator: `!key` deletes, `+key` appends to a list, `key+` prepends, `-key` removes
 * items (contract, "Configuration").
 */
export function splitKey(raw: string): { key: string; operation: Operation } {
  const prefix: Record<string, Operation> = { '!': 'delete', '+': 'append', '-': 'remove' };
  const operation = raw.length > 1 ? prefix[raw.charAt(0)] : undefined;
  if (operation !== undefined) return { key: raw.slice(1), operation };
  if (raw.length > 1 && raw.endsWith('+')) return { key: raw.slice(0, -1), operation: 'prepend' };
  return { key: raw, operation: 'set' };
}

// Keys of one mapping have no order: the base comes first, so `{"+a": 1, "a": 2}` loses nothing.
const order: readonly Operation[] = ['delete', 'set', 'remove', 'prepend', 'append'];

/** A mapping from its keys as written; operators on the same key are put into a fixed order. */
export function buildMapping(at: Location, raw: readonly RawEntry[]): Mapping {
  const entries = new Map<string, Entry>();
  const split = raw.map((entry) => {
    const literal = { key: entry.key, operation: 'set' as const };
    return { entry, ...(entry.literal === true ? literal : splitKey(entry.key)) };
  });
  const sorted = split.toSorted((a, b) => order.indexOf(a.operation) - order.indexOf(b.operation));
  for (const { entry, key, operation } of sorted) {
    const layer = { operation, at: entry.at, value: entry.value };
    const layers = [...(entries.get(key)?.layers ?? []), layer];
    entries.set(key, { at: entry.at, layers });
  }
  return { kind: 'map', at, entries: inWrittenOrder(entries, split) };
}

function inWrittenOrder(entries: Map<string, Entry>, split: readonly { key: string }[]): Map<string, Entry> {
  return new Map(split.map(({ key }) => [key, entries.get(key)!]));
}

/**
 * Merges `over` onto `base`. Mappings merge key by key; anything else replaces. Operators stay pending until
 * `resolve`, so the base of a `+key` may be in a file or template that comes under it later. Associative.
 */
export function mergeMappings(base: Mapping, over: Mapping): Mapping {
  const entries = new Map(base.entries);
  for (const [key, entry] of over.entries) {
    const below = entries.get(key);
    entries.set(key, below === undefined ? entry : stack(below, entry));
  }
  return { kind: 'map', at: later(base.at, over.at), entries };
}

/** A section is where a file has it, though an argument adds a key to it. */
const later = (below: Location, above: Location): Location =>
  above.line === undefined && below.line !== undefined ? below : above;

function stack(below: Entry, above: Entry): Entry {
  return { at: later(below.at, above.at), layers: withoutDead([...below.layers, ...above.layers]) };
}

/** Drops the layers that a later one hides completely. */
function withoutDead(layers: readonly Layer[]): readonly Layer[] {
  const start = layers.findLastIndex(
    ({ operation, value }) => operation === 'delete' || (operation === 'set' && value.kind !== 'map'),
  );
  return start > 0 ? layers.slice(start) : layers;
}

/** What a key amounts to when nothing more comes under it; its own keys may still have pending operators. */
export function foldEntry(
  entry: Entry | undefined,
  path: Path = [],
  problems: Problem[] = [],
): Tree | undefined {
  let value: Tree | undefined;
  for (const layer of entry?.layers ?? []) {
    const result = applyLayer(value, layer, mergeMappings);
    if ('error' in result) {
      problems.push(errorAt(layer.at, path, result.error, result.hint));
      continue;
    }
    if (result.warning !== undefined) problems.push(warningAt(layer.at, path, result.warning));
    value = result.value;
  }
  return value;
}

/** Applies all pending operators. Problems (an operator on the wrong kind of value) are appended to `problems`. */
export function resolve(tree: Tree, path: Path = [], problems: Problem[] = []): Tree {
  if (tree.kind === 'scalar') return tree;
  if (tree.kind === 'list') {
    return { ...tree, items: tree.items.map((item, index) => resolve(item, [...path, index], problems)) };
  }
  const entries = new Map<string, Entry>();
  for (const [key, entry] of tree.entries) {
    const folded = foldEntry(entry, [...path, key], problems);
    if (folded === undefined) continue;
    const value = resolve(folded, [...path, key], problems);
    entries.set(key, { at: entry.at, layers: [{ operation: 'set', at: entry.at, value }] });
  }
  return { ...tree, entries };
}

/** `resolve` for a mapping, which stays one. */
export function resolveMapping(tree: Mapping, path: Path, problems: Problem[]): Mapping {
  const resolved = resolve(tree, path, problems);
  return resolved.kind === 'map' ? resolved : tree;
}
