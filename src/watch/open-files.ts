import { realpathSync, statSync, type BigIntStats } from 'node:fs';
import { bytesToBuffer } from '../lib/text.js';
import { WritersOf, type OpenFile } from './writers.js';

/** Files that are looked for, by what a descriptor of another process may tell of them. */
interface Wanted {
  readonly byRealPath: Map<string, string>;
  /** device and inode: a descriptor may name the file otherwise */
  readonly byObject: Map<string, string>;
}

const writers = new WritersOf();

/**
 * Which of the files some process on this machine holds open for writing, as far as /proc shows it to us (all
 * processes to root, our own otherwise). There is no close event in Node's fs.watch; this is the evidence that a
 * file being written slowly is not complete. A writer may know the file by another path (a container's mount) or another name
 * (a hard link). Writers on other machines are invisible: use min_age or `ready`.
 * @param paths absolute, bytes
 */
export function openForWriting(paths: Iterable<string>): Set<string> {
  const wanted: Wanted = { byRealPath: new Map(), byObject: new Map() };
  for (const path of paths) add(wanted, path);
  const open = new Set<string>();
  for (const file of writers.look()) {
    const path = find(file, wanted);
    if (path !== undefined) open.add(path);
  }
  return open;
}

function add(wanted: Wanted, path: string): void {
  const real = realPath(path);
  wanted.byRealPath.set(real, path);
  const stat = statIfThere(bytesToBuffer(real));
  if (stat !== undefined) wanted.byObject.set(objectOf(stat), path);
}

const find = ({ path, object }: OpenFile, wanted: Wanted): string | undefined =>
  wanted.byObject.get(object) ?? wanted.byRealPath.get(path);

const objectOf = ({ dev, ino }: BigIntStats): string => `${dev} ${ino}`;

function statIfThere(path: Buffer): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true });
  } catch {
    return undefined;
  }
}

function realPath(path: string): string {
  try {
    return realpathSync.native(bytesToBuffer(path), { encoding: 'latin1' });
  } catch {
    return path;
  }
}
