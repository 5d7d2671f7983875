import type { BigIntStats, Dirent } from 'node:fs';
import { hasCode } from '../lib/errors.js';
import { realFileSystem, type FileSystem } from '../lib/file-system.js';
import { bytesToBuffer } from '../lib/text.js';
import type { FileStat } from './identity.js';
import { Pace } from './pace.js';

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

/** How many names come between two looks at the clock. */
const STRETCH = 64;

/**
 * Names of a folder as bytes, in the order of the file system. Lets the event loop go every 5 ms. opendirSync in blocks
 * of 1,024 is the fastest way Node has, and brings types; but where the file system gives no types, Node asks for each with a
 * stat. So only those that are known to give them are read that way.
 * @param isLocal what hasReliableMtime says of it
 * @throws the system error of opendir or readdir
 */
export async function listFolder(
  path: string,
  onName: (name: string, entry?: Dirent) => void,
  fs: FileSystem = realFileSystem,
  isLocal = true,
): Promise<void> {
  const pace = new Pace();
  let count = 0;
  if (!isLocal) {
    for (const name of fs.readdirSync(bytesToBuffer(path), { encoding: 'latin1' })) {
      onName(name);
      if (++count % STRETCH === 0) await pace.keep();
    }
    return;
  }
  const directory = fs.opendirSync(bytesToBuffer(path), {
    encoding: 'latin1' as BufferEncoding,
    bufferSize: 1024,
  });
  try {
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      onName(entry.name, entry);
      if (++count % STRETCH === 0) await pace.keep();
    }
  } finally {
    directory.closeSync();
  }
}

/** File systems whose directories change their mtime with every entry, for sure: an unchanged mtime means an unchanged listing. */
const LOCAL_TYPES = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x2fc12fc1, 0x794c7630]);

export function hasReliableMtime(path: string, fs: FileSystem = realFileSystem): boolean {
  try {
    return LOCAL_TYPES.has(fs.statfsSync(bytesToBuffer(path)).type);
  } catch {
    return false;
  }
}
