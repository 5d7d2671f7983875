import { setImmediate as nextTurn } from 'node:timers/promises';
import type { WatchDefinition } from '../config/schema.js';
import { hasCode } from '../lib/errors.js';
import { bytesToText, textToBytes } from '../lib/text.js';
import { hasReliableMtime, isLink, listFolder, look } from './folder-scan.js';
import { FileTable, parent, update, type Seen } from './file-table.js';
import type { Finished, ObservedFile } from './observation.js';
import type { RecordStore } from './record-store.js';
import type { Selection, Selector } from './select.js';

interface Folder {
  readonly bytes: string;
  mtimeNs: bigint;
  inode: bigint;
  /** its mtime was older than this by far when it was listed: an equal one means an equal listing */
  trusted: boolean;
}

interface Listed {
  readonly subfolders: string[];
  /** false when a name could not be looked at (a dangling link, no permission): it is tried again at every scan */
  readonly complete: boolean;
}

export interface ObserverEvents {
  /** a path cannot be looked at; reported again only after it was fine in between */
  trouble(path: string, error: unknown): void;
  recovered(path: string): void;
  /** a folder is there and wants a kernel watch */
  folderFound(folder: string, path: string): void;
  folderGone(folder: string): void;
}

/** A change this close to the listing may have happened after it within the clock's granularity. */
const MTIME_GRANULARITY_MS = 2000;
const QUIET_MS = 1000;
/** the event loop is let go this often */
const SLICE_MS = 5;

/**
 * Keeps what is in the watched directory: full scans are the truth, single looks follow hints. Knows nothing of jobs.
 */
export class Observer {
  readonly #files: FileTable;
  readonly #folders = new Map<string, Folder>();
  readonly #troubled = new Set<string>();
  readonly #root: string;
  #scan = 0;
  #gone: string[] = [];
  /** ms since the epoch */
  #impatientUntil = 0;
  /** whether the root was there at the last scan */
  rootPresent = false;

  constructor(
    private readonly watch: WatchDefinition,
    private readonly select: Selector,
    private readonly store: RecordStore,
    private readonly events: ObserverEvents,
  ) {
    this.#root = textToBytes(watch.path!);
    this.#files = new FileTable(watch.reverse);
  }

  /** All files that belong to a list, in the order of the watch. */
  files(): readonly ObservedFile[] {
    return this.#files.inOrder();
  }

  get(path: string): ObservedFile | undefined {
    return this.#files.get(textToBytes(path));
  }

  folders(): IterableIterator<string> {
    return this.#folders.keys();
  }

