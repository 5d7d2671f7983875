import { lstatSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { entryEnd, entryType, nameEnd, nameStart, typeOf } from '../../../src/lib/dirents.js';
import { openDirectory, openPortably } from '../../../src/lib/directory-reader.js';
import { realFileSystem, type FileSystem } from '../../../src/lib/file-system.js';
import { bytesToBuffer, textToBytes } from '../../../src/lib/text.js';
import { wordBuffer, type WordBuffer } from '../../../src/lib/word-buffer.js';
import { isOnLocalFileSystem, listFolder, look, type EntryTaker } from '../../../src/watch/folder-scan.js';
import { nastyNames, temporaryDirectory, textOf } from '../../support/watch-fixtures.js';

describe('look', () => {
  it('finds files, directories, and what is neither', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'file'), '12345', { mode: 0o640 });
    expect(look(join(directory, 'file'))).toMatchObject({ kind: 'file', stat: { size: 5 } });
    expect(look(directory)).toMatchObject({ kind: 'directory' });
    expect(look(join(directory, 'none'))).toEqual({ kind: 'gone' });
    expect(look(join(directory, 'file', 'below'))).toEqual({ kind: 'gone' });
    const server = createServer().listen(join(directory, 'socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    expect(look(join(directory, 'socket'))).toEqual({ kind: 'other' });
    server.close();
  });

  it('tells mode and times to the nanosecond', () => {
    const path = join(temporaryDirectory(), 'x');
    writeFileSync(path, '', { mode: 0o600 });
    const looked = look(path);
    if (looked.kind !== 'file') throw new Error(looked.kind);
    expect(looked.mode & 0o777).toBe(0o600);
    expect(Math.abs(Number(looked.stat.mtimeNs / 1_000_000n) - Date.now())).toBeLessThan(60_000);
  });

  it('follows links, and takes a dangling or circular one for nothing', () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'file'), 'abc');
    symlinkSync('file', join(directory, 'link'));
    symlinkSync('none', join(directory, 'dangling'));
    symlinkSync('circle', join(directory, 'circle'));
    expect(look(join(directory, 'link'))).toMatchObject({ kind: 'file', stat: { size: 3 } });
    expect(look(join(directory, 'dangling'))).toEqual({ kind: 'gone' });
    expect(look(join(directory, 'circle'))).toEqual({ kind: 'gone' });
  });

  it('reports other trouble', () => {
    expect(look(join(temporaryDirectory(), 'x'.repeat(300)))).toMatchObject({ kind: 'error' });
  });
});

/** Names of entries, but for `.` and `..`; wants every other one again, as the beginning of a block is wanted. */
class Names implements EntryTaker<string[]> {
  readonly names: string[] = [];

  *take(entries: WordBuffer, from: number, to: number): Generator<undefined, number> {
    let before = from;
    for (let at = from; at < to;) {
      const end = entryEnd(entries, at);
      if (end === to) return before;
      this.#add(entries, at, end);
      before = at = end;
      yield;
    }
    return before;
  }

  *finish(entries: WordBuffer, from: number, to: number): Generator<undefined, string[]> {
    for (let at = from; at < to; at = entryEnd(entries, at)) {
      this.#add(entries, at, entryEnd(entries, at));
      yield;
    }
    return this.names.filter((name) => name !== '.' && name !== '..').toSorted();
  }

  #add(entries: WordBuffer, at: number, end: number): void {
    this.names.push(entries.bytes.toString('latin1', nameStart(at), nameEnd(entries, at, end)));
  }
}

const portably: FileSystem = {
  ...realFileSystem,
  openDirectory: (path) => Promise.resolve().then(() => openPortably(path)),
};

