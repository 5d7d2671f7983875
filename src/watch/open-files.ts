import { realpathSync, statSync, type BigIntStats } from 'node:fs';
import { libcIfLoaded } from '../lib/load-libc.js';
import { bytesToBuffer } from '../lib/text.js';
import { isOnLocalFileSystem } from './folder-scan.js';
import { WritersOf, type OpenFile } from './writers.js';

/** Files that are looked for, by what a descriptor of another process may tell of them. */
interface Wanted {
  readonly byRealPath: Map<string, string>;
  /** device and inode: a descriptor may name the file otherwise */
  readonly byObject: Map<string, string>;
}

const writers = new WritersOf();

type Answers = (path: string) => boolean | undefined;

/**
 * Which of the files somebody on this machine holds open for writing. There is no close event in Node's fs.watch; this is the
 * evidence that a file being written slowly is not complete. The kernel tells it of a file on a local file system that is ours;
 * for any other file descriptors are looked through, as far as /proc shows them to us (all processes to root, our own
 * otherwise). Writers on other machines are invisible: use min_age or `ready`.
 * @param paths absolute, bytes
 * @param askKernel what it says of one; undefined sends us to /proc
 */
export function openForWriting(paths: Iterable<string>, askKernel = kernelAnswers()): Set<string> {
  const open = new Set<string>();
  const unknown: string[] = [];
  for (const path of paths) {
    const answer = askKernel(path);
    if (answer === true) open.add(path);
    else if (answer === undefined) unknown.push(path);
  }
  if (unknown.length > 0) for (const path of openInProc(unknown)) open.add(path);
  return open;
}

/** What the kernel says of a file; undefined where it says nothing. */
function kernelAnswers(): Answers {
  const libc = libcIfLoaded();
  if (libc === undefined) return noAnswers;
  // asked of the file: a link may lead to another file system
  return (path) => (isOnLocalFileSystem(path) ? libc.isOpenForWriting(bytesToBuffer(path)) : undefined);
}

/** For openForWriting: by /proc alone. */
export const noAnswers: Answers = () => undefined;

/**
 * By the descriptors of all processes. A writer may know the file by another path (a container's mount) or another name (a
 * hard link).
 */
function openInProc(paths: readonly string[]): Set<string> {
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
