import micromatch from 'micromatch';
import type { FileList, WatchDefinition } from '../config/schema.js';
import { bytesToText, startsWith } from '../lib/text.js';
import type { NameReader } from './name-table.js';

/** Which lists a name belongs to, and what it brings for placeholders and filesets. */
export interface Selection {
  /** indexes of the lists it belongs to, ascending; empty: no data for this watch */
  readonly lists: readonly number[];
  /** named captures of the pattern of the first list it belongs to */
  readonly captures: Readonly<Record<string, string>>;
  /** captures a list, for joining filesets on captures */
  readonly capturesByList: ReadonlyMap<number, Readonly<Record<string, string>>>;
  /** parts of the file name: split, or the whole name */
  readonly parts: readonly string[];
  /** the rule that keeps it out, for `explain` */
  readonly rejectedBy?: { readonly rule: string; readonly detail: string };
}

/** Decides by the name alone. `path` is relative to the watched path, as text. */
export interface Selector {
  (path: string): Selection;
  /** Whether it belongs to a list: the same, of bytes, and nothing more. */
  isData(bytes: string): boolean;
  /** The same for a name that is not hidden, of a folder that is watched, without a string; not for every watch. */
  readonly isPlainData: NameReader<boolean> | undefined;
}

type ListMatcher = (path: string) => Readonly<Record<string, string>> | undefined;

/** Compiles the name rules of a watch: the one matcher of the watcher, `explain` and cleanup. */
export function compileSelector(watch: WatchDefinition): Selector {
  const lists = watch.lists.map((list) => compileList(list, watch.recursive));
  const excludes = watch.exclude.map((glob) => ({ glob, matches: compileGlob(glob, watch.recursive) }));
  const describeLists = watch.lists
    .map((list) => [list.glob, list.pattern].filter((x) => x !== undefined).join(' & '))
    .join(', ');
  const isData = (bytes: string): boolean => {
    if (isHidden(bytes)) return false;
    const path = bytesToText(bytes);
    return (
      !excludes.some((exclude) => exclude.matches(path)) && lists.some((list) => list(path) !== undefined)
    );
  };
  const select = (path: string): Selection => {
    const name = baseName(path);
    const parts = watch.split === undefined ? [name] : name.split(watch.split);
    const reject = (rule: string, detail: string): Selection => ({
      ...nothing,
      parts,
      rejectedBy: { rule, detail },
    });
    if (isHidden(path)) return reject('hidden', 'hidden files are never data');
    const excluded = excludes.find((exclude) => exclude.matches(path));
    if (excluded !== undefined) return reject('exclude', `matches ${excluded.glob}`);
    const capturesByList = new Map<number, Readonly<Record<string, string>>>();
    lists.forEach((match, index) => {
      const captures = match(path);
      if (captures !== undefined) capturesByList.set(index, captures);
    });
    const members = [...capturesByList.keys()];
    if (members.length === 0) return reject('glob', `matches none of ${describeLists}`);
    return { lists: members, captures: capturesByList.get(members[0]!)!, capturesByList, parts };
  };
  return Object.assign(select, { isData, isPlainData: plainMatcher(watch) });
}

/** Globs with one star, or none, of plain characters: of these a million names are matched in no time. */
function plainMatcher({ lists, exclude }: WatchDefinition): NameReader<boolean> | undefined {
  const globs = lists.map(({ glob, pattern }) =>
    pattern === undefined ? /^([\w.-]*)(\*?)([\w.-]*)$/.exec(glob ?? '*') : null,
  );
  if (exclude.length > 0 || globs.includes(null)) return undefined;
  const tests = globs.map((glob) => {
    const [, before, star, after] = glob as unknown as [string, string, string, string];
    return plainTest(Buffer.from(before), star === '*', Buffer.from(after));
  });
  return (bytes, from, to) => tests.some((test) => test(bytes, from, to));
}

function plainTest(before: Buffer, hasStar: boolean, after: Buffer): NameReader<boolean> {
  const least = before.length + after.length;
  return (bytes, from, to) =>
    (hasStar ? to - from >= least : to - from === least) &&
    startsWith(bytes, from, before) &&
    startsWith(bytes, to - after.length, after);
}

const nothing = { lists: [], captures: {}, capturesByList: new Map(), parts: [] } as const;

export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
export const folderOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), 0));
const isHidden = (path: string): boolean => path.startsWith('.') || path.includes('/.');

function compileList(list: FileList, recursive: boolean): ListMatcher {
  const glob = list.glob === undefined ? () => true : compileGlob(list.glob, recursive);
  const pattern = list.pattern === undefined ? undefined : new RegExp(list.pattern, 'u');
  return (path) => {
    if (!glob(path)) return undefined;
    if (pattern === undefined) return {};
    const found = pattern.exec(recursive && list.pattern!.includes('/') ? path : baseName(path));
    return found === null ? undefined : definedOnly(found.groups ?? {});
  };
}

function definedOnly(groups: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(groups).filter((e): e is [string, string] => e[1] !== undefined));
}

/** A glob without a slash matches the name in any folder, as in .gitignore. `s`: a newline in a name is a character. */
function compileGlob(glob: string, recursive: boolean): (path: string) => boolean {
  // posix: `[!x]` as in the shell. The published types do not know all of them.
  const options = { nonegate: true, posix: true, flags: 's' } as object as micromatch.Options;
  const matches = matcher(glob, options);
  const wholePath = recursive && glob.includes('/');
  return (path) => matches(wholePath ? path : baseName(path));
}

/** `?` is one character, also one of two UTF-16 units; a pattern that is no regular expression in that mode goes without. */
function matcher(glob: string, options: micromatch.Options): (name: string) => boolean {
  const source = micromatch.makeRe(glob, options);
  try {
    const regex = new RegExp(source.source, 'su');
    return (name) => name === glob || regex.test(name);
  } catch {
    return micromatch.matcher(glob, options);
  }
}
