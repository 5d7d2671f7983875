import { FolderTable, noneFolded, type Counts } from './folder-table.js';
import type { MarkerState } from './marker-name.js';
import type { MarkerFacts } from './record.js';
import { placeOf, recordBit, statesIn, STEPS_IN_WORD } from './record-bits.js';

/** What was read of a record, beyond its name. */
interface Learned {
  /** facts of the result marker and content of .mtime, once read */
  facts?: MarkerFacts | null | undefined;
  mtime?: string | null | undefined;
  /** ms, mtime of the result marker, once looked at */
  writtenAt?: number | undefined;
}

interface Shelf {
  readonly table: FolderTable;
  /** by slot and name; only for files that have an object as well */
  readonly learned: Map<string, Learned>;
}

/** The records of a step of a file. */
export interface Known {
  readonly states: ReadonlySet<MarkerState>;
  readonly learned: Learned;
  add(state: MarkerState): void;
  delete(state: MarkerState): void;
}

/** The records that a store knows of, by folder, name and step; names are bytes. */
export class KnownRecords {
  readonly #shelves = new Map<string, Shelf>();
  /** files of all folders that need nothing more */
  readonly folded: Counts = noneFolded();

  table = (folder: string): FolderTable => this.#shelf(folder).table;

  get(folder: string, step: number, file: string, stem: string): Known | undefined {
    const shelf = this.#shelves.get(folder);
    if (shelf === undefined) return undefined;
    const { key, slot } = placeOf(step, file, stem);
    const id = shelf.table.names.find(key);
    return id === 0 || statesIn(shelf.table.records(id), slot).size === 0
      ? undefined
      : knownAt(shelf, id, slot, key);
  }

  add(folder: string, step: number, file: string, stem: string, state: MarkerState): Known {
    const shelf = this.#shelf(folder);
    const { key, slot } = placeOf(step, file, stem);
    const known = knownAt(shelf, shelf.table.names.intern(key), slot, key);
    known.add(state);
    return known;
  }

  /** What was read of the records of a name is void. */
  forget(folder: string, key: string): void {
    const learned = this.#shelves.get(folder)?.learned;
    if (learned === undefined || learned.size === 0) return;
    for (let slot = 0; slot < STEPS_IN_WORD; slot++) learned.delete(`${slot}/${key}`);
  }

  drop(folder: string): void {
    this.#shelves.get(folder)?.table.clear();
    this.#shelves.delete(folder);
  }

  #shelf(folder: string): Shelf {
    let shelf = this.#shelves.get(folder);
    if (shelf === undefined)
      this.#shelves.set(folder, (shelf = { table: new FolderTable(this.folded), learned: new Map() }));
    return shelf;
  }
}

function knownAt({ table, learned }: Shelf, id: number, slot: number, key: string): Known {
  const place = `${slot}/${key}`;
  return {
    get states() {
      return statesIn(table.records(id), slot);
    },
    get learned() {
      let found = learned.get(place);
      if (found === undefined) learned.set(place, (found = {}));
      return found;
    },
    add: (state) => table.setRecords(id, table.records(id) | recordBit(slot, state)),
    delete(state) {
      if (!statesIn(table.records(id), slot).has(state)) return;
      table.setRecords(id, table.records(id) & ~recordBit(slot, state));
      if (statesIn(table.records(id), slot).size === 0) learned.delete(place);
      table.tidy(id);
    },
  };
}
