import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect } from 'vitest';
import { stays, test, until, type Scene } from '../support/service.js';

/** What another user can put where a watcher works. */
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const needsRoot = 'needs root, to have another user';

/** As another user where that is possible; the kernel's and our checks of owners are what is tested. */
function plant(path: string, content: string): void {
  writeFileSync(path, content);
  if (isRoot) chownSync(path, NOBODY, NOBODY);
}

const canary = (scene: Scene): string => scene.path('canary');
const evil = (scene: Scene): Record<string, unknown> => ({
  args: ['touch', canary(scene)],
  command: `touch ${canary(scene)}`,
  pid: process.pid,
  id: '../../victim',
  stdout_path: canary(scene),
  spool: scene.path('victim'),
  file: '../../victim',
  watch: 'w',
  state: 'failed',
  attempt: 1,
  end_ts: 1,
});
const identity = { mtime_ns: '1', size: 1, inode: '1', birth_ns: '1' };

describe('a marker that another user has written', () => {
  test.for([
    ['a command', (scene: Scene) => JSON.stringify(evil(scene))],
    [
      'a file elsewhere',
      () => JSON.stringify({ state: 'failed', file: '../../victim', watch: 'w', identity }),
    ],
    [
      'deep nesting',
      () => `{"state":"failed","identity":${JSON.stringify(identity)},"x":${'['.repeat(500_000)}`,
    ],
    [
      'deep nesting that is whole',
      () =>
        `{"state":"failed","identity":${JSON.stringify(identity)},"x":${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
    ],
    [
      'wrong types',
      () =>
        '{"state":"failed","identity":{"mtime_ns":{},"size":"x","inode":[],"birth_ns":null},"attempt":1e999,"end_ts":"x"}',
    ],
    ['no numbers', () => '{"state":"failed","attempt":1.5,"end_ts":1e999,"identity":5,"watch":7,"file":[]}'],
    [
      'keys of prototypes',
      () =>
        '{"__proto__":{"state":"failed","polluted":1},"constructor":{"prototype":{"polluted":1}},"state":"failed"}',
    ],
    ['no JSON', () => '\u0000\u0001 not json'],
    ['nothing', () => ''],
  ] as const)('with %s: nothing of it is run, and other files are', async ([, content], { scene }) => {
    writeFileSync(scene.path('victim'), 'x');
    scene.drop('planted');
    plant(scene.file('._w_0_planted.failed'), content(scene));
    plant(scene.file('._w_0_gone.failed'), content(scene));
    plant(scene.file('._w_0_planted.mtime'), '{"__proto__":1}');
    scene.watch({ retry_delay: 0.1, updated: true, rescan: 0.3 });
    const service = await scene.start();
    scene.drop('honest');
    await until(() => scene.runs().includes('honest'), 'the honest file');
    // over a processed name: its marker is read and written again
    writeFileSync(scene.path('again'), 'yy');
    renameSync(scene.path('again'), scene.file('planted'));
    scene.drop('last');
    await until(() => scene.runs().includes('last'), 'another honest file');
    await stays(() => !service.exited && !existsSync(canary(scene)), 'nothing of it runs', 500);
    expect(scene.runs().filter((name) => !['planted', 'honest', 'last'].includes(name))).toEqual([]);
    expect(existsSync(scene.path('victim'))).toBe(true);
    expect(service.log.filter(({ level }) => level >= 50)).toEqual([]);
  });

  test.for([
    ['a pipe', (path: string) => execFileSync('mkfifo', [path])],
    ['a link to an endless device', (path: string) => symlinkSync('/dev/zero', path)],
    ['a huge file', (path: string) => (writeFileSync(path, ''), truncateSync(path, 1.9e9))],
    ['a directory', (path: string) => mkdirSync(path)],
    ['a loop', (path: string) => symlinkSync(path, path)],
  ] as const)('that is %s does not hold up the watch', async ([, make], { scene }) => {
    for (const name of ['planted', 'gone']) make(scene.file(`._w_0_${name}.failed`));
    scene.drop('planted');
    scene.watch({ retry_delay: 0.1, rescan: 0.3 });
    const service = await scene.start();
    scene.drop('honest');
    await until(
      () => scene.runs().includes('honest'),
      () => `the honest file\n${service.tail()}`,
    );
    await scene.marked('._w_0_honest.done');
    const { stdout } = await scene.run('status', '--json', scene.config);
    expect(JSON.parse(stdout)).toHaveProperty('pid');
  });
});

describe('links in a watched directory', () => {
  test('in the place of the temporary file of a marker: what it leads to is not written', async ({
    scene,
  }) => {
    const victim = scene.path('victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, scene.file('._w_0_a.done.tmp'));
    symlinkSync(victim, scene.file('._w_0_a.done'));
    scene.watch({ rescan: 60 });
    await scene.start();
    symlinkSync(victim, scene.file('._w_0_b.done.tmp'));
    scene.drop('b');
    await scene.marked('._w_0_b.done');
    expect(readFileSync(victim, 'utf8')).toBe('precious');
    expect(lstatSync(scene.file('._w_0_b.done')).isFile()).toBe(true);
  });

  test('to files, directories and round in circles: no marker and no removal outside', async ({ scene }) => {
    const outside = scene.path('outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'theirs'), 'x');
    plant(join(outside, '._w_0_gone.done'), '{"state":"done","watch":"w"}');
    symlinkSync(outside, scene.file('folder'));
    symlinkSync(join(outside, 'theirs'), scene.file('link'));
    symlinkSync('.', scene.file('loop'));
    symlinkSync('nowhere', scene.file('dangling'));
    const before = scene.snapshot(outside);
    scene.watch({ recursive: true, rescan: 0.2 });
    await scene.start();
    expect(await scene.ran(1)).toEqual(['link']);
    await scene.marked('._w_0_link.done');
    await stays(() => scene.runs().length === 1, 'nothing behind the links', 600);
    expect(scene.snapshot(outside)).toEqual(before);
  });

  test('a folder that is replaced by a link while its job runs: no marker outside, none removed', async ({
    scene,
  }) => {
    const outside = scene.path('outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'f'), 'x');
    plant(join(outside, '._w_0_f.failed'), '{"state":"failed","watch":"w"}');
    const before = scene.snapshot(outside);
    mkdirSync(scene.file('sub'));
    writeFileSync(scene.file('sub/f'), 'x');
    const go = scene.path('go');
    scene.watch({
      recursive: true,
      rescan: 0.3,
      jobs: [scene.append(':', `case "$2" in */f) until test -e ${go}; do sleep 0.02; done;; esac`)],
    });
    const service = await scene.start();
    await scene.ran(1);
    renameSync(scene.file('sub'), scene.path('moved'));
    symlinkSync(outside, scene.file('sub'));
    writeFileSync(go, '');
    await service.hears(/^done .*f/);
    scene.drop('honest');
    await scene.marked('._w_0_honest.done');
    expect(scene.snapshot(outside)).toEqual(before);
  });
});

describe('what another user has put where the watcher keeps its own', () => {
  /** The path of the lock of a watch, from a watcher that works on it. */
  async function lockOf(scene: Scene): Promise<string> {
    const service = await scene.start();
    const locks = execFileSync('sh', ['-c', `ls -l /proc/${service.child.pid}/fd`], { encoding: 'utf8' });
    await service.stop();
    return /\S+\/meeseeks-[0-9a-f]+\.lock/.exec(locks)![0];
  }

  test('a lock that it holds: the watch works all the same', async ({ scene, skip }) => {
    if (!isRoot) skip(needsRoot);
    scene.watch();
    const path = await lockOf(scene);
    // another user's process makes the file and locks it for ever
    const script = `const D = require(${JSON.stringify(createRequire(import.meta.url).resolve('better-sqlite3'))}); const d = new D(process.argv[1]); d.exec('BEGIN EXCLUSIVE'); console.log('held'); setInterval(() => {}, 1000)`;
    const holder = spawn(process.execPath, ['-e', script, path], { uid: NOBODY, gid: NOBODY });
    try {
      await new Promise((held) => holder.stdout.once('data', held));
      const service = await scene.start();
      scene.drop('a');
      await scene.ran(1);
      expect(service.said(/standing by/)).toBe(0);
      expect(lstatSync(path).uid).toBe(NOBODY);
    } finally {
      holder.kill('SIGKILL');
      execFileSync('rm', ['-f', path]);
    }
  });

  test('a link in the place of a lock: it is not followed', async ({ scene }) => {
    scene.watch();
    const path = await lockOf(scene);
    const victim = scene.path('victim.db');
    const database = new Database(victim);
    database.exec('CREATE TABLE t (x)');
    symlinkSync(victim, path);
    try {
      lutimesSync(path, 1, 1);
      database.exec('BEGIN EXCLUSIVE');
      const service = await scene.start();
      scene.drop('a');
      await scene.ran(1);
      expect(service.said(/standing by/)).toBe(0);
    } finally {
      database.close();
      execFileSync('rm', ['-f', path]);
    }
  });

  test.for([
    ['the directory itself', (state: string) => chownSync(state, NOBODY, NOBODY)],
    ['agent.db', (state: string) => plant(join(state, 'agent.db'), '')],
    ['control.sock', (state: string) => plant(join(state, 'control.sock'), '')],
    [
      'spool',
      (state: string) => (mkdirSync(join(state, 'spool')), chownSync(join(state, 'spool'), NOBODY, NOBODY)),
    ],
  ] as const)('%s in the state directory: refused, with what to do', async ([, make], { scene, skip }) => {
    if (!isRoot) skip(needsRoot);
    mkdirSync(scene.state, { mode: 0o777 });
    make(scene.state);
    scene.watch();
    scene.drop('a');
    const result = await scene.run(scene.config);
    expect(result.code).toBe(3);
    expect(result.stderr).toMatch(/belongs to user 65534.*chown -R.*state_dir/);
    expect(scene.runs()).toEqual([]);
  });

  test('a configuration that anybody may write is told of', async ({ scene }) => {
    scene.watch();
    chmodSync(scene.config, 0o666);
    const service = await scene.start();
    expect(service.said(/anybody may write .*watch\.json.*chmod o-w/)).toBe(1);
    await service.stop();
    chmodSync(scene.config, 0o664);
    expect((await scene.start()).said(/anybody may write/)).toBe(0);
  });
});
