import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clientPage } from '../../src/cli/client/client-page.js';
import { boxPage } from '../../src/cli/help/box-page.js';
import { renderText, type Page } from '../../src/cli/help/page.js';
import { watchPage } from '../../src/cli/help/watch-page.js';
import { RealBox } from '../unit/client/real-box.js';

const dist = process.env['MEESEEKS_TEST_DIST'] ?? resolve(import.meta.dirname, '../../dist');
const program = (name: string): string => join(dist, 'bin', `${name}.js`);

/** Writes down everything that is imported, into the file that MODULES names. */
const hooks = `
import { appendFileSync } from 'node:fs';
export async function load(url, context, next) {
  appendFileSync(process.env.MODULES, url + '\\n');
  return next(url, context);
}`;
const register = (file: string): string =>
  `data:text/javascript,import { register } from 'node:module'; register(${JSON.stringify(`file://${file}`)});`;

/** A short command spends most of its time on being loaded: what it does not use must stay away. */
describe('a short command', () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'meeseeks-start-'))));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  function loaded(name: string, ...args: string[]): { modules: string[]; status: number | null } {
    const [file, list] = [join(directory, 'hooks.mjs'), join(directory, 'list')];
    writeFileSync(file, hooks);
    const { status } = spawnSync(process.execPath, ['--import', register(file), program(name), ...args], {
      env: { PATH: process.env['PATH'], HOME: directory, MODULES: list },
    });
    const modules = existsSync(list) ? readFileSync(list, 'utf8').trim().split('\n') : [];
    return { modules: modules.map((url) => url.replace(/^.*\/(?=dist\/|node_modules\/)/, '')), status };
  }
  const libraries = (modules: readonly string[]): string[] =>
    modules.filter((module) => module.startsWith('node_modules/') || module === 'node:tls');

  it.each(['meeseeks-watch', 'meeseeks-box', 'meeseeks-client'])('%s --help loads no library', (name) => {
    const { modules, status } = loaded(name, '--help');
    expect(status).toBe(0);
    expect(modules).toContain(`dist/bin/${name}.js`);
    expect(libraries(modules)).toEqual([]);
    expect(modules.filter((module) => module.startsWith('dist/')).length).toBeLessThanOrEqual(12);
  });

  it('meeseeks-client stat loads no library and no TLS, and comes in few files', async () => {
    const box = await RealBox.start();
    try {
      const { modules, status } = loaded('meeseeks-client', `port=${box.port}`, 'stat');
      expect(status).toBe(0);
      expect(modules).toContain('dist/bin/meeseeks-client.js');
      expect(libraries(modules)).toEqual([]);
      expect(modules.filter((module) => module.startsWith('dist/')).length).toBeLessThanOrEqual(6);
    } finally {
      await box.remove();
    }
  });

  it('is seen to load what it does load, so that the others mean something', () => {
    const { modules } = loaded('meeseeks-watch', 'schema');
    expect(libraries(modules).join()).toMatch(/node_modules\/yargs.*node_modules\/zod/);
  });

  it.each<[Page]>([[watchPage], [boxPage], [clientPage]])('prints the page of $name', (page) => {
    const text = execFileSync(process.execPath, [program(page.name), '--help'], { encoding: 'utf8' });
    expect(text).toBe(renderText(page));
  });
});
