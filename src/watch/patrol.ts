import type { FolderTable } from './folder-table.js';

/** Names that are passed over without work count a little, too. */
const PASSED_PER_LOOK = 256;

/**
 * The rounds over folded files: each is looked at once a round, a few at a time. A folder that is wanted again while it
 * is walked gets another round after it.
 */
export class Patrol {
  readonly #folders = new Set<string>();
  #current: string | undefined;
  #next = 1;

  /**
   * @param tables of folders
   * @param look looks at a folded file; true when that brought news
   */
  constructor(
    private readonly tables: (folder: string) => FolderTable,
    private readonly look: (folder: string, id: number) => boolean,
  ) {}

  want(folder: string): void {
    this.#folders.add(folder);
  }

  get isDue(): boolean {
    return this.#current !== undefined || this.#folders.size > 0;
  }

  drop(folder: string): void {
    this.#folders.delete(folder);
    if (this.#current === folder) this.#current = undefined;
  }

  /** Looks at the next files. @param most of them @param isOver asked in between @returns whether there is news */
  walk(most: number, isOver: () => boolean): boolean {
    let news = false;
    let left = most * PASSED_PER_LOOK;
    while (left > 0 && this.#begin()) {
      const folder = this.#current!;
      const table = this.tables(folder);
      for (; this.#next < table.names.limit && left > 0; this.#next++) {
        left--;
        if (!table.isFolded(this.#next)) continue;
        if (isOver()) return news;
        left -= PASSED_PER_LOOK - 1;
        if (this.look(folder, this.#next)) news = true;
      }
      if (this.#next >= table.names.limit) this.#current = undefined;
    }
    return news;
  }

  /** @returns whether there is a folder to walk */
  #begin(): boolean {
    if (this.#current !== undefined) return true;
    const [folder] = this.#folders;
    if (folder === undefined) return false;
    this.#folders.delete(folder);
    this.#current = folder;
    this.#next = 1;
    return true;
  }
}
