import type { z } from 'zod';
import { suggest } from './nearest.js';
import { absentAt, errorAt, quote, warningAt, type Path, type Problem } from './problem.js';
import { childSchemas, objectKeys } from './schema-walk.js';
import { toBoolean, toNumber } from './words.js';
import { locate, toPlain, type Tree } from './tree.js';

type Issue = z.core.$ZodIssue;

export interface CheckOptions {
  /** severity of keys the schema does not know; default error */
  readonly unknownKeys?: 'error' | 'warning';
}

/** Checks a resolved tree against a schema; every issue becomes a problem that says what stood where. */
export function check(schema: z.ZodType, tree: Tree, path: Path, options: CheckOptions = {}): Problem[] {
  const data = toPlain(tree);
  const result = schema.safeParse(data);
  if (result.success) return [];
  return result.error.issues
    .flatMap((issue) => mostSpecific(issue))
    .flatMap((issue) => describe(schema, data, tree, path, issue, options));
}

/** Of the branches of a union the one that got deepest into the value is the one that was meant. */
function mostSpecific(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const branches = issue.errors.filter((issues) => issues.some(({ path }) => path.length > 0));
  const [branch] = branches;
  if (branch === undefined || branches.length > 1) return [issue];
  return branch.flatMap((inner) => mostSpecific({ ...inner, path: [...issue.path, ...inner.path] }));
}

function describe(
  schema: z.ZodType,
  data: unknown,
  tree: Tree,
  base: Path,
  issue: Issue,
  options: CheckOptions,
): Problem[] {
  const below = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
  const path = [...base, ...below];
  const { at, value } = locate(tree, below);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownKey(schema, tree, below, path, key, options));
  }
  if (value === undefined) {
    return [absentAt(at, path, `missing; expected ${issue.message}`, 'add it')];
  }
  const found = toPlain(value);
  const message = `expected ${issue.message}, found ${quote(found)}`;
  return [errorAt(at, path, message, repair(schema, data, below, found))];
}

function unknownKey(
  schema: z.ZodType,
  tree: Tree,
  below: Path,
  path: Path,
  key: string,
  options: CheckOptions,
): Problem {
  const { keyAt } = locate(tree, [...below, key]);
  const report = options.unknownKeys === 'warning' ? warningAt : errorAt;
  return report(keyAt, [...path, key], 'unknown key', suggest(key, knownKeys(schema, below)));
}

/** What to do, found by trying: the first change that makes the schema content with this value. */
function repair(schema: z.ZodType, data: unknown, path: Path, found: unknown): string | undefined {
  if (found === null) {
    const key = path.at(-1);
    return typeof key === 'string' ? `to unset an inherited value write "!${key}": true` : undefined;
  }
  const attempts: [unknown, string][] = [];
  if (typeof found === 'string') {
    const number = toNumber(found);
    const boolean = toBoolean(found);
    if (number !== undefined) attempts.push([number, 'remove the quotes']);
    if (boolean !== undefined) attempts.push([boolean, `write ${boolean} without quotes`]);
  }
  if (typeof found === 'number' || typeof found === 'boolean')
    attempts.push([String(found), 'put it in quotes']);
  attempts.push([[found], 'put it in a list: [ ... ]']);
  return attempts.find(([value]) => accepts(schema, data, path, value))?.[1];
}

function accepts(schema: z.ZodType, data: unknown, path: Path, value: unknown): boolean {
  const result = schema.safeParse(replaced(data, path, value));
  return (
    result.success ||
    !result.error.issues.some((issue) => startsWith(issue.path, path) || startsWith(path, issue.path))
  );
}

const startsWith = (path: readonly PropertyKey[], start: readonly PropertyKey[]): boolean =>
  start.every((part, index) => path[index] === part);

function replaced(data: unknown, path: Path, value: unknown): unknown {
  const [part, ...rest] = path;
  if (part === undefined) return value;
  if (Array.isArray(data)) return data.map((item, i) => (i === part ? replaced(item, rest, value) : item));
  if (typeof data !== 'object' || data === null) return data;
  return Object.fromEntries(
    Object.entries(data).map(([key, item]) => [key, key === part ? replaced(item, rest, value) : item]),
  );
}

function knownKeys(schema: z.ZodType, path: Path): string[] {
  let schemas: z.ZodType[] = [schema];
  for (const part of path) schemas = schemas.flatMap((one) => childSchemas(one, String(part)));
  return schemas.flatMap(objectKeys);
}
