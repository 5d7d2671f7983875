import type { WatchDefinition } from '../config/schema.js';
import { realFileSystem, type FileSystem } from '../lib/file-system.js';
import { bytesToText, textToBytes } from '../lib/text.js';
import { parent } from './file-table.js';
import { FoldKeeper } from './fold-keeper.js';
import { FolderListing, type Listed } from './folder-listing.js';
import { isOnLocalFileSystem, isLarge, isLink, listFolder, look } from './folder-scan.js';
import { kind, noneFolded, type Counts, type FolderTable } from './folder-table.js';
import { foldRules, type FoldRules } from './folding.js';
import type { Finished, ObservedFile } from './observation.js';
import { atPace, Pace } from './pace.js';
import { Patrol } from './patrol.js';
import type { RecordStore } from './record-store.js';
import type { Selector } from './select.js';
import { foldersAbove, join, View, type ViewEvents } from './view.js';

interface Folder {
  mtimeNs: bigint;
  inode: bigint;
  /** its mtime was older than this by far when it was listed: an equal one means an equal listing */
  trusted: boolean;
}

/** What one scan does. */
interface Scan {
  readonly now: number;
  readonly first: boolean;
  readonly thorough: boolean;
}

export interface ObserverEvents extends ViewEvents {
  /** a folder is there and wants a kernel watch */
  folderFound(folder: string, path: string, isLarge: boolean): void | Promise<void>;
  folderGone(folder: string): void;
}

export interface ObserverOptions {
  /** every file has an object and a place in the order: for a look at single ones from outside the service */
  readonly whole?: boolean;
  /** how many files that need nothing more a scan looks at itself; the others are looked at after it, by and by */
  readonly lookAtOnce?: number | undefined;
}

/** A change this close to the listing may have happened after it within the clock's granularity. */
const MTIME_GRANULARITY_MS = 2000;
const LOOK_AT_ONCE = 1000;
/** A directory takes about so many bytes for a file and its marker, where its size says anything. */
const BYTES_PER_NAME = 80;
const MOST_EXPECTED = 4_000_000;

/**
 * Keeps what is in the watched directory: full scans are the truth, single looks follow hints. Knows nothing of jobs.
 * Files that need nothing more are folded away (file-table.ts) and only counted.
 */
export class Observer {
  readonly #view: View;
  readonly #folders = new Map<string, Folder>();
  /** folders whose events were not heard once, and may not be again: their files are looked at at every scan */
  readonly #deaf = new Set<string>();
  readonly #rules: FoldRules | undefined;
  readonly #keeper: FoldKeeper | undefined;
  readonly #patrol: Patrol;
  readonly #lookAtOnce: number;
  #scans = 0;
  /** ms since the epoch, of the last scan or hint */
  #now = 0;
  /** whether the root was there at the last scan */
  rootPresent = false;

