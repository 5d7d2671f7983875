import { appendFileSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { stays, test, until } from '../support/service.js';

describe('markers are the truth', () => {
  test('a marker removed by hand: the file runs again, at once and after a restart', async ({ scene }) => {
    scene.watch();
    const first = await scene.start();
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    rmSync(scene.file('._w_0_a.done'));
    await scene.ran(2);
    await scene.marked('._w_0_a.done');
    await first.stop();
    rmSync(scene.file('._w_0_a.done'));
    const second = await scene.start();
    await scene.ran(3);
    await scene.marked('._w_0_a.done');
    await second.crash();
    rmSync(scene.file('._w_0_a.done'));
    await scene.start();
    await scene.ran(4);
    await stays(() => scene.runs().length === 4, 'once each', 300);
  });

  test('a marker made by hand: the file counts as processed', async ({ scene }) => {
    scene.watch({ min_age: 0.5 });
    await scene.start();
    scene.drop('a');
    writeFileSync(scene.file('._w_0_a.done'), '');
    await stays(() => scene.runs().length === 0, 'not run', 1000);
  });

  test('the lost state directory costs nothing: markers alone tell what is processed', async ({ scene }) => {
    scene.watch();
    const first = await scene.start();
    for (const name of ['a', 'b', 'c']) scene.drop(name);
    await until(() => scene.markers().length === 3, 'three markers');
    await first.stop();
    rmSync(scene.state, { recursive: true });
    await scene.start();
    scene.drop('d');
    await scene.ran(4);
    expect(scene.count('d')).toBe(1);
  });
});

describe('8 the directory is exchanged', () => {
  test('moved away and replaced by another: its files are new files', async ({ scene }) => {
    scene.watch({ rescan: 0.5 });
    await scene.start();
    scene.drop('a', 'old');
    await scene.marked('._w_0_a.done');
    mkdirSync(scene.path('fresh'));
    writeFileSync(scene.path('fresh', 'a'), 'new one');
    renameSync(scene.data, scene.path('old'));
    renameSync(scene.path('fresh'), scene.data);
    await scene.ran(2);
    await scene.marked('._w_0_a.done');
    scene.drop('b');
    await scene.ran(3);
    expect(scene.markers(scene.path('old'))).toEqual(['._w_0_a.done']);
  });
});

describe('11 updates', () => {
  test('kill -9 in the middle of changes: the last state of every file is processed, none twice', async ({
    scene,
  }) => {
    const args = ['sh', '-c', 'sleep 0.0$(($$ % 5)); echo "$1" >>"$log"', 'job', '%(filename)s %(mtime)s'];
    scene.watch(
      { updated: true, rescan: 0.5, jobs: [{ pool: 'p', args, env: { log: scene.runLog } }] },
      { pools: { p: { slots: 4 } } },
    );
    const names = Array.from({ length: 25 }, (_, i) => `f${i}`);
    for (let round = 0; round < 5; round++) {
      const service = scene.launch();
      await sleep(300);
      for (const name of names) appendFileSync(scene.file(name), String(round));
      await sleep(Math.random() * 300);
      await service.crash();
    }
    // mtimes that a float of seconds holds exactly
    names.forEach((name, i) => utimesSync(scene.file(name), 2_000_000_000 + i, 2_000_000_000 + i));
    await scene.start();
    const last = names.map((name, i) => `${name} ${2_000_000_000 + i}.0`);
    await until(
      () => last.every((line) => scene.count(line) > 0),
      () => `the last state of every file: ${scene.runs().join(', ')}`,
    );
    await stays(() => new Set(scene.runs()).size === scene.runs().length, 'none twice', 700);
  });

  test('a changed member makes another set of the same files (updated)', async ({ scene }) => {
    scene.watch({ glob: ['*.a', '*.b'], split: '.', fileset: 1, updated: true });
    await scene.start();
    scene.drop('1.a');
    scene.drop('1.b');
    await scene.marked('._w_0_1.a.done');
    appendFileSync(scene.file('1.b'), 'more');
    await scene.ran(2);
    await stays(() => scene.runs().length === 2, 'once more', 500);
  });

  test('a set whose key file is deleted and dropped again runs again', async ({ scene }) => {
    scene.watch({ glob: ['*.a', '*.b'], split: '.', fileset: 1 });
    await scene.start();
    scene.drop('1.a');
    scene.drop('1.b');
    await scene.marked('._w_0_1.a.done');
    rmSync(scene.file('1.a'));
    await until(() => scene.markers().length === 0, 'its marker goes');
    scene.drop('1.a', 'another');
    await scene.ran(2);
    await stays(() => scene.runs().length === 2, 'once more', 300);
  });
});

describe('a log that nobody reads', () => {
  test('a closed standard error does not end the service', async ({ scene }) => {
    scene.watch();
    const child = spawn(
      'bash',
      ['-c', '"$@" 2> >(head -n 1 >/dev/null)', 'bash', ...scene.command(scene.config)],
      {
        stdio: 'ignore',
        detached: true,
      },
    );
    try {
      await until(async () => (await scene.run('status', scene.config)).code === 0, 'it runs');
      for (let i = 1; i <= 3; i++) {
        scene.drop(`f${i}`);
        await scene.ran(i);
      }
      await until(() => scene.markers().length === 3, 'three markers');
      expect((await scene.run('status', scene.config)).code).toBe(0);
    } finally {
      process.kill(-child.pid!, 'SIGKILL');
    }
  });
});
