import { writeFileSync } from 'node:fs';
import { entryEnd } from '../../src/lib/dirents.js';
import type { DirectoryReader } from '../../src/lib/directory-reader.js';
import { realFileSystem, type FileSystem } from '../../src/lib/file-system.js';
import { wordBuffer } from '../../src/lib/word-buffer.js';

export type FaultKind = 'EIO' | 'ENOSPC' | 'EMFILE' | 'EROFS' | 'ESTALE' | 'short write';

export interface Fault {
  /** the first operation that fails, from 1; Infinity for none */
  readonly at: number;
  /** how many fail in a row; default 1 */
  readonly times?: number;
  readonly kind: FaultKind;
  /** only operations of these names count and fail */
  readonly only?: readonly string[];
}

export interface FaultyFileSystem {
  readonly fs: FileSystem;
  /** names of the operations so far, as far as they count */
  readonly operations: string[];
  /** what failed */
  readonly failed: string[];
}

/** Closing always works: what an error of close(2) means is undefined on Linux, and tests must not leak descriptors. */
const spared = new Set(['closeSync', 'existsSync']);

/** The real file system, but the n-th operation fails. Listing a directory counts an operation an entry. */
export function faultyFileSystem(fault: Fault): FaultyFileSystem {
  const operations: string[] = [];
  const failed: string[] = [];
  const step = (name: string): boolean => {
    if (spared.has(name) || (fault.only !== undefined && !fault.only.includes(name))) return false;
    operations.push(name);
    const fails = operations.length >= fault.at && operations.length < fault.at + (fault.times ?? 1);
    if (fails) failed.push(name);
    return fails;
  };
  const fs = new Proxy(realFileSystem, {
    get: (target, name: keyof FileSystem) => {
      const real = target[name] as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => {
        if (step(name)) return fail(fault.kind, name, args);
        const result = real(...args);
        return name === 'openDirectory'
          ? (result as ReturnType<FileSystem['openDirectory']>).then((reader) =>
              faultyReader(reader, step, fault.kind),
            )
          : result;
      };
    },
  });
  return { fs, operations, failed };
}

function fail(kind: FaultKind, name: string, args: readonly unknown[]): never {
  if (kind === 'short write' && name === 'writeFileSync') {
    const content = String(args[1]);
    writeFileSync(args[0] as number, content.slice(0, content.length / 2));
  }
  const code = kind === 'short write' ? 'ENOSPC' : kind;
  throw Object.assign(new Error(`${code}: injected, ${name}`), { code, syscall: name });
}

/** Reads an entry at a time, so that each can be the one that fails. */
function faultyReader(
  reader: DirectoryReader,
  step: (name: string) => boolean,
  kind: FaultKind,
): DirectoryReader {
  const source = wordBuffer(256 * 1024);
  let at = 0;
  let end = 0;
  return {
    read: async (buffer, from, to) => {
      if (step('readdir')) return fail(kind, 'readdir', []);
      if (at === end) {
        source.bytes.fill(0);
        at = 0;
        end = await reader.read(source, 0, 256 * 1024);
        if (end === 0) return from;
      }
      const next = entryEnd(source, at);
      if (from + next - at > to) throw new RangeError('no room for an entry');
      source.bytes.copy(buffer.bytes, from, at, next);
      const filled = from + next - at;
      at = next;
      return filled;
    },
    close: () => reader.close(),
  };
}
