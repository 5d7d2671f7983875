import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../lib/make-directory.js';
import { textToBuffer } from '../lib/text.js';

/** How much of a stream a job record holds. */
const TAIL_BYTES = 1024 * 1024;

/** A directory name for any job id: readable when it can be, else a digest. Never longer than 100 bytes. */
function safeName(id: string): string {
  if (/^\w[\w.:-]{0,99}$/.test(id)) return id;
  return `~${createHash('sha256').update(textToBuffer(id)).digest('hex').slice(0, 40)}`;
}

/** Where runs have their directories: <state directory>/spool/<safe id>.<run>. */
export class Spool {
  private readonly root: string;

  constructor(directory: string) {
    this.root = join(directory, 'spool');
    makeDirectory(this.root, 0o700);
  }

  directory(id: string, run: number): string {
    return join(this.root, `${safeName(id)}.${run}`);
  }

  file(id: string, run: number, stream: 'stdout' | 'stderr'): string {
    return join(this.directory(id, run), stream);
  }

  /** Never rejects: what cannot be removed stays. */
  async remove(id: string, run: number): Promise<void> {
    await rm(this.directory(id, run), { recursive: true, force: true }).catch(() => undefined);
  }
}

/** The last bytes of a file as base64; empty when there is no such file. */
export function tail(path: string, bytes = TAIL_BYTES): string {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return '';
  }
  try {
    const { size } = fstatSync(fd);
    const length = Math.min(size, bytes);
    if (length === 0) return '';
    const buffer = Buffer.allocUnsafe(length);
    return buffer.toString('base64', 0, readSync(fd, buffer, 0, length, size - length));
  } catch {
    return '';
  } finally {
    closeSync(fd);
  }
}
