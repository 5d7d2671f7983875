import micromatch from 'micromatch';
import { errorAt, type Path, type Problem } from './problem.js';
import type { FileList } from './schema.js';
import { isText, itemsOf, valueOf, type Mapping, type Tree } from './tree.js';

/**
 * The regular expression of a `pattern`, found anywhere in a name unless anchored.
 * @throws SyntaxError
 */
export const compilePattern = (pattern: string): RegExp => new RegExp(pattern, 'u');

/** The names of the captures of a valid pattern. */
export function captureNames(pattern: string): string[] {
  // the alternative that always matches makes the groups appear, undefined
  const groups = new RegExp(`${pattern}|`, 'u').exec('')?.groups ?? {};
  return Object.keys(groups);
}

/** Captures of those patterns of a watch that are valid. */
export function capturesOf(tree: Mapping): Set<string> {
  return new Set(patternsOf(tree).flatMap(({ value }) => (isPattern(value) ? captureNames(value) : [])));
}

export function isPattern(pattern: string): boolean {
  try {
    compilePattern(pattern);
    return true;
  } catch {
    return false;
  }
}

const textsOf = (tree: Tree | undefined) => itemsOf(tree).filter(isText);
const patternsOf = (tree: Mapping) => textsOf(valueOf(tree, 'pattern'));
const globsOf = (tree: Mapping) => textsOf(valueOf(tree, 'glob'));

/**
 * The lists of files of a watch: glob and pattern with the same position belong together, and a single one that
 * is not in a list goes with every list of the other. Wrong counts are `checkLists`' to report.
 */
export function fileLists(tree: Mapping): FileList[] {
  const [globs, patterns] = [globsOf(tree), patternsOf(tree)];
  const length = Math.max(globs.length, patterns.length);
  const pick = (key: string, items: readonly { readonly value: string }[], index: number) =>
    valueOf(tree, key)?.kind === 'list' ? items[index]?.value : items[0]?.value;
  return Array.from({ length }, (_, index) => ({
    glob: pick('glob', globs, index),
    pattern: pick('pattern', patterns, index),
  }));
}

/** Globs, patterns and how they go together. */
export function checkLists(tree: Mapping, path: Path): Problem[] {
  return [
    ...checkGlobs(tree, path, 'glob'),
    ...checkGlobs(tree, path, 'exclude'),
    ...patternsOf(tree).flatMap(({ value, at }) => {
      const problem = patternProblem(value);
      return problem === undefined ? [] : [errorAt(at, [...path, 'pattern'], ...problem)];
    }),
    ...checkCounts(tree, path),
  ];
}

function patternProblem(pattern: string): [message: string, hint?: string] | undefined {
  try {
    compilePattern(pattern);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*: /, '') : String(error);
    const message = `is not a regular expression: ${reason}, found ${JSON.stringify(pattern)}`;
    if (pattern.includes('(?P<')) return [message, 'write (?<name>...) for a named capture'];
    return /invalid escape/i.test(reason)
      ? [message, 'a backslash may only stand before a special character']
      : [message];
  }
}

function checkGlobs(tree: Mapping, path: Path, key: string): Problem[] {
  const recursive = valueOf(tree, 'recursive');
  const isRecursive = recursive?.kind === 'scalar' && Boolean(recursive.value);
  return textsOf(valueOf(tree, key)).flatMap(({ value, at }) => {
    const problem = globProblem(value, isRecursive);
    return problem === undefined ? [] : [errorAt(at, [...path, key], ...problem)];
  });
}

function globProblem(glob: string, recursive: boolean): [message: string, hint: string] | undefined {
  const found = JSON.stringify(glob);
  if (glob.startsWith('/')) {
    return [`a pattern is matched below path, found ${found}`, 'put the directory into path'];
  }
  if (glob.includes('/') && !recursive) {
    return [`a pattern with a slash never matches, found ${found}`, 'set recursive: true'];
  }
  try {
    // the published types do not know the option
    const options = { strictBrackets: true } as micromatch.Options;
    micromatch.makeRe(glob, options);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [
      `is not a pattern: ${reason}, found ${found}`,
      'put a backslash before a bracket that is meant as such',
    ];
  }
}

function checkCounts(tree: Mapping, path: Path): Problem[] {
  const [glob, pattern] = [valueOf(tree, 'glob'), valueOf(tree, 'pattern')];
  if (glob?.kind !== 'list' || pattern?.kind !== 'list') return [];
  const [globs, patterns] = [glob.items.length, pattern.items.length];
  if (globs === patterns) return [];
  const message = `expected one pattern for each of the ${globs} lists, found ${patterns}`;
  return [
    errorAt(
      pattern.at,
      [...path, 'pattern'],
      message,
      'write a single pattern, not a list, to use it for all lists',
    ),
  ];
}
