import { identityOf, isOtherFile, type FileStat } from './identity.js';
import type { Finished, ObservedFile } from './observation.js';
import type { Selection } from './select.js';

/** A file as it stands in the observer; the planner sees it as ObservedFile. */
export interface Seen {
  path: string;
  bytes: string;
  stat: FileStat;
  mode: number;
  selection: Selection;
  observedAt: number;
  backlog: boolean;
  replaced: boolean;
  overwritten: boolean;
  quietUntil: number;
  /** set by the last plan: in a folder that has not changed, a rescan need not stat a finished file */
  finished: Finished | undefined;
  scan: number;
}

/** The files an observer knows: by name, by folder, and in the order of the watch. Names are bytes. */
export class FileTable {
  readonly #seen = new Map<string, Seen>();
  /** the same by folder, so that a look at a folder costs what is in it */
  readonly #byFolder = new Map<string, Set<Seen>>();
  #sorted: ObservedFile[] | undefined;

  constructor(private readonly reverse: boolean) {}

  get(bytes: string): Seen | undefined {
    return this.#seen.get(bytes);
  }

  all(): IterableIterator<Seen> {
    return this.#seen.values();
  }

  inOrder(): readonly ObservedFile[] {
    this.#sorted ??= [...this.#seen.values()].sort(this.reverse ? ascending : descending);
    return this.#sorted;
  }

  inFolder(folder: string): Set<Seen> {
    let files = this.#byFolder.get(folder);
    if (files === undefined) this.#byFolder.set(folder, (files = new Set()));
    return files;
  }

  add(seen: Seen): void {
    this.#seen.set(seen.bytes, seen);
    this.inFolder(parent(seen.bytes)).add(seen);
    this.#sorted = undefined;
  }

  delete(seen: Seen): void {
    this.#seen.delete(seen.bytes);
    this.inFolder(parent(seen.bytes)).delete(seen);
    this.#sorted = undefined;
  }

  deleteFolder(folder: string): void {
    for (const seen of this.inFolder(folder)) this.#seen.delete(seen.bytes);
    this.#byFolder.delete(folder);
    this.#sorted = undefined;
  }
}

/**
 * Two renames of one name between two looks: it was away in between, even where the inode was reused. A single one
 * on a name that was there: another file was renamed over it.
 */
export function update(seen: Seen, stat: FileStat, now: number, renames: number): boolean {
  const { stat: old } = seen;
  const same =
    old.mtimeNs === stat.mtimeNs &&
    old.ctimeNs === stat.ctimeNs &&
    old.size === stat.size &&
    old.inode === stat.inode;
  if (same) return false;
  const wasAway =
    renames >= 2 &&
    (old.inode !== stat.inode || old.birthNs !== stat.birthNs || old.mtimeNs !== stat.mtimeNs);
  const isOther = isOtherFile(identityOf(old), identityOf(stat));
  if (renames === 1 && isOther) seen.overwritten = true;
  else if (wasAway || isOther) seen.replaced = true;
  seen.stat = stat;
  seen.observedAt = now;
  seen.finished = undefined;
  return true;
}

export const parent = (bytes: string): string => bytes.slice(0, Math.max(bytes.lastIndexOf('/'), 0));
const ascending = (a: ObservedFile, b: ObservedFile): number => (a.bytes < b.bytes ? -1 : 1);
const descending = (a: ObservedFile, b: ObservedFile): number => (a.bytes < b.bytes ? 1 : -1);
