import { isDeepStrictEqual } from 'node:util';
import { captureNames, fileLists, isPattern } from './lists.js';
import { absentAt, errorAt, quote, type Path, type Problem } from './problem.js';
import { isText, itemsOf, locate, toPlain, valueOf, type Mapping, type Tree } from './tree.js';

/** `fileset`, or its other spelling `match`; 0 is the default, no filesets. */
export function filesetOf(tree: Mapping): { key: 'fileset' | 'match'; value: Tree } | undefined {
  for (const key of ['fileset', 'match'] as const) {
    const value = valueOf(tree, key);
    if (value !== undefined && toPlain(value) !== 0) return { key, value };
  }
  return undefined;
}

/** What filesets need of the other keys (contract, "Configuration" and "Which files"). */
export function checkFileset(tree: Mapping, path: Path): Problem[] {
  const fileset = filesetOf(tree);
  const problems = [...checkAlias(tree, path), ...checkPartial(tree, path)];
  if (fileset === undefined) return problems;
  const { key, value } = fileset;
  const lists = fileLists(tree);
  if (lists.length < 2) {
    const message = `a fileset joins several lists, found ${lists.length === 1 ? 'one' : 'none'}`;
    problems.push(absentAt(value.at, [...path, key], message, 'give glob a list of patterns'));
  }
  if (value.kind === 'scalar' && typeof value.value === 'number' && valueOf(tree, 'split') === undefined) {
    const message = `${key}: ${value.value} compares parts of the names, but split is missing`;
    problems.push(absentAt(value.at, [...path, key], message, 'add split, e.g. "split": "."'));
  }
  if (value.kind === 'list') problems.push(...checkCaptures(tree, key, value, path));
  return problems;
}

function checkAlias(tree: Mapping, path: Path): Problem[] {
  const [fileset, match] = [valueOf(tree, 'fileset'), valueOf(tree, 'match')];
  if (fileset === undefined || match === undefined) return [];
  if (isDeepStrictEqual(toPlain(fileset), toPlain(match))) return [];
  const [one, other] = [quote(toPlain(fileset)), quote(toPlain(match))];
  const message = `fileset and match are the same key but disagree: ${one} and ${other}`;
  return [errorAt(locate(tree, ['match']).keyAt, [...path, 'match'], message, 'remove one of them')];
}

function checkCaptures(tree: Mapping, key: string, value: Tree, path: Path): Problem[] {
  const lists = fileLists(tree);
  return itemsOf(value)
    .filter(isText)
    .flatMap((capture) => {
      const lacking = lists.findIndex(
        ({ pattern }) =>
          pattern === undefined || (isPattern(pattern) && !captureNames(pattern).includes(capture.value)),
      );
      if (lacking < 0) return [];
      const pattern = lists[lacking]?.pattern;
      const where =
        pattern === undefined ? `list ${lacking} has no pattern` : `the pattern of list ${lacking} lacks it`;
      const message = `no capture ${JSON.stringify(capture.value)} to join on: ${where}`;
      return [absentAt(capture.at, [...path, key], message, `add (?<${capture.value}>...) to the pattern`)];
    });
}

function checkPartial(tree: Mapping, path: Path): Problem[] {
  const partial = valueOf(tree, 'partial');
  if (partial?.kind !== 'scalar' || typeof partial.value !== 'number') return [];
  const lists = fileLists(tree).length;
  if (partial.value <= lists || lists === 0) return [];
  const message = `expected at most the number of lists, ${lists}, found ${partial.value}`;
  return [errorAt(partial.at, [...path, 'partial'], message, 'lower it, or add patterns to glob')];
}
