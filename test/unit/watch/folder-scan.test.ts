import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bytesToBuffer, textToBytes } from '../../../src/lib/text.js';
import { hasReliableMtime, listFolder, look } from '../../../src/watch/folder-scan.js';
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

describe('listFolder', () => {
  const list = async (path: string): Promise<string[]> => {
    const names: string[] = [];
    await listFolder(path, (name) => names.push(name));
    return names.toSorted();
  };

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
    for (let i = 0; i < 3000; i++) writeFileSync(join(directory, `f${i}`), '');
    expect(new Set(await list(directory)).size).toBe(3000);
  });

  it('throws the system error', async () => {
    await expect(list(join(temporaryDirectory(), 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('hasReliableMtime', () => {
  it('is not claimed of what cannot be looked at, nor of /proc', () => {
    expect(hasReliableMtime('/proc')).toBe(false);
    expect(hasReliableMtime('/no/such/directory')).toBe(false);
  });

  it('is claimed only where a new entry changes the mtime of the directory', () => {
    const directory = temporaryDirectory();
    if (!hasReliableMtime(directory)) return;
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
