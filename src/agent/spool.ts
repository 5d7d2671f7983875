import { createHash } from 'node:crypto';
import { lstatSync, readSync } from 'node:fs';
import { rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../lib/errors.js';
import { makeDirectory } from '../lib/make-directory.js';
import { withRegularFile } from '../lib/regular-file.js';
import { textToBuffer } from '../lib/text.js';
import { runFiles, streamFile } from '../executors/executor.js';

/** How much of a stream a job record holds. */
const TAIL_BYTES = 1024 * 1024;

/** A directory name for any job id: readable when it can be, else a digest. Never longer than 100 bytes. */
function safeName(id: string): string {
  if (/^\w[\w.:-]{0,99}$/.test(id)) return id;
  return `~${createHash('sha256').update(textToBuffer(id)).digest('hex').slice(0, 40)}`;
}

/** Where runs have their files: <state directory>/spool/<safe id>.<run>.stdout and so on. */
export class Spool {
  private readonly root: string;

  constructor(directory: string) {
    this.root = join(directory, 'spool');
    makeDirectory(this.root, 0o700);
  }

  /** What the names of its files begin with. */
  path(id: string, run: number): string {
    return join(this.root, `${safeName(id)}.${run}`);
  }

  file(id: string, run: number, stream: 'stdout' | 'stderr'): string {
    return streamFile(this.path(id, run), stream);
  }

  /** Never rejects: what cannot be removed stays. */
  async remove(id: string, run: number): Promise<void> {
    const files = runFiles(this.path(id, run));
    await Promise.all(files.map(removeFile));
  }
}

async function removeFile(path: string): Promise<void> {
  await unlink(path).catch(async (error: unknown) => {
    // of a run that never began
    if (!hasCode(error, 'ENOENT')) await rm(path, { recursive: true, force: true }).catch(() => undefined);
  });
}

/** The last bytes of a file as base64; empty when there is no such regular file. */
export const tail = (path: string, bytes = TAIL_BYTES): string =>
  read(path, (size) => [Math.max(0, size - bytes), bytes]).data;

/** Some bytes of a file as base64, and how many it has; nothing when there is no such regular file. */
export const readPart = (path: string, offset: number, bytes: number): FilePart =>
  read(path, () => [offset, bytes]);

interface FilePart {
  readonly size: number;
  /** base64 */
  readonly data: string;
}

const NOTHING: FilePart = { size: 0, data: '' };

function read(path: string, range: (size: number) => readonly [offset: number, bytes: number]): FilePart {
  if (isEmpty(path)) return NOTHING;
  const part = withRegularFile(path, (fd, size) => {
    const [offset, bytes] = range(size);
    const length = Math.min(size - offset, bytes);
    if (length <= 0) return { size, data: '' };
    const buffer = Buffer.allocUnsafe(length);
    return { size, data: buffer.toString('base64', 0, readSync(fd, buffer, 0, length, offset)) };
  });
  return part ?? NOTHING;
}

/** Most jobs say nothing: that takes one call to see. */
function isEmpty(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.size === 0;
  } catch {
    return false;
  }
}
