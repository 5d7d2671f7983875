import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { stays, test, until, type Scene } from '../support/service.js';

/** As rm -rf of a large directory does. @returns whether it went on all the time */
async function removeSlowly(scene: Scene): Promise<boolean> {
  let longest = 0;
  let last = performance.now();
  for (const name of readdirSync(scene.data).sort()) {
    // dots come first
    rmSync(scene.file(name), { force: true });
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
    if (name.startsWith('.')) await sleep(25);
  }
  rmSync(scene.data, { recursive: true, force: true, maxRetries: 20, retryDelay: 10 });
  return longest < 400;
}

const shell = (script: string, ...args: string[]): Promise<unknown> =>
  promisify(execFile)('bash', ['-c', script, 'bash', ...args]);

describe('5 bursts', () => {
  test('5,000 files at once are complete, each exactly once', async ({ scene }) => {
    scene.watch({ rescan: 5 }, { pools: { p: { slots: 4 } } });
    await scene.start();
    await shell('cd "$1" && for i in {1..5000}; do : >f$i; done', scene.data);
    await until(
      () => scene.runs().length >= 5000,
      () => `5000 runs, there are ${scene.runs().length}`,
      240_000,
    );
    await until(() => scene.markers().length === 5000, '5000 markers');
    expect(new Set(scene.runs()).size).toBe(5000);
    await stays(() => scene.runs().length === 5000, 'exactly once', 300);
  }, 300_000);

  test('a queue that overflows while the loop is blocked costs no file', async ({ scene, skip }) => {
    const limit = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
    if (limit > 50_000) skip(`the kernel queues ${limit} events`);
    scene.watch({ glob: 'wanted*', rescan: 5 }, { pools: { p: { slots: 4 } } });
    const service = await scene.start();
    service.signal('SIGSTOP');
    await shell(
      'cd "$1" && for ((i = 0; i < $2; i++)); do : >n$i; done; for i in {1..50}; do : >wanted$i; done',
      scene.data,
      String(limit + 1000),
    );
    service.signal('SIGCONT');
    await scene.ran(50);
  });
});

describe('6 no events at all', () => {
  test('everything still happens within rescan', async ({ scene }) => {
    scene.watch({ events: false, rescan: 0.6 });
    await scene.start();
    for (const name of ['a', 'b', 'c']) {
      const before = scene.runs().length;
      scene.drop(name);
      await scene.ran(before + 1);
      await sleep(Math.random() * 300);
    }
    rmSync(scene.file('a'));
    await until(() => scene.markers().length === 2, 'the marker of a goes');
    scene.drop('a', 'again');
    await scene.ran(4);
    await stays(() => scene.runs().length === 4, 'exactly once', 900);
  });

  test('events are not used', async ({ scene }) => {
    scene.watch({ events: false, rescan: 600 });
    await scene.start();
    scene.drop('a');
    await stays(() => scene.runs().length === 0, 'no scan is due', 800);
  });

  test('a change without an event is found by the rescan (updated)', async ({ scene }) => {
    scene.watch({ events: false, rescan: 0.5, updated: true });
    scene.drop('a');
    await scene.start();
    await scene.ran(1);
    await scene.marked('._w_0_a.done');
    writeFileSync(scene.file('a'), 'changed');
    await scene.ran(2);
  });
});

describe('7 rescan and refresh are independent', () => {
  test.for([
    [1, 0.7],
    [0.7, 1],
    [600, 0.5],
    [0, 0.5],
  ] as const)('refresh %d, rescan %d: it scans again and again', async ([refresh, rescan], { scene }) => {
    scene.watch({ events: false, refresh, rescan });
    await scene.start();
    for (let i = 1; i <= 3; i++) {
      scene.drop(`f${i}`);
      await scene.ran(i);
    }
  });
});

