import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { hasCode } from '../../lib/errors.js';

const NEWLINE = 10;

/** Appends a line, the whole of it or nothing. @throws the system error */
export function appendLine(path: string, line: string): void {
  withFile(path, 'a', (fd) => {
    const bytes = Buffer.from(`${line}\n`);
    const { size } = fstatSync(fd);
    try {
      for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
    } catch (error) {
      ftruncateSync(fd, size);
      throw error;
    }
  });
}

/** Takes off a line without its end, which a crash or a full disk left. */
export function repair(path: string): void {
  withExisting(path, 'r+', (fd) => {
    const { size } = fstatSync(fd);
    let end = size;
    for (let from = size; end > 0 && from > 0;) {
      from = Math.max(0, from - 64 * 1024);
      const last = read(fd, from, end - from).lastIndexOf(NEWLINE);
      end = last >= 0 ? from + last + 1 : from;
      if (last >= 0) break;
    }
    if (end < size) ftruncateSync(fd, end);
  });
}

/** The whole lines in the last `bytes` of a file; none when there is no file. */
export function tailLines(path: string, bytes: number): string[] {
  const found = withExisting(path, 'r', (fd) => {
    const { size } = fstatSync(fd);
    const lines = read(fd, Math.max(0, size - bytes), Math.min(size, bytes))
      .toString()
      .split('\n');
    return size > bytes ? lines.slice(1) : lines;
  });
  return (found ?? []).filter((line) => line !== '');
}

/** Makes sure that what was written is on disk. */
export function sync(path: string): void {
  withExisting(path, 'r', fsyncSync);
}

function read(fd: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  return buffer.subarray(0, readSync(fd, buffer, 0, length, position));
}

function withExisting<T>(path: string, flags: string, action: (fd: number) => T): T | undefined {
  try {
    return withFile(path, flags, action);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function withFile<T>(path: string, flags: string, action: (fd: number) => T): T {
  const fd = openSync(path, flags, 0o600);
  try {
    return action(fd);
  } finally {
    closeSync(fd);
  }
}
