import { resolve as resolvePath } from 'node:path';
import type { ExpandedWatch } from './expand.js';
import { errorAt, type Problem } from './problem.js';
import { valueOf, type Mapping } from './tree.js';

const LONGEST_NAME = 100;

/** Names become parts of file names: no slash, no NUL, not too long, no two the same. */
export function checkNames(watches: readonly ExpandedWatch[]): Problem[] {
  const first = new Map<string, ExpandedWatch>();
  return watches.flatMap((watch) => {
    const { name, at, path } = watch;
    const wrong = nameProblem(name);
    if (wrong !== undefined) return [errorAt(at, path, ...wrong)];
    const other = first.get(name);
    first.set(name, other ?? watch);
    if (other === undefined) return [];
    const where = other.at.line === undefined ? other.at.file : `${other.at.file}:${other.at.line}`;
    const message = `two watches have the name ${JSON.stringify(name)}; the other is in ${where}`;
    return [errorAt(at, path, message, 'rename one')];
  });
}

function nameProblem(name: string): [message: string, hint: string] | undefined {
  if (name === '') return ['a watch needs a name, found ""', 'name it'];
  if (name.includes('/'))
    return [`a name must not contain a slash, found ${JSON.stringify(name)}`, 'rename it'];
  if (name.includes('\0')) return ['a name must not contain a NUL character', 'rename it'];
  const bytes = Buffer.byteLength(name, 'utf8');
  if (bytes <= LONGEST_NAME) return undefined;
  return [`a name must not be longer than ${LONGEST_NAME} bytes, found ${bytes}`, 'shorten it'];
}

/**
 * Watches whose markers `._<name>_<n>_<file>.<state>` cannot be told apart: `a` and `a_0` in the same directory
 * (field notes, item 16).
 */
export function checkMarkers(watches: readonly ExpandedWatch[], cwd: string): Problem[] {
  const byName = new Map(watches.map((watch) => [watch.name, watch]));
  return watches.flatMap((long) => {
    const clash = shorterNames(long.name).find((name) => {
      const short = byName.get(name);
      return short !== undefined && meet(markerPlace(short.tree, cwd), markerPlace(long.tree, cwd));
    });
    return clash === undefined ? [] : [ambiguous(byName.get(clash)!, long)];
  });
}

/** The names `x` for which this one is `x_<digits>` or `x_<digits>_<anything>`. */
const shorterNames = (name: string): string[] =>
  Array.from(name.matchAll(/_(?=\d+(_|$))/g), ({ index }) => name.slice(0, index));

function ambiguous(short: ExpandedWatch, long: ExpandedWatch): Problem {
  const marker = `._${long.name}_0_x.done`;
  const [step, ...rest] = long.name.slice(short.name.length + 1).split('_');
  const file = [...rest, '0_x'].join('_');
  const message =
    `its markers cannot be told from those of the watch ${JSON.stringify(short.name)} in the same directory: ` +
    `${marker} would be step 0 of x here and step ${step} of ${file} there`;
  return errorAt(long.at, long.path, message, 'rename one of them');
}

interface Place {
  readonly directory: string;
  readonly recursive: boolean;
}

/** Where the markers of a watch are: with the data, or in `state_path`; undefined when it writes none. */
function markerPlace(tree: Mapping, cwd: string): Place | undefined {
  const text = (key: string): string | undefined => {
    const value = valueOf(tree, key);
    return value?.kind === 'scalar' && typeof value.value === 'string' ? value.value : undefined;
  };
  const path = text('state_path') ?? text('path');
  if (path === undefined || (text('store') ?? 'marker') !== 'marker') return undefined;
  const recursive = valueOf(tree, 'recursive');
  return {
    directory: resolvePath(cwd, path),
    recursive: recursive?.kind === 'scalar' && Boolean(recursive.value),
  };
}

function meet(a: Place | undefined, b: Place | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  if (a.directory === b.directory) return true;
  return (
    (a.recursive && isBelow(b.directory, a.directory)) || (b.recursive && isBelow(a.directory, b.directory))
  );
}

const isBelow = (path: string, top: string): boolean => path.startsWith(top === '/' ? '/' : `${top}/`);
