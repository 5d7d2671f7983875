import { entryEnd, entryType, nameEnd, nameStart, typeOf } from '../lib/dirents.js';
import type { WordBuffer } from '../lib/word-buffer.js';
import { kind, type FolderTable, type Kind } from './folder-table.js';
import { IdSet } from './id-set.js';
import { blockEnd, digestOf, MOST_ENTRIES, type Block } from './listing-blocks.js';
import type { NameBatch, NameReader } from './name-table.js';
import { doneBits, hasLost } from './record-bits.js';
import type { RecordStore } from './record-store.js';

/** What a listing of a folder has brought. Names are bytes, without the folder. */
export interface Listed {
  /** names to be looked at for the first time: ids of the table */
  readonly fresh: number[];
  /** files that are not there any more */
  readonly gone: string[];
  /** names whose records are others than before */
  readonly changed: string[];
  /** those of them that lost all records of a step */
  readonly lost: string[];
  readonly subfolders: string[];
  /** the listing does not say what they are */
  readonly unsure: string[];
}

/** Files whose records alone say that they need nothing more. */
export interface FoldByName {
  readonly firstStep: number;
  readonly lastStep: number;
  readonly isBacklog: boolean;
}

export interface ListingRules {
  /** whether a name belongs to a list */
  readonly isData: NameReader<boolean>;
  readonly type: 'file' | 'directory';
  /** whether subfolders are wanted */
  readonly isRecursive: boolean;
  /** undefined: every file of a list is looked at */
  readonly fold: FoldByName | undefined;
}

/** What a block has beside names of data and records. */
interface Others {
  readonly subfolders: string[];
  readonly unsure: string[];
  /** false: it is to be read at the next listing again, though it is still the same */
  isSettled: boolean;
}

/** The sweep over a table rests after so many names. */
const STRETCH = 1024;
/** The same for entries that are read: code that is not compiled yet takes 10 µs for one. */
const FEW = 128;
/** Numbers that blocks of a first listing share: at most as much is in vain. */
const SHARED = 16 * MOST_ENTRIES;
/** So many blocks make a folder a large one. */
const SINGLE_BLOCKS = 64;
/** Tags of names that are no records: those have a single bit. */
const DATA = 0;
const LINK = 3;
const DOT = 46;
const UNDERSCORE = 95;

/**
 * One listing of a folder into its table: data and records in one pass, block by block, then a sweep over all names of
 * which something may have changed. A block that is the same as at the last listing is left as it is.
 */
export class FolderListing {
  readonly #table: FolderTable;
  readonly #batch: NameBatch;
  readonly #found: Listed = { fresh: [], gone: [], changed: [], lost: [], subfolders: [], unsure: [] };
  readonly #doneBits: number;
  /** links may come to lead elsewhere without an event: they are never told by their names alone */
  readonly #links = new IdSet();
  readonly #blocks = new Map<string, Block>();
  /** of the last listing, without those that were found again */
  readonly #missing: Map<string, Block>;
  readonly #kept: Block[] = [];
  /** names of which something was heard since the last listing */
  readonly #touched: IdSet;
  /** names of which something may have changed */
  readonly #affected = new IdSet();
  /** ids and tags of the block at hand */
  readonly #placed = new Uint32Array(2 * MOST_ENTRIES);
  #placedCount = 0;
  #shared = new Uint32Array(0);
  #sharedUsed = 0;
  readonly #isFirst: boolean;

