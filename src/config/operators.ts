import { isDeepStrictEqual } from 'node:util';
import { quote } from './problem.js';
import { isText, itemsOf, toPlain, type Layer, type Mapping, type Tree } from './tree.js';

type Outcome =
  | { readonly value: Tree | undefined; readonly warning?: string }
  | { readonly error: string; readonly hint?: string };
type Merge = (base: Mapping, over: Mapping) => Mapping;

/** One layer over what is there so far. A list operator takes a single value on either side for a list of one. */
export function applyLayer(base: Tree | undefined, layer: Layer, merge: Merge): Outcome {
  const { operation, value } = layer;
  if (operation === 'delete') return { value: undefined };
  if (operation === 'set') return { value: set(base, value, merge) };
  if (operation === 'remove') return remove(base, value);
  if (base?.kind === 'map' || value.kind === 'map') return extendMapping(base, value, merge);
  const [first, second] =
    operation === 'append' ? [itemsOf(base), itemsOf(value)] : [itemsOf(value), itemsOf(base)];
  return { value: { kind: 'list', at: value.at, items: [...first, ...second] } };
}

function set(base: Tree | undefined, value: Tree, merge: Merge): Tree {
  return base?.kind === 'map' && value.kind === 'map' ? merge(base, value) : value;
}

/** `+jobs: {...}` adds one item to a list of mappings; two mappings merge; a mapping and a text cannot. */
function extendMapping(base: Tree | undefined, value: Tree, merge: Merge): Outcome {
  if (base?.kind === 'map' && value.kind === 'map') return { value: merge(base, value) };
  if (base?.kind === 'map') {
    return {
      error: `cannot add ${nameKind(value)} to a mapping`,
      hint: 'use the key without + to replace it',
    };
  }
  return { value: { kind: 'list', at: value.at, items: [...itemsOf(base), value] } };
}

function remove(base: Tree | undefined, value: Tree): Outcome {
  if (base === undefined) return { value: undefined, warning: 'there is nothing to remove from' };
  const unwanted = itemsOf(value);
  if (base.kind === 'map') return { value: withoutKeys(base, unwanted) };
  const present = itemsOf(base).map((item) => ({ item, data: toPlain(item) }));
  const plain = unwanted.map(toPlain);
  const items = present.filter(({ data }) => !plain.some((other) => isDeepStrictEqual(other, data)));
  const missing = plain.find((other) => !present.some(({ data }) => isDeepStrictEqual(other, data)));
  const list: Tree = { kind: 'list', at: base.at, items: items.map(({ item }) => item) };
  return missing === undefined
    ? { value: list }
    : { value: list, warning: `${quote(missing)} is to be removed but is not there` };
}

function withoutKeys(base: Mapping, unwanted: readonly Tree[]): Mapping {
  const entries = new Map(base.entries);
  for (const key of unwanted) if (isText(key)) entries.delete(key.value);
  return { ...base, entries };
}

const nameKind = (tree: Tree): string => (tree.kind === 'list' ? 'a list' : 'a single value');
