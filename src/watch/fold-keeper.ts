import type { FileTable, Seen } from './file-table.js';
import type { FolderTable } from './folder-table.js';
import type { FoldRules } from './folding.js';
import { baseName } from './select.js';

/** More files than needed at the beginning of the order have objects: each that goes would cost a search for the next. */
const SPARE = 64;
const STRETCH = 1024;

/**
 * Folds files that need nothing more, and sees to it that the first of the order have objects: every folded file has at
 * least `head` files with objects before it, so that the places of these among each other are their true places.
 */
export class FoldKeeper {
  #finished: Seen[] = [];
  /** all folded files come after it in the order; undefined: that is not known */
  #bound: string | undefined;

  /** @param isLink whether a path leads elsewhere: what it leads to changes without an event */
  constructor(
    private readonly rules: FoldRules,
    private readonly reverse: boolean,
    private readonly files: FileTable,
    private readonly isLink: (bytes: string) => boolean,
    private readonly folded: (seen: Seen) => void,
  ) {}

  /** A file was found to need nothing more. */
  finish(seen: Seen): void {
    this.#finished.push(seen);
  }

  /** Folds what was finished. @param folded how many are folded already */
  fold(folded: number): void {
    const finished = this.#finished;
    if (finished.length === 0) return;
    this.#finished = [];
    const { head } = this.rules;
    if (head === 0) return finished.forEach((seen) => this.#foldOne(seen));
    const rest = this.files.inOrder().slice(head + SPARE);
    const last = this.files.inOrder()[head + SPARE - 1]?.bytes;
    let any = false;
    for (const { bytes } of rest) if (this.#foldOne(this.files.get(bytes)!)) any = true;
    if (any && (folded === 0 || (this.#bound !== undefined && this.#isBefore(last!, this.#bound))))
      this.#bound = last;
  }

  #foldOne(seen: Seen): boolean {
    const { finished, bytes } = seen;
    if (finished === undefined || finished.last !== this.rules.lastStep) return false;
    if (seen.replaced || seen.overwritten || this.files.get(bytes) !== seen) return false;
    if (baseName(bytes).length > this.rules.longestName || this.isLink(bytes)) return false;
    this.files.fold(seen, finished.how);
    this.folded(seen);
    return true;
  }

  /** Files were folded by their names, wherever they are in the order. */
  loseBound(): void {
    this.#bound = undefined;
  }

  /** Whether too few files with objects are before the folded ones. @param folded how many there are */
  isHeadShort(folded: number): boolean {
    const { head } = this.rules;
    if (head === 0 || folded === 0) return false;
    const bound = this.#bound;
    if (bound === undefined) return true;
    const last = this.files.inOrder()[head - 1];
    return last === undefined || (last.bytes !== bound && !this.#isBefore(last.bytes, bound));
  }

  /** The folded files that come first in the order: they are to have objects. Rests now and then. */
  *first(tables: Iterable<readonly [folder: string, table: FolderTable]>): Generator<undefined, string[]> {
    const most = this.rules.head + SPARE;
    const first: string[] = [];
    for (const [folder, table] of tables) {
      for (let id = 1; id < table.names.limit; id++) {
        if (id % STRETCH === 0) yield;
        if (!table.isFolded(id)) continue;
        const name = table.names.name(id);
        const bytes = folder === '' ? name : `${folder}/${name}`;
        if (first.length === most && !this.#isBefore(bytes, first.at(-1)!)) continue;
        first.splice(this.#placeIn(first, bytes), 0, bytes);
        if (first.length > most) first.pop();
      }
    }
    this.#bound = first.at(-1);
    return first;
  }

  #placeIn(sorted: readonly string[], bytes: string): number {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#isBefore(bytes, sorted[middle]!)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #isBefore = (a: string, b: string): boolean => (this.reverse ? a < b : a > b);
}