  /** A person changed the markers: files without them are not given the usual moment. */
  hurry(now: number): void {
    this.#impatientUntil = now + QUIET_MS;
    for (const seen of this.#files.all()) seen.quietUntil = 0;
  }

  /** Looks at a file once more; false when it is gone or no longer what `stat` says, which is news then. */
  isStill(file: ObservedFile, now: number): boolean {
    const seen = this.#files.get(file.bytes);
    if (seen === undefined) return false;
    const { stat } = seen;
    this.#take(file.bytes, file.path, file.selection, look(this.#full(file.bytes)), now, {
      backlog: false,
      renames: 0,
    });
    return this.#files.get(file.bytes)?.stat === stat;
  }

  /** Whether anything could not be looked at, the root included. */
  get hasTrouble(): boolean {
    return !this.rootPresent || this.#troubled.size > 0;
  }

  /** Paths that vanished since the last call, from folders that are still there. */
  takeGone(): string[] {
    const gone = this.#gone;
    this.#gone = [];
    return gone;
  }

  /** Whether anything stands under this name now, data or not. */
  exists(path: string): boolean {
    return (
      this.#files.get(textToBytes(path)) !== undefined || look(this.#full(textToBytes(path))).kind !== 'gone'
    );
  }

  /** Notes that a file needs nothing more, until it or its records change (undefined: they have). */
  finish(path: string, finished: Finished | undefined): void {
    const seen = this.#files.get(textToBytes(path));
    if (seen !== undefined) seen.finished = finished;
  }

  /** The records of a replaced file are gone: it is an ordinary new file from here on. */
  forgetReplacement(path: string): void {
    const seen = this.#files.get(textToBytes(path));
    if (seen === undefined) return;
    seen.replaced = false;
    seen.overwritten = false;
  }

  /**
   * Looks at everything.
   * @param thorough stat finished files also in folders that have not changed (updated watches, no events)
   */
  async scan(now: number, thorough: boolean): Promise<void> {
    this.#scan++;
    const first = this.#scan === 1;
    const pending = [''];
    const visited = new Set<string>();
    while (pending.length > 0) {
      const folder = pending.pop()!;
      visited.add(folder);
      const subfolders = await this.#scanFolder(folder, now, { first, thorough });
      if (this.watch.recursive) pending.push(...subfolders);
    }
    for (const folder of this.#folders.keys()) if (!visited.has(folder)) this.#dropFolder(folder);
  }

  /** Follows a hint about one name: it brought nothing new, a change, or the need to scan whole folders. */
  lookAt(folder: string, name: string, renames: number, now: number): 'same' | 'changed' | 'scan' {
    const bytes = folder === '' ? name : `${folder}/${name}`;
    if (name.startsWith('.')) return this.#lookAtHidden(folder, name, bytes, now);
    const path = bytesToText(bytes);
    const selection = this.#files.get(bytes)?.selection ?? this.select(path);
    if (selection.lists.length === 0 && !this.watch.recursive) return 'same';
    const looked = look(this.#full(bytes));
    if (looked.kind === 'directory' && this.watch.recursive && (renames > 0 || !this.#folders.has(bytes)))
      return 'scan';
    if (looked.kind === 'gone' && this.#folders.has(bytes)) return 'scan';
    return this.#take(bytes, path, selection, looked, now, { backlog: false, renames }) ? 'changed' : 'same';
  }

  #lookAtHidden(folder: string, name: string, bytes: string, now: number): 'same' | 'changed' {
    if (!name.startsWith('._')) return 'same';
    const ref = this.store.noticed(bytesToText(folder), name, look(this.#full(bytes)).kind !== 'gone');
    if (ref === undefined) return 'same';
    if (ref.path === undefined) this.#unfinish(folder);
    else this.#recordChanged(ref.path, now);
    return 'changed';
  }

  /** Whoever removes a directory takes markers and files in any order: a file without its marker is given a moment. */
  #recordChanged(path: string, now: number): void {
    const seen = this.#files.get(textToBytes(path));
    if (seen === undefined) return;
    seen.finished = undefined;
    if (now < this.#impatientUntil) return;
    seen.quietUntil = now + QUIET_MS;
  }

  async #scanFolder(
    folder: string,
    now: number,
    options: { first: boolean; thorough: boolean },
  ): Promise<string[]> {
    const full = this.#full(folder);
    const here = look(full);
    if (here.kind === 'error') return this.#troubledFolder(folder, here.error);
    if (here.kind !== 'directory') return this.#missingFolder(folder, here.kind);
    if (folder === '') this.rootPresent = true;
    const known = this.#folders.get(folder);
    if (known !== undefined && known.inode !== here.stat.inode) this.events.folderGone(folder);
    // the kernel watch comes before the listing, so that nothing falls between them
    this.events.folderFound(folder, full);
    if (known?.trusted && known.inode === here.stat.inode && known.mtimeNs === here.stat.mtimeNs) {
      this.#lookAgain(folder, now, options.thorough);
      return this.#subfoldersOf(folder);
    }
    const listed = await this.#list(folder, full, now, options);
    if (listed === undefined) return [];
    this.#recover(bytesToText(folder));
    const age = now - Number(here.stat.mtimeNs / 1_000_000n);
    const trusted = listed.complete && age > MTIME_GRANULARITY_MS && hasReliableMtime(full);
    this.#folders.set(folder, { bytes: folder, mtimeNs: here.stat.mtimeNs, inode: here.stat.inode, trusted });
    return listed.subfolders;
  }

  async #list(
    folder: string,
    full: string,
    now: number,
    options: { first: boolean },
  ): Promise<Listed | undefined> {
    const hidden: string[] = [];
    const names: string[] = [];
    try {
      await listFolder(full, (name) => {
        if (!name.startsWith('.')) names.push(name);
        else if (name.startsWith('._')) hidden.push(name);
      });
    } catch (error) {
      this.#troubledFolder(folder, error);
      return undefined;
    }
    const vanished = this.store.refresh(bytesToText(folder), hidden);
    if (vanished !== undefined) this.#unfinish(folder);
    for (const path of vanished ?? []) this.#recordChanged(path, now);
    const listed = await this.#takeNames(folder, names, now, options);
    this.#forgetUnseen(folder);
    return listed;
  }

  /** Records changed behind our back: what was concluded from them is open again. */
  #unfinish(folder: string): void {
    for (const seen of this.#files.inFolder(folder)) seen.finished = undefined;
  }

  async #takeNames(
    folder: string,
    names: readonly string[],
    now: number,
    options: { first: boolean },
  ): Promise<Listed> {
    let sliceEnd = performance.now() + SLICE_MS;
    const subfolders: string[] = [];
    let complete = true;
    for (const name of names) {
      const bytes = folder === '' ? name : `${folder}/${name}`;
      const before = this.#files.get(bytes);
      const path = bytesToText(bytes);
      const selection = before?.selection ?? this.select(path);
      if (selection.lists.length === 0 && !this.watch.recursive) continue;
      const looked = look(this.#full(bytes));
      if (looked.kind === 'directory' && this.watch.recursive && !isLink(this.#full(bytes)))
        subfolders.push(bytes);
      if (looked.kind === 'gone' || looked.kind === 'error') complete = false;
      this.#take(bytes, path, selection, looked, now, { backlog: options.first, renames: 0 });
      if (performance.now() < sliceEnd) continue;
      await nextTurn();
      sliceEnd = performance.now() + SLICE_MS;
    }
    return { subfolders, complete };
  }

  /** The listing is unchanged: only contents may have changed. */
  #lookAgain(folder: string, now: number, thorough: boolean): void {
    for (const seen of this.#files.inFolder(folder)) {
      if (thorough || seen.finished === undefined)
        this.#take(seen.bytes, seen.path, seen.selection, look(this.#full(seen.bytes)), now, {
          backlog: false,
          renames: 0,
        });
      seen.scan = this.#scan;
    }
  }

  /** Takes what a look found; true when it is news. */
  #take(
    bytes: string,
    path: string,
    selection: Selection,
    looked: ReturnType<typeof look>,
    now: number,
    how: { backlog: boolean; renames: number },
  ): boolean {
    if (looked.kind === 'error') {
      const before = this.#files.get(bytes);
      if (before !== undefined) before.scan = this.#scan;
      if (selection.lists.length > 0) this.#trouble(path, looked.error);
      return false;
    }
    if (looked.kind !== this.watch.type || selection.lists.length === 0) {
      return this.#forget(bytes);
    }
    this.#recover(path);
    const before = this.#files.get(bytes);
    if (before !== undefined) {
      const changed = update(before, looked.stat, now, how.renames);
      before.mode = looked.mode;
      before.scan = this.#scan;
      return changed;
    }
    const seen: Seen = {
      path,
      bytes,
      stat: looked.stat,
      mode: looked.mode,
      selection,
      observedAt: now,
      backlog: how.backlog,
      replaced: false,
      overwritten: false,
      quietUntil: 0,
      finished: undefined,
      scan: this.#scan,
    };
    this.#files.add(seen);
    return true;
  }

  /** The permission bits of a file as last seen. */
  mode(path: string): number {
    return this.#files.get(textToBytes(path))?.mode ?? 0;
  }

  #forget(bytes: string): boolean {
    const seen = this.#files.get(bytes);
    if (seen === undefined) return false;
    this.#files.delete(seen);
    this.#gone.push(seen.path);
    return true;
  }

  #forgetUnseen(folder: string): void {
    for (const seen of this.#files.inFolder(folder)) if (seen.scan !== this.#scan) this.#forget(seen.bytes);
  }

  #subfoldersOf(folder: string): string[] {
    return [...this.#folders.keys()].filter((other) => other !== '' && parent(other) === folder);
  }

  #troubledFolder(folder: string, error: unknown): [] {
    // its files are neither there nor gone: nothing is submitted, nothing is cleaned up
    if (folder === '') this.rootPresent = false;
    this.#trouble(bytesToText(folder), error);
    this.#dropFolder(folder);
    return [];
  }

  #missingFolder(folder: string, kind: string): [] {
    if (folder === '') {
      this.rootPresent = false;
      const code = kind === 'gone' ? 'ENOENT' : 'ENOTDIR';
      this.#trouble('', Object.assign(new Error(code), { code }));
    }
    this.#dropFolder(folder);
    return [];
  }

  #dropFolder(folder: string): void {
    this.#folders.delete(folder);
    this.#files.deleteFolder(folder);
    this.store.drop(bytesToText(folder));
    this.events.folderGone(folder);
  }

  #trouble(path: string, error: unknown): void {
    if (this.#troubled.has(path)) return;
    this.#troubled.add(path);
    this.events.trouble(path, error);
  }

  #recover(path: string): void {
    if (this.#troubled.size > 0 && this.#troubled.delete(path)) this.events.recovered(path);
  }

  #full = (bytes: string): string =>
    bytes === '' ? this.#root : this.#root === '/' ? `/${bytes}` : `${this.#root}/${bytes}`;
}

export const isMissing = (error: unknown): boolean => hasCode(error, 'ENOENT', 'ENOTDIR');
