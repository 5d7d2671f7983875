import type { Dirent } from 'node:fs';
import { kind, type FolderTable } from './folder-table.js';
import type { NameBatch } from './name-table.js';
import { areDone, hasLost } from './record-bits.js';
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
}

/** Files whose records alone say that they need nothing more. */
export interface FoldByName {
  readonly firstStep: number;
  readonly lastStep: number;
  readonly isBacklog: boolean;
}

export interface ListingRules {
  /** whether a name belongs to a list */
  readonly isData: (name: string) => boolean;
  /** undefined: every file of a list is looked at */
  readonly fold: FoldByName | undefined;
}

/** The sweep over a table rests after so many names. */
const STRETCH = 1024;
const DATA = 0;

/** One listing of a folder into its table: data and records in one pass, then a sweep over all that is known. */
export class FolderListing {
  readonly #table: FolderTable;
  readonly #batch: NameBatch;
  /** links may come to lead elsewhere without an event: they are never told by their names alone */
  readonly #links = new Set<string>();

  /** @param folder as text */
  constructor(
    private readonly folder: string,
    private readonly store: Pick<RecordStore, 'table' | 'listed' | 'listOwn' | 'relisted'>,
    private readonly rules: ListingRules,
    expected = 0,
  ) {
    this.#table = store.table(folder);
    this.#table.names.reserve(expected);
    this.#batch = this.#table.names.batch((id, tag, text) => this.#place(id, tag, text));
  }

  /** A name that may be data. @param entry what the listing says of it, where it does */
  data(name: string, entry?: Pick<Dirent, 'isSymbolicLink'>): void {
    if (entry?.isSymbolicLink() === true) this.#links.add(name);
    this.#batch.add(name, 0, name.length, DATA);
  }

  /** A name that begins with `._`. */
  hidden(name: string): void {
    this.store.listed(this.folder, name, this.#batch.add);
  }

  #place(id: number, tag: number, text: string): void {
    const table = this.#table;
    if (tag !== DATA) return table.list(id, tag);
    table.see(id);
    if (table.kind(id) === kind.none) table.setKind(id, this.rules.isData(text) ? kind.fresh : kind.foreign);
  }

  /** The listing has come to its end. Files that were neither found nor gone keep their places until this is through. */
  *sweep(): Generator<undefined, Listed> {
    this.store.listOwn(this.folder, this.#batch.add);
    this.#batch.flush();
    const found: Listed = { fresh: [], gone: [], changed: [], lost: [] };
    const isFirst = !this.#table.isListed;
    for (let id = 1; id < this.#table.names.limit; id++) {
      this.#takeRecords(id, isFirst, found);
      this.#takeData(id, found);
      if (id % STRETCH === 0) yield;
    }
    this.#table.isListed = true;
    return found;
  }

  #takeRecords(id: number, isFirst: boolean, found: Listed): void {
    const before = this.#table.takeListed(id);
    if (before === undefined || isFirst) return;
    const name = this.#table.names.name(id);
    found.changed.push(name);
    if (hasLost(before, this.#table.records(id))) found.lost.push(name);
  }

  #takeData(id: number, found: Listed): void {
    const table = this.#table;
    const isSeen = table.takeSeen(id);
    const now = table.kind(id);
    if (!isSeen && now !== kind.none) {
      if (now === kind.open || now >= kind.done) found.gone.push(table.names.name(id));
      else table.setKind(id, kind.none);
    }
    if (now === kind.fresh && !this.#foldByName(id)) found.fresh.push(id);
    table.tidy(id);
  }

  #foldByName(id: number): boolean {
    const { fold } = this.rules;
    if (fold === undefined) return false;
    const isDone = areDone(this.#table.records(id), fold.firstStep, fold.lastStep);
    if (!isDone || (this.#links.size > 0 && this.#links.has(this.#table.names.name(id)))) return false;
    this.#table.fold(id, 'done', fold.isBacklog);
    return true;
  }
}
