import { discard, publish, stage, type Staged } from '../lib/atomic-write.js';
import type { FileSystem } from '../lib/file-system.js';

export interface NewFile {
  readonly path: Buffer;
  readonly content: string;
  /** seconds since the epoch; default: now */
  readonly mtime?: number | undefined;
}

/** Results that are written at once; each has a file open, or two. */
const MOST_AT_ONCE = 64;

export const temporaryOf = (path: Buffer): Buffer => Buffer.concat([path, Buffer.from('.tmp')]);

/** Files under their temporary names: all or none. @throws the system error */
export function stageAll(files: readonly NewFile[], fs: FileSystem): Staged[] {
  const staged: Staged[] = [];
  try {
    for (const { path, content, mtime } of files)
      staged.push(stage(path, temporaryOf(path), content, 0o644, fs, mtime));
    return staged;
  } catch (error) {
    discardAll(staged, fs);
    throw error;
  }
}

/** @throws the system error, with the files discarded */
export function syncAll(staged: readonly Staged[], fs: FileSystem): void {
  try {
    for (const { fd } of staged) fs.fdatasyncSync(fd);
  } catch (error) {
    discardAll(staged, fs);
    throw error;
  }
}

/** Puts files in their places, in order. @throws the system error, with those that are left discarded */
export function publishAll(staged: readonly Staged[], fs: FileSystem): void {
  const left = [...staged];
  try {
    for (let next = left.shift(); next !== undefined; next = left.shift()) publish(next, fs);
  } catch (error) {
    discardAll(left, fs);
    throw error;
  }
}

/**
 * Stages many, waits for the disk once for a number of them, and publishes each.
 * @returns the error of each that failed, in their order
 */
export async function writeTogether<T>(
  entries: readonly T[],
  stageOne: (entry: T) => readonly Staged[],
  publishOne: (staged: readonly Staged[], entry: T) => void,
  fs: FileSystem,
): Promise<unknown[]> {
  const errors: unknown[] = [];
  for (let from = 0; from < entries.length; from += MOST_AT_ONCE) {
    const some = entries.slice(from, from + MOST_AT_ONCE);
    const flushed = await Promise.all(some.map((entry) => stageAndFlush(entry, stageOne, fs)));
    flushed.forEach((result, i) => errors.push(attempt(() => publishOne(result(), some[i]!))));
  }
  return errors;
}

/** @returns what gives the staged files, or throws why there are none */
async function stageAndFlush<T>(
  entry: T,
  stageOne: (entry: T) => readonly Staged[],
  fs: FileSystem,
): Promise<() => readonly Staged[]> {
  let staged: readonly Staged[] = [];
  try {
    staged = stageOne(entry);
    for (const { fd } of staged) await fs.flush(fd);
    return () => staged;
  } catch (error) {
    discardAll(staged, fs);
    return () => {
      throw error;
    };
  }
}

function attempt(action: () => void): unknown {
  try {
    action();
    return undefined;
  } catch (error) {
    return error;
  }
}

function discardAll(staged: readonly Staged[], fs: FileSystem): void {
  for (const one of staged) discard(one, fs);
}
