import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach } from 'vitest';
import { formatProblem, load, type Loaded } from '../../../src/config/load.js';
import type { WatchDefinition } from '../../../src/config/schema.js';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** A directory of real files, removed after the test. */
export function filesIn(files: Readonly<Record<string, string | Buffer>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'meeseeks-config-'));
  directories.push(directory);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), content);
  }
  return directory;
}

/** Loads these files, in order, with their directory as the current one. */
export function loadFiles(
  files: Readonly<Record<string, string | Buffer>>,
  overrides: string[] = [],
): Loaded {
  return load(Object.keys(files), overrides, { cwd: filesIn(files) });
}

export const lines = (loaded: Loaded): string[] => loaded.problems.map(formatProblem);

/** The problems of one JSON file as the operator sees them. */
export const problemsOf = (text: string, overrides: string[] = []): string[] =>
  lines(loadFiles({ 'a.json': text }, overrides));

/** The watches of a configuration that must be right. */
export function watchesOf(value: unknown, overrides: string[] = []): WatchDefinition[] {
  const loaded = loadFiles({ 'a.json': JSON.stringify(value) }, overrides);
  if (loaded.config === undefined) throw new Error(lines(loaded).join('\n'));
  return [...loaded.config.watches];
}

export const watchOf = (value: unknown, overrides: string[] = []): WatchDefinition =>
  watchesOf(value, overrides)[0]!;

export const jobs = [{ pool: 'p', args: ['true'] }];
