import { entryType, writeEntry } from '../../src/lib/dirents.js';
import { wordBuffer } from '../../src/lib/word-buffer.js';
import { FolderListing, type Listed, type ListingRules } from '../../src/watch/folder-listing.js';
import type { MarkerStore } from '../../src/watch/marker-store.js';
import type { RecordStore } from '../../src/watch/record-store.js';

const SIZE = 1024 * 1024;

/**
 * Lists a folder that has these entries.
 * @param entries names, as bytes, with their types
 * @param rest what happens whenever the listing lets the event loop go
 */
export function listEntries(
  store: Pick<RecordStore, 'table' | 'listed' | 'listOwn' | 'relisted'>,
  folder: string,
  entries: Iterable<readonly [name: string, type: number]>,
  rules: Partial<ListingRules> = {},
  rest: () => void = () => undefined,
): Listed {
  const listing = new FolderListing(folder, store, {
    isData: () => true,
    type: 'file',
    isRecursive: false,
    fold: undefined,
    ...rules,
  });
  const buffer = wordBuffer(SIZE);
  let end = 0;
  for (const [name, type] of entries) {
    const next = writeEntry(buffer, end, SIZE, name, type);
    if (next === undefined) throw new RangeError('too many entries');
    end = next;
  }
  const taken = finished(listing.take(buffer, 0, end), rest);
  return finished(listing.finish(buffer, taken, end), rest);
}

function finished<T>(work: Generator<undefined, T>, rest: () => void): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    rest();
  }
}

/**
 * What a listing of a folder brings to a store.
 * @param hidden names of the folder starting with `._`, as bytes
 * @returns undefined when the records are those known before, else the paths that lost all of a step
 */
export function relist(store: MarkerStore, folder: string, hidden: readonly string[]): string[] | undefined {
  const isFirst = !store.table(folder).isListed;
  const { changed, lost } = listEntries(
    store,
    folder,
    hidden.map((name) => [name, entryType.file]),
  );
  for (const name of changed) store.relisted(folder, name);
  if (changed.length === 0 && !isFirst) return undefined;
  return lost.map((name) => store.relisted(folder, name)).filter((path) => path !== undefined);
}