  constructor(
    private readonly watch: WatchDefinition,
    private readonly select: Selector,
    private readonly store: RecordStore,
    private readonly events: ObserverEvents,
    private readonly fs: FileSystem = realFileSystem,
    { whole = false, lookAtOnce = LOOK_AT_ONCE }: ObserverOptions = {},
  ) {
    this.#view = new View(watch, select, store, events, fs);
    this.#lookAtOnce = lookAtOnce;
    this.#patrol = new Patrol(this.#table, (folder, id) => this.#lookAtFolded(folder, id));
    this.#rules = whole ? undefined : foldRules(watch);
    if (this.#rules !== undefined)
      this.#keeper = new FoldKeeper(
        this.#rules,
        watch.reverse,
        this.#view.files,
        (bytes) => isLink(this.#view.full(bytes), fs),
        (seen) => store.forget(seen.path),
      );
  }

  /** All files that belong to a list, in the order of the watch, but for those that are only counted. */
  files(): readonly ObservedFile[] {
    this.#keeper?.fold(this.#foldedCount);
    // once: what cannot be looked at now stays as it is
    if (this.#isHeadShort) for (const _ of this.#unfoldFirst()) continue;
    return this.#view.files.inOrder();
  }

  /** Files that need nothing more and are not among `files`. */
  get folded(): Readonly<Counts> {
    return this.rootPresent ? this.store.folded : noneFolded();
  }

  /** How many files there are in all. */
  get count(): number {
    return this.#view.files.size + this.#foldedCount;
  }

  get #foldedCount(): number {
    const { done, failed, killed, nothing } = this.store.folded;
    return done + failed + killed + nothing;
  }

  get(path: string): ObservedFile | undefined {
    return this.#view.get(textToBytes(path), this.#now);
  }

  folders(): IterableIterator<string> {
    return this.#folders.keys();
  }

  /** A person changed the markers: files without them are not given the usual moment. */
  hurry(now: number): void {
    this.#view.hurry(now);
  }

  /** Events of a folder are not heard any more. */
  distrust(folder: string): void {
    this.#deaf.add(folder);
  }

  /** Looks at a file once more; false when it is gone or no longer what `stat` says, which is news then. */
  isStill({ bytes }: ObservedFile, now: number): boolean {
    const stat = this.#view.files.get(bytes)?.stat;
    if (stat === undefined) return false;
    this.#view.take(bytes, this.#view.look(bytes), now);
    return this.#view.files.get(bytes)?.stat === stat;
  }

  /** Whether anything could not be looked at, the root included. */
  get hasTrouble(): boolean {
    return !this.rootPresent || this.#view.hasTrouble;
  }

  /** Paths that vanished since the last call, from folders that are still there. */
  takeGone(): string[] {
    return this.#view.takeGone();
  }

  /** Whether anything stands under this name now, data or not. */
  exists(path: string): boolean {
    const bytes = textToBytes(path);
    return this.#view.isKnown(bytes) || this.#view.look(bytes).kind !== 'gone';
  }

  /** Whether the folder of a file is still one below the root. One that was replaced by a link leads out of the watch. */
  isInside(path: string): boolean {
    return !foldersAbove(textToBytes(path)).some((folder) => isLink(this.#view.full(folder), this.fs));
  }

  /** Notes that a file needs nothing more, until it or its records change (undefined: they have). */
  finish(path: string, finished: Finished | undefined): void {
    const bytes = textToBytes(path);
    const seen = finished === undefined ? this.#view.unfinish(bytes, this.#now) : this.#view.files.get(bytes);
    if (seen === undefined) return;
    seen.finished = finished;
    if (finished !== undefined) this.#keeper?.finish(seen);
  }

  /** The records of a replaced file are gone: it is an ordinary new file from here on. */
  forgetReplacement(path: string): void {
    const seen = this.#view.files.get(textToBytes(path));
    if (seen === undefined) return;
    seen.replaced = false;
    seen.overwritten = false;
  }

  /** The permission bits of a file as last seen. */
  mode(path: string): number {
    return this.#view.files.get(textToBytes(path))?.mode ?? 0;
  }

  /**
   * Looks at everything, or has it looked at soon: see `patrol`.
   * @param thorough stat finished files also in folders that have not changed (updated watches, no events)
   */
  async scan(now: number, thorough: boolean): Promise<void> {
    this.#now = now;
    this.#scans++;
    const scan: Scan = { now, first: this.#scans === 1, thorough };
    const pending = [''];
    const visited = new Set<string>();
    while (pending.length > 0) {
      const folder = pending.pop()!;
      visited.add(folder);
      const subfolders = await this.#scanFolder(folder, scan);
      if (this.watch.recursive) pending.push(...subfolders);
    }
    for (const folder of this.#folders.keys()) if (!visited.has(folder)) this.#dropFolder(folder);
    const pace = new Pace();
    if (this.#isHeadShort) await atPace(this.#unfoldFirst(), pace);
    for (let left = this.#lookAtOnce; left > 0 && this.isPatrolling; left -= 100) {
      this.patrol(now, Math.min(left, 100));
      await pace.keep();
    }
  }

  /** Whether files that need nothing more are still to be looked at: they may have become others, unseen. */
  get isPatrolling(): boolean {
    return this.#patrol.isDue;
  }

  /** Looks at some of them. @returns whether that brought news */
  patrol(now: number, most = Infinity): boolean {
    this.#now = now;
    const pace = new Pace();
    return this.#patrol.walk(most, () => pace.isOver);
  }

  /** Follows a hint about one name: it brought nothing new, a change, or the need to scan whole folders. */
  lookAt(folder: string, name: string, renames: number, now: number): 'same' | 'changed' | 'scan' {
    this.#now = now;
    const bytes = join(folder, name);
    if (name.startsWith('.')) return this.#lookAtHidden(folder, name, bytes, now);
    if (!this.watch.recursive && !this.#view.isKnown(bytes) && !this.select.isData(bytes)) return 'same';
    const looked = this.#view.look(bytes);
    if (looked.kind === 'directory' && this.watch.recursive && (renames > 0 || !this.#folders.has(bytes)))
      return 'scan';
    if (looked.kind === 'gone' && this.#folders.has(bytes)) return 'scan';
    return this.#view.take(bytes, looked, now, { backlog: false, renames }) ? 'changed' : 'same';
  }

  #lookAtHidden(folder: string, name: string, bytes: string, now: number): 'same' | 'changed' {
    if (!name.startsWith('._')) return 'same';
    const ref = this.store.noticed(bytesToText(folder), name, this.#view.look(bytes).kind !== 'gone');
    if (ref === undefined) return 'same';
    if (ref.path === undefined) this.#unfinish(folder);
    else this.#view.recordLost(textToBytes(ref.path), now);
    return 'changed';
  }

  async #scanFolder(folder: string, scan: Scan): Promise<string[]> {
    const full = this.#view.full(folder);
    const here = look(full, this.fs);
    if (here.kind === 'error') return this.#troubledFolder(folder, here.error);
    if (here.kind !== 'directory') return this.#missingFolder(folder, here.kind);
    if (folder === '') this.rootPresent = true;
    const known = this.#folders.get(folder);
    const isSame = known !== undefined && known.inode === here.stat.inode;
    if (known !== undefined && !isSame) this.events.folderGone(folder);
    // the kernel watch comes before the listing, so that nothing falls between them
    await this.events.folderFound(folder, full, isLarge(here.stat.size));
    const isLocal = isOnLocalFileSystem(full, this.fs);
    if (!isSame || scan.thorough || !isLocal || this.#deaf.has(folder)) this.#patrol.want(folder);
    if (known?.trusted && isSame && known.mtimeNs === here.stat.mtimeNs) {
      await this.#lookAgain(folder, scan);
      return this.#subfoldersOf(folder);
    }
    const listing = this.#listing(folder, scan, here.stat.size);
    let listed: Listed;
    try {
      listed = await listFolder(full, listing, this.fs, !isLocal || isLarge(here.stat.size));
    } catch (error) {
      return this.#troubledFolder(folder, error);
    }
    const complete = await this.#takeListed(folder, listed, scan);
    this.#view.recover(bytesToText(folder));
    const age = scan.now - Number(here.stat.mtimeNs / 1_000_000n);
    const trusted = complete && age > MTIME_GRANULARITY_MS && isLocal;
    this.#folders.set(folder, { mtimeNs: here.stat.mtimeNs, inode: here.stat.inode, trusted });
    return listed.subfolders.map((name) => join(folder, name));
  }

  #listing(folder: string, { first }: Scan, size: number): FolderListing {
    const rules = this.#rules;
    // behind the head only the first listing is followed by a search for it
    const byName = rules?.byName === true && (rules.head === 0 || first);
    if (byName) this.#keeper?.loseBound();
    return new FolderListing(
      bytesToText(folder),
      this.store,
      {
        isData:
          this.select.isPlainData ??
          ((bytes, from, to) => this.select.isData(join(folder, bytes.toString('latin1', from, to)))),
        type: this.watch.type,
        isRecursive: this.watch.recursive,
        fold: byName ? { ...rules, isBacklog: first } : undefined,
      },
      Math.min(Math.floor(size / BYTES_PER_NAME), MOST_EXPECTED),
    );
  }

  /** @returns whether every name could be looked at (no dangling link, no missing permission); else they are tried at every scan */
  async #takeListed(folder: string, listed: Listed, { now, first }: Scan): Promise<boolean> {
    const pace = new Pace();
    for (const name of listed.gone) this.#view.forget(join(folder, name));
    this.#relist(folder, listed, now);
    const table = this.#table(folder);
    const known = [...this.#view.files.inFolder(folder)].map((seen) => seen.bytes);
    let complete = true;
    const take = async (bytes: string): Promise<void> => {
      const looked = this.#view.look(bytes);
      if (looked.kind === 'gone' || looked.kind === 'error') complete = false;
      this.#view.take(bytes, looked, now, { backlog: first, renames: 0 });
      await pace.keep();
    };
    for (const bytes of known) await take(bytes);
    for (const id of listed.fresh) {
      await take(join(folder, table.names.name(id)));
      if (table.kind(id) === kind.fresh) table.setKind(id, kind.none);
      table.tidy(id);
    }
    for (const name of listed.unsure) {
      const bytes = join(folder, name);
      const looked = this.#view.look(bytes);
      if (looked.kind === 'gone' || looked.kind === 'error') complete = false;
      if (looked.kind === 'directory' && !isLink(this.#view.full(bytes), this.fs))
        listed.subfolders.push(name);
      await pace.keep();
    }
    return complete;
  }

  /** Records of a folder are others than before. */
  #relist(folder: string, { changed, lost }: Listed, now: number): void {
    if (changed.length > 0) this.#unfinish(folder);
    const paths = (names: readonly string[]): string[] =>
      names.flatMap((name) => this.store.relisted(bytesToText(folder), name) ?? []);
    for (const path of paths(changed)) this.#view.unfinish(textToBytes(path), now);
    for (const path of paths(lost)) this.#view.recordLost(textToBytes(path), now);
  }

  /** Records changed behind our back: what was concluded from them is open again. */
  #unfinish(folder: string): void {
    for (const seen of this.#view.files.inFolder(folder)) seen.finished = undefined;
  }

  /** The listing is unchanged: only contents may have changed. */
  async #lookAgain(folder: string, { now, thorough }: Scan): Promise<void> {
    const pace = new Pace();
    for (const { bytes, finished } of this.#view.files.inFolder(folder)) {
      if (!thorough && finished !== undefined) continue;
      this.#view.take(bytes, this.#view.look(bytes), now);
      await pace.keep();
    }
  }

  /** One of the rounds. A name that was never looked at and is no file is none of ours. */
  #lookAtFolded(folder: string, id: number): boolean {
    const bytes = join(folder, this.#table(folder).names.name(id));
    const looked = this.#view.look(bytes);
    const isFile = looked.kind === this.watch.type || looked.kind === 'error';
    if (isFile || this.#table(folder).stat(id) !== undefined)
      return this.#view.take(bytes, looked, this.#now);
    this.#view.files.deleteFolded(bytes);
    return true;
  }

  get #isHeadShort(): boolean {
    return this.#keeper?.isHeadShort(this.#foldedCount) === true;
  }

  *#unfoldFirst(): Generator<undefined, void> {
    const tables = [...this.#folders.keys()].map((folder) => [folder, this.#table(folder)] as const);
    const first = yield* this.#keeper!.first(tables);
    for (const bytes of first) this.#view.get(bytes, this.#now);
  }

  #table = (folder: string): FolderTable => this.store.table(bytesToText(folder));

  #subfoldersOf(folder: string): string[] {
    return [...this.#folders.keys()].filter((other) => other !== '' && parent(other) === folder);
  }

  #troubledFolder(folder: string, error: unknown): [] {
    // its files are neither there nor gone: nothing is submitted, nothing is cleaned up
    if (folder === '') this.rootPresent = false;
    this.#view.trouble(bytesToText(folder), error);
    this.#dropFolder(folder);
    return [];
  }

  #missingFolder(folder: string, what: string): [] {
    if (folder === '') {
      this.rootPresent = false;
      const code = what === 'gone' ? 'ENOENT' : 'ENOTDIR';
      this.#view.trouble('', Object.assign(new Error(code), { code }));
    }
    this.#dropFolder(folder);
    return [];
  }

  #dropFolder(folder: string): void {
    this.#folders.delete(folder);
    this.#patrol.drop(folder);
    this.#view.files.deleteFolder(folder);
    this.store.drop(bytesToText(folder));
    this.events.folderGone(folder);
  }
}
