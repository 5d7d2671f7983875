import type { WordBuffer } from '../lib/word-buffer.js';
import type { Counts, FolderTable } from './folder-table.js';
import type { FileStat, Identity } from './identity.js';
import type { MarkerFacts, RecordRef, Result, StepRecord } from './record.js';
import type { MarkerState } from './marker-name.js';
import type { Placed } from './name-table.js';

/** A result to be recorded, and the mtime for `updated` watches. */
export interface NewRecord {
  readonly result: Result;
  readonly mtime: string | undefined;
}

/**
 * Where results are recorded. Markers beside the data are the default; other stores implement the same port.
 * Folders and paths are relative to the watched path, as text.
 */
export interface RecordStore {
  /** What is known of a folder, by name: a file and its records are in one place, and its name is in memory once. */
  table(folder: string): FolderTable;
  /** How many files of all folders need nothing more, and have no object. */
  readonly folded: Readonly<Counts>;
  /**
   * Takes a hidden name of a listing of the folder: tells the record it is, or removes it when it is a leftover.
   * @returns false when it should be taken at the next listing again, though it is still the same
   */
  listed(folder: string, name: WordBuffer, from: number, to: number, placed: Placed): boolean;
  /** Tells the records of a folder that are kept elsewhere than beside the data. @returns whether there is such a place */
  listOwn(folder: string, placed: Placed): boolean;
  /** A listing found other records than before under a name of the table. @returns the path of their file, where it tells that */
  relisted(folder: string, key: string): string | undefined;
  /** Forgets what was read of the records of a file. */
  forget(path: string): void;
  /** Whether a file is as it was when its results were recorded; costs a look at each of them. */
  isUntouched(path: string, file: FileStat): boolean;
  /** What a file was, going by its first result, or by what was renamed over it. */
  identity(path: string): Identity | undefined;
  /**
   * A change of one hidden name was observed. Undefined when it is no news for this watch; `path` is missing where
   * the name does not tell it (shortened markers).
   */
  noticed(
    folder: string,
    hiddenName: string,
    exists: boolean,
  ): { readonly path: string | undefined } | undefined;
  /** Forgets a folder that is gone. */
  drop(folder: string): void;
  /** @param file its present state; records of files untouched since need not be opened */
  read(ref: RecordRef, file?: FileStat): StepRecord;
  /** The content of the result, if any. */
  facts(ref: RecordRef): MarkerFacts | undefined;
  /**
   * Records a finished job by rename, replaces older results of the step and, for `updated` watches, the mtime.
   * Durable when it returns, save for the directory entry: see `flush`.
   * @throws the system error; nothing is half-written then
   */
  write(result: Result, mtime: string | undefined): void;
  /** The same for many at once, which share the waiting for the disk. @returns the error of each that failed, in their order */
  writeAll(entries: readonly NewRecord[]): Promise<unknown[]>;
  /** Notes in a record that its name now stands for another file, which is no new arrival. */
  reidentify(ref: RecordRef, now: Identity): void;
  remove(ref: RecordRef, states: readonly MarkerState[]): void;
  /** Makes what was written survive a power cut. */
  flush(): void;
  /** The same without making the event loop wait for the disk. */
  flushed(): Promise<void>;
  /** Refs of the records of a folder for which no data is known, for cleanup. */
  list(folder: string): Iterable<RecordRef>;
  /** Whether a record may be removed as one of this watch; looks at its content. */
  owns(ref: RecordRef): boolean;
}
