import { z } from 'zod';
import { coerce } from './coerce.js';
import { splitAssignment, type Assignment } from './keypath.js';
import { buildMapping, mergeMappings, splitKey } from './merge.js';
import { parseJson } from './parse-json.js';
import { COMMAND_LINE, errorAt, formatPath, hasErrors, type Problem } from './problem.js';
import { clientSchema, poolSchema, rootSchema, watchSchema } from './schema.js';
import { childSchemas } from './schema-walk.js';
import { emptyMap, isMap, type Location, type Mapping, type Tree } from './tree.js';
import { UnusableFile } from './unusable.js';

const typedRoot = z.object({
  ...rootSchema.shape,
  watch: z.record(z.string(), watchSchema),
  template: z.record(z.string(), watchSchema),
  defaults: z.union([watchSchema, clientSchema, poolSchema]),
});

/**
 * Merges `key.subkey=value` arguments over the files, later ones winning (seeds, "meeseeks-watch"). Keys may carry
 * merge operators: `watch.a.+glob=*.idx`. Values are typed by the schema `typed`. Bad arguments come back as problems, all of them.
 */
export function applyOverrides(
  root: Mapping,
  overrides: readonly string[],
  typed: z.ZodType = typedRoot,
): { root: Mapping; problems: Problem[] } {
  const problems: Problem[] = [];
  let merged = root;
  for (const argument of overrides) {
    const parsed = parseOverride(argument, typed);
    if ('problem' in parsed) problems.push(parsed.problem);
    else merged = mergeMappings(merged, parsed.tree);
  }
  return { root: merged, problems };
}

function parseOverride(argument: string, typed: z.ZodType): { tree: Mapping } | { problem: Problem } {
  const assignment = splitAssignment(argument);
  if (assignment === undefined) {
    return { problem: errorAt({ file: `${COMMAND_LINE}${argument}` }, [], 'expected key.subkey=value') };
  }
  const path = assignment.parts.map(({ key, literal }) => (literal ? key : splitKey(key).key));
  const at: Location = { file: `${COMMAND_LINE}${formatPath(path)}` };
  const problem = (message: string, hint?: string) => ({ problem: errorAt(at, path, message, hint) });
  if (path.includes(''))
    return problem('a key is empty', 'quote keys that contain dots: watch."a.b".path=/data');
  if (path.includes('__proto__')) return problem('"__proto__" cannot be a key', 'rename it');
  const value = valueOf(assignment, path, at, typed);
  return 'kind' in value ? { tree: nest(assignment, value, at) } : { problem: value };
}

function valueOf(
  { json, value }: Assignment,
  path: readonly string[],
  at: Location,
  typed: z.ZodType,
): Tree | Problem {
  if (json) return jsonValue(value, path, at);
  return value === '' ? emptyMap(at) : coerce(value, schemasAt(path, typed), at);
}

/** `watch.a.path=/x` as the mapping a file would have; one with a numbered list item has no such form. */
function nest({ parts }: Assignment, value: Tree, at: Location): Mapping {
  const nested = parts.reduceRight<Tree>(
    (inner, { key, literal }) => buildMapping(at, [{ key, at, value: inner, literal }]),
    value,
  );
  return isMap(nested) ? nested : emptyMap(at);
}

function schemasAt(path: readonly string[], typed: z.ZodType): z.ZodType[] {
  let schemas: z.ZodType[] = [typed];
  for (const key of path) schemas = schemas.flatMap((schema) => childSchemas(schema, key));
  return schemas;
}

function jsonValue(text: string, path: readonly string[], at: Location): Tree | Problem {
  try {
    const { tree, problems } = parseJson(text, '');
    if (tree !== undefined && !hasErrors(problems)) return relocate(tree, at);
    const [first] = problems;
    const column = first?.column ?? 1;
    return errorAt(
      at,
      path,
      `${first?.message ?? 'syntax error'}, at character ${column} of the value`,
      first?.hint,
    );
  } catch (error) {
    if (error instanceof UnusableFile || error instanceof RangeError) return errorAt(at, path, error.message);
    throw error;
  }
}

/** A position inside an argument says nothing; its name does. */
function relocate(tree: Tree, at: Location): Tree {
  if (tree.kind === 'scalar') return { ...tree, at };
  if (tree.kind === 'list') return { ...tree, at, items: tree.items.map((item) => relocate(item, at)) };
  const entries = [...tree.entries].map(([key, entry]) => {
    const layers = entry.layers.map((layer) => ({ ...layer, at, value: relocate(layer.value, at) }));
    return [key, { at, layers }] as const;
  });
  return { ...tree, at, entries: new Map(entries) };
}
