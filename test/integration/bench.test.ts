import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../support/service.js';

const root = resolve(import.meta.dirname, '../..');
const main = join(root, 'bench/main.mjs');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Row {
  readonly what: string;
  readonly value?: number;
  readonly values?: readonly number[];
  readonly ratio?: number;
  readonly ok?: boolean;
  readonly reference?: { readonly name: string; readonly value: number };
}

describe('the benchmarks', () => {
  let directory: string;
  let places: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'meeseeks-bench-test-'));
    places = join(directory, 'places');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  const env = () => ({ ...process.env, BENCH_DIR: places });
  const left = (): string[] => readdirSync(places);
  /** Processes that name a directory of the benchmarks in their command line. */
  const processes = (): string[] =>
    readdirSync('/proc').filter((pid) => {
      try {
        return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(places);
      } catch {
        return false;
      }
    });

  it('print a table, write all figures beside their references, and leave nothing behind', () => {
    const json = join(directory, 'figures.json');
    const args = [main, '--quick', '--rounds', '1', '--json', json, 'startup', 'recovery'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { env: env(), encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const { rows, runs } = JSON.parse(readFileSync(json, 'utf8')) as { rows: Row[]; runs: unknown[] };
    expect(runs).toMatchObject([{ rounds: 1, node: process.version, benchmarks: ['startup', 'recovery'] }]);
    const help = rows.find(({ what }) => what === 'meeseeks-watch --help');
    expect(help).toMatchObject({ reference: { name: 'node -e 0' }, ok: expect.any(Boolean) });
    expect(help?.ratio).toBeCloseTo(help!.value! / help!.reference!.value);
    expect(help?.values).toHaveLength(1);
    expect(stdout).toMatch(/^startup +meeseeks-watch --help .*(yes|NO)$/m);
    expect(stdout).toMatch(/^recovery +start after kill -9, 1,000 jobs /m);
    expect(left()).toEqual([]);
    expect(processes()).toEqual([]);
  });

  it('leave nothing behind when they are interrupted', async () => {
    const child = spawn(process.execPath, [main, '--quick', 'latency', 'ready'], {
      env: env(),
      stdio: 'ignore',
    });
    const ended = once(child, 'exit');
    await until(() => processes().length > 2, 'a watcher and its peer run');
    child.kill('SIGINT');
    expect(await ended).toEqual([130, null]);
    expect(left()).toEqual([]);
    await until(() => processes().length === 0, 'all of it has ended');
  });

  it('refuse a name that they do not know', () => {
    const { status, stdout } = spawnSync(process.execPath, [main, 'sacn'], { encoding: 'utf8' });
    expect(status).toBe(2);
    expect(stdout).toContain('no such benchmark: sacn');
  });
});

describe('the page of the figures', () => {
  const help = (): string => execFileSync(process.execPath, [main, '--help'], { encoding: 'utf8' });

  it('calls only what is there', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const page = read('docs/performance.md');
    const calls = [...page.matchAll(/npm run ([\w:]+)(?: -- ([^\n#`]*))?/g)];
    expect(calls.length).toBeGreaterThan(5);
    expect(calls.map(([, script]) => script!).filter((script) => !(script in scripts))).toEqual([]);
    const words = calls.flatMap(([, , rest]) => rest?.trim().split(/\s+/) ?? []);
    const known = help();
    const unknown = words.filter(
      (word) => !/^\d+$|\//.test(word) && !new RegExp(`^ +${word}( |$)`, 'm').test(known),
    );
    expect(unknown).toEqual([]);
  });

  it('shows those of the record', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'bench/document.mjs'), '--check'], {
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});
