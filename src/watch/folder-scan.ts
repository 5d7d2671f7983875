import { lstatSync, opendirSync, statfsSync, statSync, type BigIntStats } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { hasCode } from '../lib/errors.js';
import { bytesToBuffer } from '../lib/text.js';
import type { FileStat } from './identity.js';

/** What stat found: a file, a directory, something else, nothing, or an error to report. */
export type Looked =
  | { readonly kind: 'file' | 'directory'; readonly stat: FileStat; readonly mode: number }
  | { readonly kind: 'other' | 'gone' }
  | { readonly kind: 'error'; readonly error: unknown };

/** Follows symbolic links: a link to a file is that file. @param path bytes */
export function look(path: string): Looked {
  let stats: BigIntStats;
  try {
    stats = statSync(bytesToBuffer(path), { bigint: true });
  } catch (error) {
    return hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP') ? { kind: 'gone' } : { kind: 'error', error };
  }
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other';
  if (kind === 'other') return { kind };
  return { kind, stat: toFileStat(stats), mode: Number(stats.mode) };
}

/** Links to folders are not followed downwards: they may lead back up. @param path bytes */
export function isLink(path: string): boolean {
  try {
    return lstatSync(bytesToBuffer(path)).isSymbolicLink();
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

const SLICE_MS = 5;

/**
 * Names of a folder as bytes, without types, in the order of the file system. Yields to the event loop every 5 ms;
 * opendirSync in blocks of 1,024 is the fastest way Node has (limits/README).
 * @throws the system error of opendir or readdir
 */
export async function listFolder(path: string, onName: (name: string) => void): Promise<void> {
  const directory = opendirSync(bytesToBuffer(path), {
    encoding: 'latin1' as BufferEncoding,
    bufferSize: 1024,
  });
  try {
    let sliceEnd = performance.now() + SLICE_MS;
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      onName(entry.name);
      if (performance.now() < sliceEnd) continue;
      await nextTurn();
      sliceEnd = performance.now() + SLICE_MS;
    }
  } finally {
    directory.closeSync();
  }
}

/** File systems whose directories change their mtime with every entry, for sure: an unchanged mtime means an unchanged listing. */
const LOCAL_TYPES = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x2fc12fc1, 0x794c7630]);

export function hasReliableMtime(path: string): boolean {
  try {
    return LOCAL_TYPES.has(statfsSync(bytesToBuffer(path)).type);
  } catch {
    return false;
  }
}
