import { FolderListing } from '../../src/watch/folder-listing.js';
import type { MarkerStore } from '../../src/watch/marker-store.js';

/**
 * What a listing of a folder brings to a store.
 * @param hidden names of the folder starting with `._`, as bytes
 * @returns undefined when the records are those known before, else the paths that lost all of a step
 */
export function relist(store: MarkerStore, folder: string, hidden: readonly string[]): string[] | undefined {
  const listing = new FolderListing(folder, store, { isData: () => true, fold: undefined });
  for (const name of hidden) listing.hidden(name);
  const isFirst = !store.table(folder).isListed;
  const sweep = listing.sweep();
  let step = sweep.next();
  while (step.done !== true) step = sweep.next();
  const { changed, lost } = step.value;
  for (const name of changed) store.relisted(folder, name);
  if (changed.length === 0 && !isFirst) return undefined;
  return lost.map((name) => store.relisted(folder, name)).filter((path) => path !== undefined);
}
