import { closeSync, fdatasyncSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';

export type PathLike = string | Buffer;

/**
 * Replaces a file's content so that a reader sees the old or the new one, never a part: temporary file in the
 * same directory, data flushed, rename. The directory entry is not flushed; see `syncDirectory`.
 * @throws the system error, with the temporary file removed
 */
export function writeFileAtomic(path: PathLike, temporary: PathLike, content: string, mode = 0o644): void {
  const fd = openSync(temporary, 'w', mode);
  try {
    try {
      writeSync(fd, content);
      fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    try {
      unlinkSync(temporary);
    } catch {
      // the first error is the one to report
    }
    throw error;
  }
}

/** Makes renames and removals in a directory survive a power cut. */
export function syncDirectory(path: PathLike): void {
  const fd = openSync(path, 'r');
  try {
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
