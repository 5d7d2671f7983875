import { closeSync, constants, openSync, readdirSync } from 'node:fs';
import { entryType, writeEntry } from './dirents.js';
import { loadLibc, type Libc } from './load-libc.js';
import type { WordBuffer } from './word-buffer.js';

/** A directory that is being read, in the order of the file system, `.` and `..` perhaps among the names. */
export interface DirectoryReader {
  /**
   * Writes the next entries (dirents.ts) to a place where there are zeros, up to `to`.
   * @param from,to multiples of 8, with room for the longest name between them
   * @returns where they end: `from` when there are no more
   * @throws the system error
   */
  read(buffer: WordBuffer, from: number, to: number): number | Promise<number>;
  /** Not before a read is through. */
  close(): void;
}

/**
 * Opens a directory to be read with getdents64(2), which brings inodes and types as the file system has them and costs about
 * half of Node's fastest way (docs/performance.md). Where that cannot be called, names come from `readdir`, without types.
 * @param isBeside reads in a thread beside the event loop: for large directories, and those that may not answer
 * @throws the system error
 */
export async function openDirectory(path: Buffer, isBeside: boolean): Promise<DirectoryReader> {
  const libc = await loadLibc();
  return libc?.canReadDirectories === true ? openNatively(path, isBeside, libc) : openPortably(path);
}

function openNatively(path: Buffer, isBeside: boolean, libc: Libc): DirectoryReader {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  const read = isBeside ? libc.getdentsBeside : libc.getdents;
  return {
    read({ bytes }, from, to) {
      const got = read(fd, bytes.subarray(from, to));
      return typeof got === 'number' ? from + got : got.then((length) => from + length);
    },
    close: () => closeSync(fd),
  };
}

/** For systems that have no getdents64: see `openDirectory`. */
export function openPortably(path: Buffer): DirectoryReader {
  return readerOf(readdirSync(path, { encoding: 'latin1' }), entryType.unknown);
}

/** A reader of names that are known already. @param names bytes */
export function readerOf(names: readonly string[], type: number): DirectoryReader {
  let next = 0;
  return {
    read(buffer, from, to) {
      let end = from;
      for (; next < names.length; next++) {
        const after = writeEntry(buffer, end, to, names[next]!, type);
        if (after === undefined) break;
        end = after;
      }
      return end;
    },
    close: () => undefined,
  };
}
