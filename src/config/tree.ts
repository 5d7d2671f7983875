/** Where something stands. Lines and columns are 1-based; the command line has none. */
export interface Location {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
}

export type ScalarValue = string | number | boolean | null;
export interface Scalar {
  readonly kind: 'scalar';
  readonly at: Location;
  readonly value: ScalarValue;
}
export interface List {
  readonly kind: 'list';
  readonly at: Location;
  readonly items: readonly Tree[];
}
export interface Mapping {
  readonly kind: 'map';
  readonly at: Location;
  readonly entries: ReadonlyMap<string, Entry>;
}
/** A value of the configuration that knows where it came from. */
export type Tree = Scalar | List | Mapping;

/**
 * What is known of one key: everything that was said about it, oldest first. Several layers remain only as
 * long as the base of an operator (`+key`) or of a mapping may still come from another file or template.
 */
export interface Entry {
  /** the key itself, where it was written last */
  readonly at: Location;
  readonly layers: readonly Layer[];
}

export type Operation = 'set' | 'delete' | 'append' | 'prepend' | 'remove';
export interface Layer {
  readonly operation: Operation;
  readonly at: Location;
  readonly value: Tree;
}

export const scalar = (value: ScalarValue, at: Location): Scalar => ({ kind: 'scalar', at, value });
export const emptyMap = (at: Location): Mapping => ({ kind: 'map', at, entries: new Map() });
export const isNull = (tree: Tree | undefined): boolean => tree?.kind === 'scalar' && tree.value === null;
export const isMap = (tree: Tree | undefined): tree is Mapping => tree?.kind === 'map';
export const isText = (tree: Tree | undefined): tree is Scalar & { readonly value: string } =>
  tree?.kind === 'scalar' && typeof tree.value === 'string';

/** The items of a list, a single value as its own list; nothing and null are empty. */
export function itemsOf(tree: Tree | undefined): readonly Tree[] {
  if (tree === undefined || isNull(tree)) return [];
  return tree.kind === 'list' ? tree.items : [tree];
}

/** The value of a key in a mapping without pending operators (see `resolve`). */
export function valueOf(tree: Tree | undefined, key: string): Tree | undefined {
  if (tree?.kind !== 'map') return undefined;
  return tree.entries.get(key)?.layers.at(-1)?.value;
}

/**
 * Plain JavaScript data of a resolved tree. Keys are own properties, so a key named like a method of Object is
 * only a key. (The parser refuses `__proto__`.)
 */
export function toPlain(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value;
  if (tree.kind === 'list') return tree.items.map(toPlain);
  return Object.fromEntries(
    [...tree.entries].flatMap(([key, entry]) => {
      const value = entry.layers.at(-1)?.value;
      return value === undefined ? [] : [[key, toPlain(value)]];
    }),
  );
}

/** Visits every string in a resolved tree, with its path below `tree`. */
export function* strings(
  tree: Tree,
  path: readonly (string | number)[] = [],
): Generator<{ text: string; at: Location; path: readonly (string | number)[] }> {
  if (isText(tree)) yield { text: tree.value, at: tree.at, path };
  if (tree.kind === 'list') {
    for (const [index, item] of tree.items.entries()) yield* strings(item, [...path, index]);
  }
  if (tree.kind === 'map') {
    for (const key of tree.entries.keys()) {
      const value = valueOf(tree, key);
      if (value !== undefined) yield* strings(value, [...path, key]);
    }
  }
}

/** The deepest existing value on the way to `path`, and the key that led to it. */
export function locate(
  tree: Tree,
  path: readonly (string | number)[],
): { at: Location; keyAt: Location; value: Tree | undefined } {
  let current: Tree = tree;
  let keyAt = tree.at;
  for (const part of path) {
    const next: Tree | undefined =
      current.kind === 'list' ? current.items[Number(part)] : valueOf(current, String(part));
    if (next === undefined) return { at: current.at, keyAt, value: undefined };
    keyAt = current.kind === 'map' ? (current.entries.get(String(part))?.at ?? next.at) : next.at;
    current = next;
  }
  return { at: current.at, keyAt, value: current };
}