  /** @param folder as text */
  constructor(
    private readonly folder: string,
    private readonly store: Pick<RecordStore, 'table' | 'listed' | 'listOwn' | 'relisted'>,
    private readonly rules: ListingRules,
    expected = 0,
  ) {
    this.#doneBits = rules.fold === undefined ? 0 : doneBits(rules.fold.firstStep, rules.fold.lastStep);
    this.#table = store.table(folder);
    this.#isFirst = !this.#table.isListed;
    this.#table.names.reserve(expected);
    this.#batch = this.#table.names.batch((id, tag) => {
      this.#placed[this.#placedCount++] = id;
      this.#placed[this.#placedCount++] = tag;
      if (!this.#isFirst) this.#affected.add(id);
      this.#place(id, tag);
    });
    this.#missing = new Map(this.#table.blocks);
    this.#touched = this.#table.takeTouched();
  }

  /** Takes entries (dirents.ts). @returns where those begin that belong to a block whose end is still to come */
  *take(entries: WordBuffer, from: number, to: number): Generator<undefined, number> {
    let at = from;
    for (;;) {
      const end = blockEnd(entries, at, to);
      if (end === undefined) return at;
      yield* this.#takeBlock(entries, at, end);
      at = end;
    }
  }

  /** Takes the last entries, and names all that is known and may have changed. */
  *finish(entries: WordBuffer, from: number, to: number): Generator<undefined, Listed> {
    if (from < to) yield* this.#takeBlock(entries, from, to);
    this.#takeOwn();
    yield* this.#completeAffected();
    yield* this.#sweep();
    this.#table.blocks = this.#blocks;
    this.#table.isListed = true;
    return this.#found;
  }

  *#takeBlock(entries: WordBuffer, from: number, to: number): Generator<undefined, void> {
    const digest = digestOf(entries, from, to);
    const known = this.#missing.get(digest);
    if (known !== undefined && !this.#isTouched(known)) {
      this.#missing.delete(digest);
      this.#kept.push(known);
      this.#note(digest, known);
    } else yield* this.#readBlock(entries, from, to, digest);
    yield;
  }

  #note(key: string, block: Block): void {
    this.#blocks.set(key, block);
    for (const name of block.subfolders) this.#found.subfolders.push(name);
    for (const name of block.unsure) this.#found.unsure.push(name);
  }

  #isTouched({ names }: Block): boolean {
    if (this.#touched.isEmpty) return false;
    for (let i = 0; i < names.length; i += 2) if (this.#touched.has(names[i]!)) return true;
    return false;
  }

  /** What it has placed is seen, or listed: it keeps its id while the event loop is let go. */
  *#readBlock(entries: WordBuffer, from: number, to: number, digest: string): Generator<undefined, void> {
    const others: Others = { subfolders: [], unsure: [], isSettled: true };
    this.#placedCount = 0;
    for (let at = from; at < to; yield) at = this.#readFew(entries, at, to, others);
    this.#batch.flush();
    const { isSettled, ...rest } = others;
    // what is to be read again keeps its names, under a key that no digest is
    this.#note(isSettled ? digest : `${digest} again`, { names: this.#keepPlaced(), ...rest });
  }

  /** @returns where the next entry begins */
  #readFew(entries: WordBuffer, from: number, to: number, others: Others): number {
    let at = from;
    for (let count = 0; at < to && count < FEW; count++) {
      const end = entryEnd(entries, at);
      if (!this.#readEntry(entries, at, end, others)) others.isSettled = false;
      at = end;
    }
    return at;
  }

  /**
   * In the first listing of a large folder many blocks share the memory: an array of its own costs the collector more than
   * what is in it. Later ones do not, for one block would keep the memory of all.
   */
  #keepPlaced(): Uint32Array {
    const count = this.#placedCount;
    if (!this.#isFirst || this.#blocks.size < SINGLE_BLOCKS) return this.#placed.slice(0, count);
    if (this.#sharedUsed + count > this.#shared.length) {
      this.#shared = new Uint32Array(SHARED);
      this.#sharedUsed = 0;
    }
    const names = this.#shared.subarray(this.#sharedUsed, (this.#sharedUsed += count));
    names.set(this.#placed.subarray(0, count));
    return names;
  }

  /** @returns false when it should be read at the next listing again, though it is still the same */
  #readEntry(entries: WordBuffer, at: number, end: number, others: Others): boolean {
    const from = nameStart(at);
    const to = nameEnd(entries, at, end);
    const { bytes } = entries;
    if (bytes[from] === DOT) {
      if (bytes[from + 1] !== UNDERSCORE) return true;
      return this.store.listed(this.folder, entries, from, to, this.#batch.add);
    }
    const type = typeOf(entries, at);
    const { isRecursive, type: wanted } = this.rules;
    if (isRecursive && type === entryType.unknown) others.unsure.push(bytes.toString('latin1', from, to));
    if (isRecursive && type === entryType.directory)
      others.subfolders.push(bytes.toString('latin1', from, to));
    const isLink = type === entryType.link;
    if (isLink || type === entryType.unknown || type === entryType[wanted])
      this.#batch.add(entries, from, to, isLink ? LINK : DATA);
    return true;
  }

  #place(id: number, tag: number): void {
    if (tag !== DATA && tag !== LINK) return this.#table.list(id, tag);
    if (tag === LINK) this.#links.add(id);
    this.#table.see(id, this.#kindOf);
  }

  #kindOf = (id: number): Kind =>
    this.#table.names.readName(id, this.rules.isData) ? kind.fresh : kind.foreign;

  /** Where records have a place of their own, and where nothing was known, anything may have changed. */
  #takeOwn(): void {
    const { names } = this.#table;
    let own: NameBatch | undefined;
    const isElsewhere = this.store.listOwn(this.folder, (...name) => {
      own ??= names.batch((id, tag) => this.#table.list(id, tag));
      own.add(...name);
    });
    own?.flush();
    if (isElsewhere || this.#isFirst) this.#affected.addBelow(names.limit);
  }

  /** A name that is affected may have its data in one block and its records in others. */
  *#completeAffected(): Generator<undefined, void> {
    for (const { names } of this.#missing.values())
      for (let i = 0; i < names.length; i += 2) this.#affected.add(names[i]!);
    for (let id = this.#touched.next(1); id !== 0; id = this.#touched.next(id + 1)) this.#affected.add(id);
    if (this.#affected.isEmpty) return;
    for (const { names } of this.#kept) {
      for (let i = 0; i < names.length; i += 2)
        if (this.#affected.has(names[i]!)) this.#place(names[i]!, names[i + 1]!);
      yield;
    }
  }

  /** Files that were neither found nor gone keep their places until this is through. */
  *#sweep(): Generator<undefined, void> {
    let count = 0;
    for (let id = this.#affected.next(1); id !== 0; id = this.#affected.next(id + 1)) {
      this.#takeRecords(id);
      this.#takeData(id);
      if (++count % STRETCH === 0) yield;
    }
  }

  #takeRecords(id: number): void {
    const before = this.#table.takeListed(id);
    if (before === undefined || this.#isFirst) return;
    const name = this.#table.names.name(id);
    this.#found.changed.push(name);
    if (hasLost(before, this.#table.records(id))) this.#found.lost.push(name);
  }

  #takeData(id: number): void {
    const table = this.#table;
    const isSeen = table.takeSeen(id);
    const now = table.kind(id);
    if (!isSeen && now !== kind.none) {
      if (now === kind.open || now >= kind.done) this.#found.gone.push(table.names.name(id));
      else table.setKind(id, kind.none);
    }
    if (now === kind.fresh && !this.#foldByName(id)) this.#found.fresh.push(id);
    table.tidy(id);
  }

  #foldByName(id: number): boolean {
    const { fold } = this.rules;
    if (fold === undefined) return false;
    const isDone = (this.#table.records(id) & this.#doneBits) >>> 0 === this.#doneBits;
    if (!isDone || this.#links.has(id)) return false;
    this.#table.fold(id, 'done', fold.isBacklog);
    return true;
  }
}
