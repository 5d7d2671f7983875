import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { tryLock } from '../../../src/lib/file-lock.js';
import { makeDirectory } from '../../../src/lib/make-directory.js';

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'meeseeks-lock-'))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('is one holder at a time, and leaves no file behind', () => {
  const path = join(directory, 'lock');
  const release = tryLock(path);
  expect(release).toBeDefined();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(tryLock(path)).toBeUndefined();
  release!();
  expect(existsSync(path)).toBe(false);
  const again = tryLock(path);
  expect(again).toBeDefined();
  again!();
});

it('ends with its process, however that ends', async () => {
  const path = join(directory, 'lock');
  const script = join(directory, 'hold.cjs');
  const sqlite = join(process.cwd(), 'node_modules/better-sqlite3');
  writeFileSync(
    script,
    `const db = new (require(${JSON.stringify(sqlite)}))(process.argv[2]); db.exec('BEGIN EXCLUSIVE'); console.log('held'); setInterval(() => {}, 1000);`,
  );
  const holder = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  expect(tryLock(path)).toBeUndefined();
  const gone = new Promise((resolve) => holder.once('exit', resolve));
  holder.kill('SIGKILL');
  await gone;
  const release = tryLock(path);
  expect(release).toBeDefined();
  release!();
});

it('throws where no file can be made', () => {
  expect(() => tryLock(join(directory, 'nowhere', 'lock'))).toThrow();
});

it('directories are made with their parents, and what cannot be made ends in an error, not in a loop', () => {
  makeDirectory(join(directory, 'a/b/c'), 0o700);
  makeDirectory(join(directory, 'a/b/c'), 0o700);
  expect(statSync(join(directory, 'a/b/c')).mode & 0o777).toBe(0o700);
  writeFileSync(join(directory, 'file'), '');
  expect(() => makeDirectory(join(directory, 'file/x'), 0o700)).toThrow(/ENOTDIR/);
  expect(() => makeDirectory('/proc/meeseeks/x', 0o700)).toThrow(/ENOENT/);
  const inTheWay = { code: 'EEXIST', message: '/dev/null is there and is no directory' };
  expect(() => makeDirectory('/dev/null', 0o700)).toThrow(expect.objectContaining(inTheWay) as Error);
});
