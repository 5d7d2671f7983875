import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { syncDirectory, writeFileAtomic } from '../../../src/lib/atomic-write.js';
import { temporaryDirectory } from '../../support/watch-fixtures.js';

let directory: string;
let path: string;
beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory, 'x');
});

it('writes the whole content and leaves no temporary file', () => {
  writeFileAtomic(path, `${path}.tmp`, 'ü'.repeat(200_000));
  expect(readFileSync(path, 'utf8')).toBe('ü'.repeat(200_000));
  expect(readdirSync(directory)).toEqual(['x']);
});

it('replaces the file instead of writing into it: a reader keeps the old one', () => {
  writeFileSync(path, 'old');
  const before = statSync(path).ino;
  writeFileAtomic(path, `${path}.tmp`, 'new');
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(statSync(path).ino).not.toBe(before);
});

it('takes over a temporary file that a crash left', () => {
  writeFileSync(`${path}.tmp`, 'something long that was left behind');
  writeFileAtomic(path, `${path}.tmp`, 'new');
  expect(readFileSync(path, 'utf8')).toBe('new');
});

it('has the mode asked for', () => {
  writeFileAtomic(path, `${path}.tmp`, 'secret', 0o600);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

it('throws the system error and leaves the old file alone and no temporary one', () => {
  mkdirSync(path);
  expect(() => writeFileAtomic(path, `${path}.tmp`, 'new')).toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  expect(existsSync(`${path}.tmp`)).toBe(false);
  expect(statSync(path).isDirectory()).toBe(true);
  expect(() => writeFileAtomic(join(directory, 'a/b'), join(directory, 'a/b.tmp'), '')).toThrow('ENOENT');
});

it('syncDirectory takes a directory and throws for what is not there', () => {
  syncDirectory(directory);
  expect(() => syncDirectory(join(directory, 'none'))).toThrow('ENOENT');
});
