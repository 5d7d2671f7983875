import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { appendLine, repair, tailLines } from '../../../src/cli/box/line-file.js';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meeseeks-lines-'));
  path = join(directory, 'lines');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('appends whole lines to a private file', () => {
  appendLine(path, 'a');
  appendLine(path, 'ü');
  expect(readFileSync(path, 'utf8')).toBe('a\nü\n');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(() => appendLine(join(directory, 'no/where'), 'x')).toThrow(/ENOENT/);
});

it.each([
  ['', ''],
  ['a\n', 'a\n'],
  ['a\nhalf', 'a\n'],
  ['half', ''],
  [`a\n${'x'.repeat(200_000)}`, 'a\n'],
  ['x'.repeat(200_000), ''],
  [`${'x'.repeat(200_000)}\nhalf`, `${'x'.repeat(200_000)}\n`],
])('takes off what has no end: %#', (before, after) => {
  writeFileSync(path, before);
  repair(path);
  expect(readFileSync(path, 'utf8')).toBe(after);
});

it('reads whole lines from the end, and nothing where there is no file', () => {
  expect(tailLines(path, 10)).toEqual([]);
  repair(path);
  writeFileSync(path, 'one\ntwo\nthree\n');
  expect(tailLines(path, 1000)).toEqual(['one', 'two', 'three']);
  expect(tailLines(path, 11)).toEqual(['two', 'three']);
  expect(tailLines(path, 8)).toEqual(['three']);
});
