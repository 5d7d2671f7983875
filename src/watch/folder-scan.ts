import type { BigIntStats } from 'node:fs';
import type { DirectoryReader } from '../lib/directory-reader.js';
import { hasCode } from '../lib/errors.js';
import { realFileSystem, type FileSystem } from '../lib/file-system.js';
import { bytesToBuffer } from '../lib/text.js';
import { wordBuffer, type WordBuffer } from '../lib/word-buffer.js';
import type { FileStat } from './identity.js';
import { LARGEST_BLOCK } from './listing-blocks.js';
import { atPace, Pace } from './pace.js';

/** What stat found: a file, a directory, something else, nothing, or an error to report. */
export type Looked =
  | { readonly kind: 'file' | 'directory'; readonly stat: FileStat; readonly mode: number }
  | { readonly kind: 'other' | 'gone' }
  | { readonly kind: 'error'; readonly error: unknown };

/** Follows symbolic links: a link to a file is that file. @param path bytes */
export function look(path: string, fs: FileSystem = realFileSystem): Looked {
  let stats: BigIntStats;
  try {
    stats = fs.statSync(bytesToBuffer(path), { bigint: true });
  } catch (error) {
    return hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP') ? { kind: 'gone' } : { kind: 'error', error };
  }
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other';
  if (kind === 'other') return { kind };
  return { kind, stat: toFileStat(stats), mode: Number(stats.mode) };
}

/** Links to folders are not followed downwards: they may lead back up. @param path bytes */
export function isLink(path: string, fs: FileSystem = realFileSystem): boolean {
  try {
    return fs.lstatSync(bytesToBuffer(path)).isSymbolicLink();
  } catch {
    return false;
  }
}

const toFileStat = (stats: BigIntStats): FileStat => ({
  mtimeNs: stats.mtimeNs,
  ctimeNs: stats.ctimeNs,
  birthNs: stats.birthtimeNs,
  size: Number(stats.size),
  inode: stats.ino,
});

/** Bytes that are read at a time, and before them those of a block that the last read did not end. */
const READ = 256 * 1024;
const buffers: WordBuffer[] = [];
/** How many are kept for the next listings. */
const BUFFERS = 4;
/** Bytes; small where a file system's directories say nothing of what is in them. */
const LARGE_DIRECTORY = 256 * 1024;

/** Takes entries of a directory as they come. */
export interface EntryTaker<T> {
  /** @returns where those begin that it wants to see again, with the next ones behind them: LARGEST_BLOCK bytes at most */
  take(entries: WordBuffer, from: number, to: number): Generator<undefined, number>;
  /** The last ones. */
  finish(entries: WordBuffer, from: number, to: number): Generator<undefined, T>;
}

/**
 * Lists a folder, in the order of the file system. Lets the event loop go every 5 ms, and reads the next part meanwhile.
 * @param path bytes
 * @param isBeside reads beside the event loop: see openDirectory
 * @throws the system error of opening or reading
 */
export async function listFolder<T>(
  path: string,
  taker: EntryTaker<T>,
  fs: FileSystem = realFileSystem,
  isBeside = false,
): Promise<T> {
  const directory = await fs.openDirectory(bytesToBuffer(path), isBeside);
  const pair = [takeBuffer(), takeBuffer()] as const;
  try {
    return await takeAll(directory, taker, pair);
  } finally {
    directory.close();
    if (buffers.length < BUFFERS) buffers.push(...pair);
  }
}

async function takeAll<T>(
  directory: DirectoryReader,
  taker: EntryTaker<T>,
  pair: readonly [WordBuffer, WordBuffer],
): Promise<T> {
  const pace = new Pace();
  const read = (into: WordBuffer): number | Promise<number> => {
    into.bytes.fill(0, LARGEST_BLOCK);
    return directory.read(into, LARGEST_BLOCK, LARGEST_BLOCK + READ);
  };
  let [here, there] = pair;
  let from = LARGEST_BLOCK;
  let to = await read(here);
  while (to > LARGEST_BLOCK) {
    const next = read(there);
    let rest: number;
    try {
      rest = await atPace(taker.take(here, from, to), pace);
    } finally {
      // neither the buffer nor the directory is given away while the kernel writes
      if (typeof next !== 'number') await next.catch(() => undefined);
    }
    from = LARGEST_BLOCK - (to - rest);
    here.bytes.copy(there.bytes, from, rest, to);
    to = await next;
    [here, there] = [there, here];
    await pace.keep();
  }
  return atPace(taker.finish(here, from, LARGEST_BLOCK), pace);
}

const takeBuffer = (): WordBuffer => buffers.pop() ?? wordBuffer(LARGEST_BLOCK + READ);

/** Whether a directory keeps the kernel busy for longer than an event loop should wait. @param size bytes, as stat tells */
export const isLarge = (size: number): boolean => size >= LARGE_DIRECTORY;

/**
 * File systems of this machine alone. Their directories change their mtime with every entry, for sure: an unchanged mtime means
 * an unchanged listing.
 */
const LOCAL_TYPES = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x2fc12fc1, 0x794c7630]);

export function isOnLocalFileSystem(path: string, fs: FileSystem = realFileSystem): boolean {
  try {
    return LOCAL_TYPES.has(fs.statfsSync(bytesToBuffer(path)).type);
  } catch {
    return false;
  }
}
