import type { WordBuffer } from './word-buffer.js';

/**
 * Entries of a directory as getdents64(2) writes them, `struct linux_dirent64`: the inode in 8 bytes, a position in 8, the
 * length of the entry in 2, its type in one, then the name and a NUL. Entries begin at multiples of 8.
 */
export const ALIGNMENT = 8;
const LENGTH_AT = 16;
const TYPE_AT = 18;
const NAME_AT = 19;

/** What an entry says its name stands for, d_type of readdir(3). Some file systems never tell. */
export const entryType = { unknown: 0, directory: 4, file: 8, link: 10 } as const;

/** Where the entry at a place ends, and the next one begins. */
export const entryEnd = ({ words }: WordBuffer, at: number): number =>
  at + (words[(at + LENGTH_AT) >>> 2]! & 0xffff);

/** The lower half of its inode number. */
export const entryInode = ({ words }: WordBuffer, at: number): number => words[at >>> 2]!;

export const typeOf = ({ words }: WordBuffer, at: number): number =>
  (words[(at + LENGTH_AT) >>> 2]! >>> 16) & 0xff;

export const nameStart = (at: number): number => at + NAME_AT;

/** @param end of the entry: the name ends in its last 8 bytes */
export function nameEnd({ bytes }: WordBuffer, at: number, end: number): number {
  let to = Math.max(at + NAME_AT, end - ALIGNMENT);
  while (to < end && bytes[to] !== 0) to++;
  return to;
}

/**
 * Writes an entry, for directories that are not read by getdents64. Where there are zeros. Its inode is a stand-in.
 * @param name bytes
 * @returns its end, undefined when it does not fit before `limit`
 */
export function writeEntry(
  { bytes }: WordBuffer,
  at: number,
  limit: number,
  name: string,
  type: number,
): number | undefined {
  const length = Math.ceil((NAME_AT + name.length + 1) / ALIGNMENT) * ALIGNMENT;
  if (at + length > limit) return undefined;
  bytes.writeUInt32LE(standIn(name), at);
  bytes.writeUInt16LE(length, at + LENGTH_AT);
  bytes[at + TYPE_AT] = type;
  bytes.write(name, at + NAME_AT, 'latin1');
  return at + length;
}

/** FNV-1a of the name, for an inode that is not known: different names have different ones, as a rule. */
function standIn(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
