/** As many renames as make a changed file a new arrival. */
const UNCERTAIN = 2;

/** Hints that came since the last turn: names by folder, with the number of renames each was part of. */
export class HintBuffer {
  #folders = new Map<string, Map<string, number>>();
  #overflowed = false;

  add(folder: string, name: string, kind: 'rename' | 'change'): void {
    let names = this.#folders.get(folder);
    if (names === undefined) this.#folders.set(folder, (names = new Map()));
    names.set(name, (names.get(name) ?? 0) + (kind === 'rename' ? 1 : 0));
  }

  /** Events were lost: a name that was renamed once may have been renamed more often. */
  overflow(): void {
    this.#overflowed = true;
  }

  /** Whether the next `take` says two renames where there may have been none. */
  get isUncertain(): boolean {
    return this.#overflowed;
  }

  take(): { readonly folder: string; readonly name: string; readonly renames: number }[] {
    const folders = this.#folders;
    const least = this.#overflowed ? UNCERTAIN : 0;
    this.#overflowed = false;
    this.#folders = new Map();
    return [...folders].flatMap(([folder, names]) =>
      [...names].map(([name, renames]) => ({ folder, name, renames: Math.max(renames, least) })),
    );
  }
}
