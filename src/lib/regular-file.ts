import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';

const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;

/**
 * Lets `use` read a file in a place where others can put anything, and never waits. Links are not followed.
 * @returns undefined when there is no such regular file, or when `use` throws
 */
export function withRegularFile<T>(path: string, use: (fd: number, size: number) => T): T | undefined {
  let fd: number | undefined;
  try {
    // only opening a FIFO would set its writer free
    if (!lstatSync(path).isFile()) return undefined;
    fd = openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    const stat = fstatSync(fd);
    return stat.isFile() ? use(fd, stat.size) : undefined;
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
