import { spawn, type ChildProcess } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../support/service.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

let clone: string;
let child: ChildProcess | undefined;

beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'meeseeks-readme-'));
  for (const name of ['package.json', 'README.md']) copyFileSync(join(root, name), join(clone, name));
  cpSync(join(root, 'examples'), join(clone, 'examples'), { recursive: true });
  cpSync(join(root, 'dist'), join(clone, 'dist'), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'));
});

afterEach(() => {
  try {
    if (child?.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // the whole group has ended, as it should
  }
  rmSync(clone, { recursive: true, force: true, maxRetries: 20, retryDelay: 10 });
});

/** The first command of the README, without the installation that CI has just done. */
function firstCommand(): string {
  const readme = readFileSync(join(clone, 'README.md'), 'utf8');
  const block = /```sh\n([^]*?)```/.exec(readme)?.[1] ?? '';
  expect(block).toMatch(/^npm ci && /);
  return block.replace(/^npm ci && /, '');
}

it('the first command of the README runs the watcher, and a dropped file gets its job', async () => {
  const env = { ...process.env, XDG_STATE_HOME: join(clone, 'state') };
  child = spawn('/bin/sh', ['-c', firstCommand()], { cwd: clone, env, detached: true, stdio: 'ignore' });
  const exited = new Promise((resolve) => child!.once('exit', resolve));
  const south = join(clone, 'demo/data/south');
  await until(
    () => existsSync(join(south, '._count-south_0_synop_20260101.csv.done')),
    'what is there is processed',
  );
  copyFileSync(join(clone, 'demo/data/north/synop_20260101.csv'), join(south, 'new.csv'));
  await until(() => existsSync(join(south, '._count-south_0_new.csv.done')), 'the dropped file is processed');
  expect(readFileSync(join(south, 'new.count'), 'utf8').trim()).toMatch(/^\d+$/);
  process.kill(-child.pid!, 'SIGINT');
  await exited;
});
