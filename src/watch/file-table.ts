import { FolderTable, kind, type How, type Kind } from './folder-table.js';
import { identityOf, isOtherFile, type FileStat } from './identity.js';
import type { Finished, ObservedFile } from './observation.js';
import { baseName, type Selection } from './select.js';

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
}

/** A file that needed nothing more, as it was when it was last looked at. */
export interface Folded {
  readonly backlog: boolean;
  /** undefined: only its records were looked at */
  readonly last: { readonly stat: FileStat; readonly since: number } | undefined;
}

/**
 * The files an observer knows: by name, by folder, and in the order of the watch. Names are bytes. Those that need
 * nothing more can be *folded* into the table of their folder: there they have no object, and no place in the order.
 */
export class FileTable {
  readonly #seen = new Map<string, Seen>();
  /** the same by folder, so that a look at a folder costs what is in it */
  readonly #byFolder = new Map<string, Set<Seen>>();
  #sorted: ObservedFile[] | undefined;

  /** @param tables of folders */
  constructor(
    private readonly reverse: boolean,
    private readonly tables: (folder: string) => FolderTable = ownTables(),
  ) {}

  /** Files with objects. */
  get size(): number {
    return this.#seen.size;
  }

  get(bytes: string): Seen | undefined {
    return this.#seen.get(bytes);
  }

  /** What is known to stand under a name. */
  kind(bytes: string): Kind {
    return this.tables(parent(bytes)).kindOf(baseName(bytes));
  }

  isFolded = (bytes: string): boolean => this.kind(bytes) >= kind.done;

  /** From here on a file is only counted. */
  fold(seen: Seen, how: How): void {
    const table = this.tables(parent(seen.bytes));
    this.#remove(seen);
    const id = table.names.intern(baseName(seen.bytes));
    table.fold(id, how, seen.backlog);
    table.putStat(id, seen.stat, seen.observedAt);
  }

  /** What was kept of a folded file. `add` makes an object of it again. */
  folded(bytes: string): Folded {
    const table = this.tables(parent(bytes));
    const id = table.names.find(baseName(bytes));
    return { backlog: table.isBacklog(id), last: table.stat(id) };
  }

  /** Somebody looked at a folded file, which is what it should be. */
  putStat(bytes: string, stat: FileStat, now: number): void {
    const table = this.tables(parent(bytes));
    table.putStat(table.names.find(baseName(bytes)), stat, now);
  }

  /** A folded file is gone. */
  deleteFolded(bytes: string): void {
    const table = this.tables(parent(bytes));
    const id = table.names.find(baseName(bytes));
    table.setKind(id, kind.none);
    table.tidy(id);
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
    const table = this.tables(parent(seen.bytes));
    table.setKind(table.names.intern(baseName(seen.bytes)), kind.open);
  }

  delete(seen: Seen): void {
    this.#remove(seen);
    const table = this.tables(parent(seen.bytes));
    const id = table.names.find(baseName(seen.bytes));
    if (table.kind(id) !== kind.open) return;
    table.setKind(id, kind.none);
    table.tidy(id);
  }

  #remove(seen: Seen): void {
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
 * on a name that was there: another file was renamed over it, unless a second event follows that brings no other file:
 * then the first look had come after the drop already, though only the removal was heard of.
 */
export function update(seen: Seen, stat: FileStat, now: number, renames: number): boolean {
  const { stat: old } = seen;
  const same =
    old.mtimeNs === stat.mtimeNs &&
    old.ctimeNs === stat.ctimeNs &&
    old.size === stat.size &&
    old.inode === stat.inode;
  const isRest = renames > 0 && seen.overwritten && isSameObject(old, stat);
  if (same && !isRest) return false;
  const wasAway =
    renames >= 2 &&
    (old.inode !== stat.inode || old.birthNs !== stat.birthNs || old.mtimeNs !== stat.mtimeNs);
  const isOther = isOtherFile(identityOf(old), identityOf(stat));
  if (isRest) {
    seen.overwritten = false;
    seen.replaced = true;
  } else if (renames === 1 && isOther) seen.overwritten = true;
  else if (wasAway || isOther) seen.replaced = true;
  seen.stat = stat;
  seen.observedAt = now;
  seen.finished = undefined;
  return true;
}

const isSameObject = (a: FileStat, b: FileStat): boolean => a.inode === b.inode && a.birthNs === b.birthNs;

function ownTables(): (folder: string) => FolderTable {
  const tables = new Map<string, FolderTable>();
  return (folder) => {
    let table = tables.get(folder);
    if (table === undefined) tables.set(folder, (table = new FolderTable()));
    return table;
  };
}

export const parent = (bytes: string): string => bytes.slice(0, Math.max(bytes.lastIndexOf('/'), 0));
const ascending = (a: ObservedFile, b: ObservedFile): number => (a.bytes < b.bytes ? -1 : 1);
const descending = (a: ObservedFile, b: ObservedFile): number => (a.bytes < b.bytes ? 1 : -1);
