import type { WatchDefinition } from '../config/schema.js';
import { hasCode } from '../lib/errors.js';
import type { FileSystem } from '../lib/file-system.js';
import { bytesToText, textToBytes } from '../lib/text.js';
import { FileTable, parent, update, type Seen } from './file-table.js';
import { look, type Looked } from './folder-scan.js';
import { kind } from './folder-table.js';
import type { FileStat, Identity } from './identity.js';
import { QuietTime } from './quiet-time.js';
import type { RecordStore } from './record-store.js';
import type { Selection, Selector } from './select.js';

export interface ViewEvents {
  /** a path cannot be looked at; reported again only after it was fine in between */
  trouble(path: string, error: unknown): void;
  recovered(path: string): void;
}

/** How a look came about. */
export interface Occasion {
  /** it is the first scan */
  readonly backlog: boolean;
  /** rename events of the name since the last look */
  readonly renames: number;
}

const byScan: Occasion = { backlog: false, renames: 0 };

/** The files of a watch as the last look at each found them; takes in what a new look finds. Paths here are bytes. */
export class View {
  readonly files: FileTable;
  readonly #troubled = new Set<string>();
  readonly #root: string;
  #gone: string[] = [];
  readonly #quiet = new QuietTime();

  constructor(
    private readonly watch: WatchDefinition,
    private readonly select: Selector,
    private readonly store: RecordStore,
    private readonly events: ViewEvents,
    private readonly fs: FileSystem,
  ) {
    this.#root = textToBytes(watch.path!);
    this.files = new FileTable(watch.reverse, (folder) => store.table(bytesToText(folder)));
  }

  full = (bytes: string): string =>
    bytes === '' ? this.#root : this.#root === '/' ? `/${bytes}` : `${this.#root}/${bytes}`;

  look = (bytes: string): Looked => look(this.full(bytes), this.fs);

  /** A file with an object; one that needs nothing more gets one. */
  get(bytes: string, now: number): Seen | undefined {
    const seen = this.files.get(bytes);
    if (seen !== undefined || !this.files.isFolded(bytes)) return seen;
    const looked = this.look(bytes);
    if (looked.kind === this.watch.type) return this.#unfold(bytes, looked.stat, looked.mode, now, 0);
    this.take(bytes, looked, now);
    return undefined;
  }

  isKnown(bytes: string): boolean {
    const known = this.files.kind(bytes);
    return known === kind.open || known >= kind.done;
  }

  /** Takes what a look found; true when it is news. */
  take(bytes: string, looked: Looked, now: number, how: Occasion = byScan): boolean {
    const path = bytesToText(bytes);
    const before = this.files.get(bytes);
    const isFolded = before === undefined && this.files.isFolded(bytes);
    const selection = before?.selection ?? (isFolded ? undefined : this.select(path));
    const isData = selection === undefined || selection.lists.length > 0;
    if (looked.kind === 'error') {
      if (isData) this.trouble(path, looked.error);
      return false;
    }
    if (looked.kind !== this.watch.type || !isData) return this.forget(bytes);
    this.recover(path);
    if (before !== undefined) {
      before.mode = looked.mode;
      return update(before, looked.stat, now, how.renames);
    }
    if (selection === undefined) return this.#takeFolded(bytes, looked.stat, looked.mode, now, how.renames);
    this.files.add(newSeen(path, bytes, looked.stat, looked.mode, selection, now, how.backlog));
    return true;
  }

  /** A look at a file that needed nothing more. */
  #takeFolded(bytes: string, stat: FileStat, mode: number, now: number, renames: number): boolean {
    const { last } = this.files.folded(bytes);
    if (last === undefined ? this.store.isUntouched(bytesToText(bytes), stat) : isSame(last.stat, stat)) {
      if (last === undefined) this.files.putStat(bytes, stat, now);
      return false;
    }
    this.#unfold(bytes, stat, mode, now, renames);
    return true;
  }

  /** What it was before, where nobody looked, its record tells. */
  #unfold(bytes: string, stat: FileStat, mode: number, now: number, renames: number): Seen {
    const path = bytesToText(bytes);
    const { backlog, last } = this.files.folded(bytes);
    const recorded = last === undefined ? this.store.identity(path) : undefined;
    const before = last?.stat ?? (recorded === undefined ? stat : statOf(recorded));
    const seen = newSeen(path, bytes, before, mode, this.select(path), last?.since ?? now, backlog);
    this.files.add(seen);
    if (last === undefined && recorded === undefined) seen.replaced = renames > 1;
    update(seen, stat, now, renames);
    return seen;
  }

  /** The name stands for no file of the watch any more. */
  forget(bytes: string): boolean {
    const seen = this.files.get(bytes);
    if (seen !== undefined) this.files.delete(seen);
    else if (this.files.isFolded(bytes)) this.files.deleteFolded(bytes);
    else return false;
    this.#gone.push(bytesToText(bytes));
    return true;
  }

  /** Paths that vanished since the last call. */
  takeGone(): string[] {
    const gone = this.#gone;
    this.#gone = [];
    return gone;
  }

  /** Records changed behind our back: what was concluded from them is open again. */
  unfinish(bytes: string, now: number): Seen | undefined {
    const seen = this.get(bytes, now);
    if (seen !== undefined) seen.finished = undefined;
    return seen;
  }

  /** Whoever removes a directory takes markers and files in any order: a file without its marker is given a moment. */
  recordLost(bytes: string, now: number): void {
    const seen = this.unfinish(bytes, now);
    if (seen !== undefined) this.#quiet.begin(seen, now);
  }

  /** A person changed the markers: files without them are not given the usual moment. */
  hurry(now: number): void {
    this.#quiet.end(now);
  }

  get hasTrouble(): boolean {
    return this.#troubled.size > 0;
  }

  trouble(path: string, error: unknown): void {
    if (this.#troubled.has(path)) return;
    this.#troubled.add(path);
    this.events.trouble(path, error);
  }

  recover(path: string): void {
    if (this.#troubled.size > 0 && this.#troubled.delete(path)) this.events.recovered(path);
  }
}

export const join = (folder: string, name: string): string => (folder === '' ? name : `${folder}/${name}`);

export const foldersAbove = (bytes: string): string[] => {
  const folders: string[] = [];
  for (let folder = parent(bytes); folder !== ''; folder = parent(folder)) folders.push(folder);
  return folders;
};

const newSeen = (
  path: string,
  bytes: string,
  stat: FileStat,
  mode: number,
  selection: Selection,
  observedAt: number,
  backlog: boolean,
): Seen => ({
  path,
  bytes,
  stat,
  mode,
  selection,
  observedAt,
  backlog,
  replaced: false,
  overwritten: false,
  quietUntil: 0,
  finished: undefined,
});

const isSame = (a: FileStat, b: FileStat): boolean =>
  a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.size === b.size && a.inode === b.inode;

/** No record tells the time of change: it differs from any. */
const statOf = (identity: Identity): FileStat => ({
  mtimeNs: BigInt(identity.mtime_ns),
  ctimeNs: 0n,
  birthNs: BigInt(identity.birth_ns),
  size: identity.size,
  inode: BigInt(identity.inode),
});

export const isMissing = (error: unknown): boolean => hasCode(error, 'ENOENT', 'ENOTDIR');
