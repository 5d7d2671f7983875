import type { WatchDefinition } from '../config/schema.js';
import type { ObservedFile } from './observation.js';

/** Files of all lists that belong together. */
export interface Fileset {
  /** the file whose markers stand for the set: of the first list, or of the first one present */
  readonly keyFile: ObservedFile;
  /** members a list; of the first list only the key file */
  readonly members: readonly (readonly ObservedFile[])[];
  /** indexes of the lists without a member */
  readonly missing: readonly number[];
  /** what the members have in common, for people */
  readonly key: string;
}

/**
 * Joins files across lists by exact equality of their leading parts or captures: `a.1` never joins `a.10`.
 * Each file of the first list makes a set with all matching files of the others; where the first list has none,
 * the files there are make one (incomplete) set. A file without enough parts, or without one of the captures,
 * joins nothing. Sets come in the order of `files`.
 * @param hasRecord whether a file was processed before, as the one that stands for its set: a set that ran incomplete keeps its key file, so that a late
 *   member of an earlier list does not make it run again
 */
export function joinFilesets(
  watch: Pick<WatchDefinition, 'fileset' | 'lists' | 'leastLists' | 'split'>,
  files: readonly ObservedFile[],
  hasRecord: (path: string) => boolean = () => false,
): Fileset[] {
  const groups = groupByKey(watch, files);
  const position = new Map(files.map((file, index) => [file, index]));
  const maySettleEarly = watch.leastLists < watch.lists.length;
  return [...groups]
    .flatMap(([key, lists]) =>
      setsOf(key, lists, watch.split ?? ' ', maySettleEarly ? hasRecord : () => false),
    )
    .sort((a, b) => position.get(a.keyFile)! - position.get(b.keyFile)!);
}

function groupByKey(watch: Pick<WatchDefinition, 'fileset' | 'lists'>, files: readonly ObservedFile[]) {
  const groups = new Map<string, ObservedFile[][]>();
  for (const file of files) {
    for (const list of file.selection.lists) {
      const key = joinKey(watch.fileset, file, list);
      if (key === undefined) continue;
      let lists = groups.get(key);
      if (lists === undefined) groups.set(key, (lists = watch.lists.map(() => [])));
      lists[list]!.push(file);
    }
  }
  return groups;
}

function setsOf(
  key: string,
  lists: readonly (readonly ObservedFile[])[],
  separator: string,
  hasRecord: (path: string) => boolean,
): Fileset[] {
  const missing = lists.flatMap((list, index) => (list.length === 0 ? [index] : []));
  const name = key.split('\u0000').join(separator);
  const [first, ...rest] = lists;
  const isOpen = !first!.some((file) => hasRecord(file.path));
  const earlier = isOpen
    ? rest.map((list) => list[0]).find((file) => file && hasRecord(file.path))
    : undefined;
  if (earlier !== undefined) return [{ keyFile: earlier, members: lists, missing, key: name }];
  if (first!.length > 0)
    return first!.map((file) => ({ keyFile: file, members: [[file], ...rest], missing, key: name }));
  return [{ keyFile: rest.find((list) => list.length > 0)![0]!, members: lists, missing, key: name }];
}

/** undefined when the file cannot be joined; parts are separated by NUL, which no name contains. */
function joinKey(fileset: WatchDefinition['fileset'], file: ObservedFile, list: number): string | undefined {
  if (fileset === undefined) return undefined;
  if (typeof fileset === 'number') {
    const parts = file.selection.parts.slice(0, fileset);
    return parts.length < fileset ? undefined : parts.join('\u0000');
  }
  const captures = file.selection.capturesByList.get(list) ?? {};
  const values = fileset.map((name) => captures[name]);
  return values.includes(undefined) ? undefined : values.join('\u0000');
}
