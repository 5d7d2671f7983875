import { hash } from 'node:crypto';
import { entryEnd, entryInode } from '../lib/dirents.js';
import type { WordBuffer } from '../lib/word-buffer.js';

/**
 * What a part of a listing has brought. The next listing cuts a directory at the same entries, so where nothing has
 * changed a part has the same digest, and need not be read again.
 */
export interface Block {
  /** id and tag of each name in the table of the folder, one after the other */
  readonly names: Uint32Array;
  readonly subfolders: readonly string[];
  /** names that the listing does not say what they are */
  readonly unsure: readonly string[];
}

/** One in so many inodes ends a block: they are spread by multiplication with 2^32 divided by the golden ratio. */
const BLOCK_BITS = 9;
const GOLDEN = 0x9e3779b1;
/** Blocks end here at the latest. */
export const MOST_ENTRIES = 2048;
export const LARGEST_BLOCK = 128 * 1024;
/** the kernel gives no longer name, and no entry is longer than this */
export const LARGEST_ENTRY = 4096 + 32;

/**
 * Where the block ends that begins at a place. It depends on the block itself only, so that a change spoils one block and
 * not all behind it.
 * @returns undefined when its end is not among these entries
 */
export function blockEnd(entries: WordBuffer, from: number, to: number): number | undefined {
  let at = from;
  for (let count = 1; at < to; count++) {
    const inode = entryInode(entries, at);
    at = entryEnd(entries, at);
    const isLast = Math.imul(inode, GOLDEN) >>> (32 - BLOCK_BITS) === 0;
    if (isLast || count === MOST_ENTRIES || at - from > LARGEST_BLOCK - LARGEST_ENTRY) return at;
  }
  return undefined;
}

/** Names, inodes, types and places of all entries, as good as themselves. */
export const digestOf = ({ bytes }: WordBuffer, from: number, to: number): string =>
  hash('sha256', bytes.subarray(from, to), 'binary');