describe('8 the path comes and goes', () => {
  test('missing at start, with its parents, then made', async ({ scene }) => {
    const path = scene.path('not', 'yet', 'there');
    scene.watch({ path, rescan: 1 });
    const service = await scene.start();
    expect(service.said(/cannot look at directory .*there.*waiting/)).toBe(1);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'a'), 'x');
    await scene.ran(1);
    writeFileSync(join(path, 'b'), 'x');
    await scene.ran(2);
    expect(service.said(/cannot look at directory/)).toBe(1);
  });

  test('a whole tree that is moved into place is found', async ({ scene }) => {
    const path = scene.path('later', 'in');
    scene.watch({ path, rescan: 1 });
    await scene.start();
    mkdirSync(scene.path('staged', 'in'), { recursive: true });
    writeFileSync(scene.path('staged', 'in', 'a'), 'x');
    renameSync(scene.path('staged'), dirname(path));
    await scene.ran(1);
  });

  test('removed and made again: nothing stale is submitted, watching goes on', async ({ scene }) => {
    scene.watch({ rescan: 0.4, retry_delay: 0.3, retry_max_delay: 0.3, jobs: [scene.append(':', 'exit 1')] });
    scene.drop('fails');
    const service = await scene.start();
    await until(() => scene.runs().length >= 2, 'the failing file is rerun');
    rmSync(scene.data, { recursive: true, maxRetries: 20, retryDelay: 10 });
    const before = scene.runs().length;
    // one may have been on its way
    await stays(() => scene.runs().length <= before + 1, 'nothing is submitted while it is gone', 2500);
    mkdirSync(scene.data);
    scene.drop('new');
    await until(() => scene.count('new') >= 1, 'the new file runs');
    expect(scene.runs().slice(before + 1)).not.toContain('fails');
    expect(service.exited).toBe(false);
  });

  test('a directory whose files are done is removed, markers first and slowly: none is run again on the way', async ({
    scene,
  }) => {
    scene.watch({ rescan: 0.5 }, { pools: { p: { slots: 4 } } });
    await scene.start();
    // an attempt in which we stood still ourselves tells nothing: the next one
    for (let attempt = 1, isSmooth = false; !isSmooth; attempt++) {
      expect(attempt).toBeLessThan(6);
      const files = Array.from({ length: 100 }, (_, i) => `f${attempt}-${i}`);
      mkdirSync(scene.data, { recursive: true });
      for (const name of files) scene.drop(name);
      await until(() => scene.markers().length === 100, '100 markers');
      const before = scene.runs().length;
      isSmooth = await removeSlowly(scene);
      if (isSmooth) await stays(() => scene.runs().length === before, 'none is run again', 1500);
    }
    const before = scene.runs().length;
    mkdirSync(scene.data);
    scene.drop('new');
    await until(() => scene.count('new') === 1, 'watching goes on');
    expect(scene.runs().length).toBe(before + 1);
  });

  test('a file removed before its rerun is not run again', async ({ scene }) => {
    scene.watch({ retry_delay: 0.5, retry_max_delay: 0.5, jobs: [scene.append(':', 'exit 1')] });
    scene.drop('fails');
    await scene.start();
    await scene.marked('._w_0_fails.failed');
    rmSync(scene.file('fails'));
    await stays(() => scene.runs().length === 1, 'not run again', 1200);
    await until(() => scene.markers().length === 0, 'its marker goes');
  });

  test('unmounted and mounted again: nothing is rerun', async ({ scene, skip }) => {
    if (!scene.mount(scene.data, '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs')) skip('mounting is not permitted');
    const other = scene.path('disk');
    mkdirSync(other);
    scene.drop('a');
    scene.mount(other, '--bind', scene.data);
    scene.watch({ rescan: 0.3 });
    const service = await scene.start();
    await scene.marked('._w_0_a.done');
    execFileSync('umount', ['-l', scene.data]);
    await sleep(700);
    execFileSync('mount', ['--bind', other, scene.data]);
    scene.drop('b');
    await until(() => scene.count('b') > 0, 'b is run');
    await stays(() => scene.runs().join() === 'a,b', `a is not run again: ${scene.runs().join()}`, 700);
    expect(service.exited).toBe(false);
  });
});
