import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { bytesToBuffer } from '../lib/text.js';

/**
 * Which of the files some process on this machine holds open for writing, as far as /proc shows it to us (all
 * processes to root, our own otherwise). There is no close event in Node's fs.watch; this is the evidence that a
 * file being written slowly is not complete. Writers on other machines are invisible: use min_age or `ready`.
 * @param paths absolute, bytes
 */
export function openForWriting(paths: Iterable<string>): Set<string> {
  const byRealPath = new Map<string, string>();
  for (const path of paths) byRealPath.set(realPath(path), path);
  const open = new Set<string>();
  for (const pid of numericNames('/proc')) {
    if (Number(pid) === process.pid) continue;
    collectOfProcess(pid, byRealPath, open);
  }
  return open;
}

function collectOfProcess(pid: string, wanted: ReadonlyMap<string, string>, open: Set<string>): void {
  for (const fd of numericNames(`/proc/${pid}/fd`)) {
    const path = wanted.get(linkTarget(`/proc/${pid}/fd/${fd}`));
    if (path !== undefined && !open.has(path) && isWritable(pid, fd)) open.add(path);
  }
}

/** proc(5): `flags` in fdinfo is octal; the lowest two bits are O_RDONLY, O_WRONLY or O_RDWR. */
function isWritable(pid: string, fd: string): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & 3) !== 0;
  } catch {
    return false;
  }
}

function numericNames(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path, { encoding: 'latin1' });
  } catch {
    return '';
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(bytesToBuffer(path), { encoding: 'latin1' });
  } catch {
    return path;
  }
}
