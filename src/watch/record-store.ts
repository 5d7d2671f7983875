import type { FileStat, Identity } from './identity.js';
import type { MarkerFacts, RecordRef, Result, StepRecord } from './record.js';
import type { MarkerState } from './marker-name.js';

/**
 * Where results are recorded. Markers beside the data are the default; other stores implement the same port.
 * Folders and paths are relative to the watched path, as text.
 */
export interface RecordStore {
  /**
   * Takes what a look at a folder found as the present state of its records.
   * @param hidden names of the folder starting with `._`, as bytes
   * @returns undefined when they are what was known before, else the paths whose records vanished
   */
  refresh(folder: string, hidden: readonly string[]): string[] | undefined;
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
  /** Notes in a record that its name now stands for another file, which is no new arrival. */
  reidentify(ref: RecordRef, now: Identity): void;
  remove(ref: RecordRef, states: readonly MarkerState[]): void;
  /** Makes what was written survive a power cut. */
  flush(): void;
  /** Refs of all records of a folder, for cleanup. */
  list(folder: string): Iterable<RecordRef>;
  /** Whether a record may be removed as one of this watch; looks at its content. */
  owns(ref: RecordRef): boolean;
}
