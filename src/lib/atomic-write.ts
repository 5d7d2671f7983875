import { hasCode } from './errors.js';
import { realFileSystem, type FileSystem } from './file-system.js';

export type PathLike = string | Buffer;

/** A file under its temporary name, open, to be flushed and then to be put in its place. */
export interface Staged {
  readonly fd: number;
  readonly path: PathLike;
  readonly temporary: PathLike;
}

/**
 * Replaces a file's content so that a reader sees the old or the new one, never a part: temporary file in the
 * same directory, data flushed, rename. The directory entry is not flushed; see `syncDirectory`.
 * @param mtime seconds since the epoch; default: now
 * @throws the system error, with the temporary file removed
 */
export function writeFileAtomic(
  path: PathLike,
  temporary: PathLike,
  content: string,
  mode = 0o644,
  fs: FileSystem = realFileSystem,
  mtime?: number,
): void {
  const staged = stage(path, temporary, content, mode, fs, mtime);
  try {
    fs.fdatasyncSync(staged.fd);
  } catch (error) {
    discard(staged, fs);
    throw error;
  }
  publish(staged, fs);
}

/** The first step of `writeFileAtomic`: the new content under the temporary name. @throws like it */
export function stage(
  path: PathLike,
  temporary: PathLike,
  content: string,
  mode: number,
  fs: FileSystem,
  mtime?: number,
): Staged {
  const staged = { fd: openNew(temporary, mode, fs), path, temporary };
  try {
    // not writeSync, which may write a part and say so only by its result
    fs.writeFileSync(staged.fd, content);
    if (mtime !== undefined) fs.futimesSync(staged.fd, mtime, mtime);
    return staged;
  } catch (error) {
    discard(staged, fs);
    throw error;
  }
}

/** The last step, after the flush. @throws like `writeFileAtomic` */
export function publish({ fd, path, temporary }: Staged, fs: FileSystem): void {
  try {
    fs.closeSync(fd);
    fs.renameSync(temporary, path);
  } catch (error) {
    unlinkQuietly(temporary, fs);
    throw error;
  }
}

/** In place of `publish`, when something failed: the first error is the one to report. */
export function discard({ fd, temporary }: Staged, fs: FileSystem): void {
  try {
    fs.closeSync(fd);
  } catch {
    // see above
  }
  unlinkQuietly(temporary, fs);
}

function unlinkQuietly(path: PathLike, fs: FileSystem): void {
  try {
    fs.unlinkSync(path);
  } catch {
    // see above
  }
}

/** Never what is there: it may be the rest of a crash, or a link that somebody planted to have another file overwritten. */
function openNew(path: PathLike, mode: number, fs: FileSystem): number {
  try {
    return fs.openSync(path, 'wx', mode);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    fs.unlinkSync(path);
    return fs.openSync(path, 'wx', mode);
  }
}

/** Makes renames and removals in a directory survive a power cut. */
export function syncDirectory(path: PathLike, fs: FileSystem = realFileSystem): void {
  const fd = fs.openSync(path, 'r');
  try {
    fs.fdatasyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** The same without making the event loop wait for the disk. */
export async function flushDirectory(path: PathLike, fs: FileSystem): Promise<void> {
  const fd = fs.openSync(path, 'r');
  try {
    await fs.flush(fd);
  } finally {
    fs.closeSync(fd);
  }
}