describe.each([
  { way: 'at once', fs: realFileSystem, isBeside: false },
  { way: 'beside the event loop', fs: realFileSystem, isBeside: true },
  { way: 'without getdents64', fs: portably, isBeside: false },
])('listFolder, $way', ({ fs, isBeside }) => {
  const list = (path: string): Promise<string[]> => listFolder(path, new Names(), fs, isBeside);

  it('gives the bytes of every name, hidden ones too', async () => {
    const directory = temporaryDirectory();
    const names = [...nastyNames, '.hidden', '._w_0_x.done'].map(textToBytes);
    for (const name of names) writeFileSync(bytesToBuffer(`${directory}/${name}`), '');
    expect(await list(directory)).toEqual(names.toSorted());
  });

  it('lists a directory whose own name is no UTF-8', async () => {
    const directory = `${temporaryDirectory()}/${textToBytes(textOf(0xff))}`;
    mkdirSync(bytesToBuffer(directory));
    writeFileSync(bytesToBuffer(`${directory}/x`), '');
    expect(await list(directory)).toEqual(['x']);
  });

  it('lists more than a block', async () => {
    const directory = temporaryDirectory();
    const names = Array.from({ length: 3000 }, (_, i) => `${i}`.padEnd(200, 'x'));
    for (const name of names) writeFileSync(join(directory, name), '');
    expect(await list(directory)).toEqual(names.toSorted());
  });

  it('throws the system error', async () => {
    const directory = temporaryDirectory();
    await expect(list(join(directory, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
    writeFileSync(join(directory, 'file'), '');
    await expect(list(join(directory, 'file'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  it('lists several folders at a time', async () => {
    const directories = Array.from({ length: 20 }, () => temporaryDirectory());
    for (const [i, directory] of directories.entries())
      for (let n = 0; n < 300; n++) writeFileSync(join(directory, `${i}-${n}`), '');
    const listed = await Promise.all(directories.map(list));
    expect(listed.map((names) => names.length)).toEqual(directories.map(() => 300));
    for (const [i, names] of listed.entries())
      expect(names.every((name) => name.startsWith(`${i}-`))).toBe(true);
  });
});

describe('openDirectory', () => {
  it('tells inodes and types, and the error of a read in either way', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'file'), '');
    mkdirSync(join(directory, 'directory'));
    symlinkSync('none', join(directory, 'link'));
    const buffer = wordBuffer(4096);
    const reader = await openDirectory(Buffer.from(directory), true);
    const end = await reader.read(buffer, 0, 4096);
    const found = new Map<string, [number, bigint]>();
    for (let at = 0; at < end; at = entryEnd(buffer, at)) {
      const name = buffer.bytes.toString('latin1', nameStart(at), nameEnd(buffer, at, entryEnd(buffer, at)));
      found.set(name, [typeOf(buffer, at), buffer.bytes.readBigUInt64LE(at)]);
    }
    for (const [name, type] of [
      ['file', entryType.file],
      ['directory', entryType.directory],
      ['link', entryType.link],
    ] as const)
      expect(found.get(name)).toEqual([type, lstatSync(join(directory, name), { bigint: true }).ino]);
    expect(await reader.read(buffer, 0, 4096)).toBe(0);
    // EINVAL, for not even one entry fits
    const again = await openDirectory(Buffer.from(directory), true);
    await expect(Promise.resolve(again.read(buffer, 0, 8))).rejects.toMatchObject({ code: 'EINVAL' });
    const atOnce = await openDirectory(Buffer.from(directory), false);
    expect(() => atOnce.read(buffer, 0, 8)).toThrow(/EINVAL/);
    for (const one of [reader, again, atOnce]) one.close();
  });

  it.each([true, false])(
    'finds nothing more in a directory that is removed meanwhile, beside: %s',
    async (isBeside) => {
      const directory = temporaryDirectory();
      const reader = await openDirectory(Buffer.from(directory), isBeside);
      rmdirSync(directory);
      expect(await reader.read(wordBuffer(4096), 0, 4096)).toBe(0);
      reader.close();
    },
  );

  it('reads more directories at a time than the library has room for', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'file'), '');
    const readers = await Promise.all(
      Array.from({ length: 400 }, () => openDirectory(Buffer.from(directory), true)),
    );
    const ends = await Promise.all(readers.map(async (reader) => reader.read(wordBuffer(4096), 0, 4096)));
    expect(new Set(ends).size).toBe(1);
    expect(ends[0]).toBeGreaterThan(0);
    for (const reader of readers) reader.close();
  });
});

describe('isOnLocalFileSystem', () => {
  it('is not claimed of what cannot be looked at, nor of /proc', () => {
    expect(isOnLocalFileSystem('/proc')).toBe(false);
    expect(isOnLocalFileSystem('/no/such/directory')).toBe(false);
  });

  it('is claimed only where a new entry changes the mtime of the directory', () => {
    const directory = temporaryDirectory();
    if (!isOnLocalFileSystem(directory)) return;
    const mtime = (): bigint => {
      const looked = look(directory);
      if (looked.kind !== 'directory') throw new Error(looked.kind);
      return looked.stat.mtimeNs;
    };
    const before = mtime();
    const made = mkdtempSync(join(directory, 'x'));
    const between = mtime();
    rmSync(made, { recursive: true });
    expect(between).toBeGreaterThan(before);
  });
});
