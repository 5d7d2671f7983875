/** Hints that came since the last turn: names by folder, with the number of renames each was part of. */
export class HintBuffer {
  #folders = new Map<string, Map<string, number>>();

  add(folder: string, name: string, kind: 'rename' | 'change'): void {
    let names = this.#folders.get(folder);
    if (names === undefined) this.#folders.set(folder, (names = new Map()));
    names.set(name, (names.get(name) ?? 0) + (kind === 'rename' ? 1 : 0));
  }

  take(): { readonly folder: string; readonly name: string; readonly renames: number }[] {
    const folders = this.#folders;
    this.#folders = new Map();
    return [...folders].flatMap(([folder, names]) =>
      [...names].map(([name, renames]) => ({ folder, name, renames })),
    );
  }
}
