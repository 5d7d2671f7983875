import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect } from 'vitest';
import { stays, test, until, type Config, type Scene } from '../support/service.js';

/** A job that needs no file. */
const plain = (script: string): Config => ({ pool: 'p', args: ['/bin/sh', '-c', script] });

/** Each of these was once broken by somebody who tried. */
const appending = (scene: Scene, more: Config = {}): Config => ({
  path: scene.data,
  glob: '*',
  jobs: [scene.append()],
  ...more,
});

describe('the state is locked by another program', () => {
  test('a result that cannot be entered is kept: the file is not in flight for ever', async ({ scene }) => {
    const go = scene.path('go');
    const job = scene.script(`echo "$1" >> ${scene.runLog}; while [ ! -e ${go} ]; do sleep 0.02; done`);
    scene.watch({ updated: true, jobs: [job] });
    const service = await scene.start();
    const file = scene.drop('a');
    await scene.ran(1);
    const other = new Database(join(scene.state, 'watch.db'));
    other.exec('BEGIN IMMEDIATE');
    writeFileSync(go, '');
    await service.hears(/cannot (record|write)/);
    other.exec('ROLLBACK');
    other.close();
    await scene.marked('._w_0_a.done');
    writeFileSync(file, 'changed');
    utimesSync(file, 1, 1);
    await scene.ran(2);
  });
});

describe('a folder is replaced by another one', () => {
  test('its files are new, though their names are known', async ({ scene }) => {
    mkdirSync(join(scene.data, 'a'));
    mkdirSync(scene.path('new'));
    writeFileSync(join(scene.data, 'a', 'x'), 'one');
    writeFileSync(join(scene.path('new'), 'x'), 'another');
    scene.watch({ recursive: true, rescan: 0.5, state_path: scene.path('markers') });
    await scene.start();
    await scene.ran(1);
    await until(() => existsSync(scene.path('markers/a/._w_0_x.done')), 'the first result');
    renameSync(join(scene.data, 'a'), scene.path('old'));
    renameSync(scene.path('new'), join(scene.data, 'a'));
    await scene.ran(2);
  });
});

describe('a reload', () => {
  test('to another path and back neither runs a file twice nor marks one that never ran', async ({
    scene,
  }) => {
    const go = scene.path('go');
    const elsewhere = scene.path('elsewhere');
    mkdirSync(elsewhere);
    const job = scene.script(`echo "$1" >> ${scene.runLog}; while [ ! -e ${go} ]; do sleep 0.02; done`);
    const at = (path: string): void => scene.configure({ watch: { w: { path, glob: '*', jobs: [job] } } });
    at(scene.data);
    const service = await scene.start();
    const file = scene.drop('x');
    await scene.ran(1);
    at(elsewhere);
    service.signal('SIGHUP');
    await service.hears(/reloaded: changed w/);
    writeFileSync(go, '');
    await scene.marked('._w_0_x.done');
    expect(existsSync(join(elsewhere, '._w_0_x.done'))).toBe(false);
    copyFileSync(file, join(elsewhere, 'x'));
    await scene.ran(2);
    at(scene.data);
    service.signal('SIGHUP');
    await until(() => service.said(/reloaded: changed w/) === 2, 'the second reload');
    await stays(() => scene.runs().length === 2, 'no second run', 300);
  });

  test('that takes a service away and brings it back starts it again', async ({ scene }) => {
    const service = plain(`echo up >> ${scene.runLog}; trap 'sleep 0.5; exit' TERM; sleep 60 & wait`);
    const both: Config = { watch: { w: appending(scene), svc: { jobs: [service] } } };
    scene.configure(both);
    const watcher = await scene.start();
    await scene.ran(1);
    scene.configure({ watch: { w: appending(scene) } });
    watcher.signal('SIGHUP');
    await watcher.hears(/reloaded: removed svc/);
    scene.configure(both);
    watcher.signal('SIGHUP');
    await scene.ran(2);
  });

  test('a service that no configuration names any more is ended by the next start', async ({ scene }) => {
    const job = plain(
      `echo up >> ${scene.runLog}; trap 'echo down >> ${scene.runLog}; exit' TERM; sleep 60 & wait`,
    );
    scene.configure({ watch: { w: appending(scene), svc: { jobs: [job] } } });
    const first = await scene.start();
    await scene.ran(1);
    await first.stop();
    scene.configure({ watch: { w: appending(scene) } });
    await scene.start();
    await scene.ran(2);
    expect(scene.runs()[1]).toContain('down');
  });
});

describe('events are lost', () => {
  test('a file deleted and dropped again is found by the next scan all the same', async ({ scene }) => {
    const mute = scene.path('mute.mjs');
    writeFileSync(
      mute,
      "import fs from 'node:fs';\nimport { syncBuiltinESMExports } from 'node:module';\nconst watch = fs.watch;\nfs.watch = (path, options) => watch(path, options, () => undefined);\nsyncBuiltinESMExports();\n",
    );
    scene.watch({ rescan: 0.5 });
    await scene.start(undefined, { env: { ...process.env, NODE_OPTIONS: `--import ${mute}` } });
    const file = scene.drop('a', 'first');
    await scene.marked('._w_0_a.done');
    rmSync(file);
    scene.drop('a', 'the second');
    await scene.ran(2);
  });
});

test('a service that cannot be started anew leaves the others alone', async ({ scene }) => {
  const job = (script: string): Config => scene.script(script, { args: ['sh', '-c', script] });
  scene.configure({
    watch: {
      s: { jobs: [job('echo zero >>"$log"; exec sleep 1000'), job('echo one >>"$log"; exec sleep 1')] },
    },
  });
  const service = await scene.start();
  await until(() => scene.count('zero') === 1 && scene.count('one') >= 1, 'both run');
  const database = new Database(scene.path('state', 'watch.db'));
  database.exec('BEGIN EXCLUSIVE');
  await service.hears(/cannot start a service: cannot write .*watch\.db/);
  database.exec('ROLLBACK');
  database.close();
  const before = scene.count('one');
  await until(() => scene.count('one') > before, 'the other is started again');
  expect(scene.count('zero')).toBe(1);
  expect(service.said(/refused/)).toBe(0);
});
