import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { stays, test, until, type Scene } from '../support/service.js';

const DAY = 86_400;
const now = (): number => Date.now() / 1000;
/** logs how many bytes the job saw */
const sizes = (scene: Scene) => [scene.script('wc -c <"$2" >>"$log"')];
/** also when that was, and when the file or its name had changed */
const times = (scene: Scene) => [
  scene.script('echo "$(wc -c <"$2") $(date +%%s.%%N) $(stat -c %%.9Z "$2")" >>"$log"'),
];
/** of the first job: the bytes it saw, and the seconds since the last change */
async function sizeAndAge(scene: Scene): Promise<[size: number, age: number]> {
  const [size = NaN, at = NaN, changed = NaN] = (await scene.ran(1))[0]!.split(' ').map(Number);
  return [size, at - changed];
}
const quiet = (scene: Scene, ms: number): Promise<void> =>
  stays(() => scene.runs().length === 0, 'no run yet', ms);

describe('1 a file is not run while it is being written', () => {
  test('a slow writer that pauses and holds the file open', async ({ scene }) => {
    scene.watch({ rescan: 600, jobs: sizes(scene) });
    await scene.start();
    const fd = openSync(scene.file('slow'), 'w');
    for (let i = 0; i < 4; i++) {
      writeSync(fd, 'x'.repeat(2000));
      await quiet(scene, 300);
    }
    closeSync(fd);
    expect(await scene.ran(1)).toEqual(['8000']);
  });

  test('a slow writer that was there before the start', async ({ scene }) => {
    scene.watch({ jobs: sizes(scene) });
    const fd = openSync(scene.file('slow'), 'w');
    writeSync(fd, 'x'.repeat(2000));
    await scene.start();
    await quiet(scene, 500);
    writeSync(fd, 'x'.repeat(6000));
    closeSync(fd);
    expect(await scene.ran(1)).toEqual(['8000']);
  });

  test('a preallocated file that an unseen writer fills, with ready.stable', async ({ scene }) => {
    // closed: false stands for a writer on another machine
    scene.watch({
      ready: { stable: 3, closed: false },
      jobs: [scene.script('tr -d "\\0" <"$2" >>"$log"; date +" %%s%%3N" >>"$log"')],
    });
    await scene.start();
    writeFileSync(scene.file('big'), '');
    truncateSync(scene.file('big'), 8);
    let last = 0;
    for (let i = 0; i < 8; i++) {
      const fd = openSync(scene.file('big'), 'r+');
      writeSync(fd, String(i), i);
      closeSync(fd);
      last = Date.now();
      await quiet(scene, 250);
    }
    const [content, ranAt] = (await scene.ran(1))[0]!.split(' ');
    expect(content).toBe('01234567');
    expect(Number(ranAt) - last).toBeGreaterThan(2990);
  });

  test('a slow cp -p that sets an old mtime, with min_age: ctime counts', async ({ scene }) => {
    scene.watch({ min_age: 3, rescan: 600, ready: { closed: false }, jobs: times(scene) });
    await scene.start();
    for (let i = 0; i < 6; i++) {
      appendFileSync(scene.file('copy'), 'x'.repeat(1000));
      utimesSync(scene.file('copy'), now() - 2 * DAY, now() - 2 * DAY);
      await quiet(scene, 250);
    }
    const [size, age] = await sizeAndAge(scene);
    expect(size).toBe(6000);
    expect(age).toBeGreaterThan(2.98);
  });

  test('min_age is served by a timer, not by the next rescan', async ({ scene }) => {
    scene.watch({ min_age: 1, rescan: 600, jobs: times(scene) });
    await scene.start();
    scene.drop('a');
    expect((await sizeAndAge(scene))[1]).toBeGreaterThan(0.98);
  });

  test('a WebDAV-style file: empty first, filled later, with ready.stable', async ({ scene }) => {
    scene.watch({ ready: { stable: 3 }, jobs: sizes(scene) });
    await scene.start();
    scene.drop('dav', '');
    await quiet(scene, 1000);
    scene.drop('dav', 'x'.repeat(8000));
    await quiet(scene, 1000);
    expect(await scene.ran(1)).toEqual(['8000']);
  });

  test('mode 000 until complete', async ({ scene }) => {
    scene.watch({ jobs: sizes(scene) });
    await scene.start();
    closeSync(openSync(scene.file('sealed'), 'w', 0o000));
    await quiet(scene, 300);
    appendFileSync(scene.file('sealed'), 'xyz');
    await quiet(scene, 400);
    chmodSync(scene.file('sealed'), 0o644);
    expect(await scene.ran(1)).toEqual(['3']);
  });

  test('EACCES: tried again at every scan, reported once', async ({ scene, skip }) => {
    if (process.getuid?.() !== 0) skip('needs root, to run the service as somebody else');
    const nobody = 65_534;
    mkdirSync(scene.path('markers'));
    scene.watch({ rescan: 0.3, state_path: scene.path('markers') });
    execFileSync('chown', ['-R', `${nobody}:${nobody}`, scene.root]);
    execFileSync('chown', ['0:0', scene.data]);
    scene.drop('locked');
    chmodSync(scene.data, 0o744); // can be listed, but its files cannot be looked at
    const service = await scene.start([scene.config], { uid: nobody });
    await quiet(scene, 1500);
    expect(service.said(/cannot look at .*locked/)).toBe(1);
    chmodSync(scene.data, 0o755);
    await scene.ran(1);
    expect(service.exited).toBe(false);
  });
});

describe('2, 3 mtime lies', () => {
  test.for([
    ['two days old', -2 * DAY],
    ['ten minutes in the future', 600],
    ['forty years old', -40 * 365 * DAY],
  ] as const)('%s: runs once', async ([, offset], { scene }) => {
    scene.watch({ rescan: 0.5 });
    const service = await scene.start();
    const arrive = (name: string): void => {
      writeFileSync(scene.path(name), 'x');
      utimesSync(scene.path(name), now() + offset, now() + offset);
      renameSync(scene.path(name), scene.file(name));
    };
    arrive('a');
    await scene.ran(1);
    arrive('b'); // not newer than the last one
    await scene.ran(2);
    await stays(() => scene.runs().length === 2, 'once', 1200);
    await service.stop();
    await scene.start();
    await stays(() => scene.runs().length === 2, 'once', 700);
  });

  test('a future mtime delays a file no longer than min_age of observed quiet', async ({ scene }) => {
    scene.watch({ min_age: 1, rescan: 600, jobs: times(scene) });
    await scene.start();
    writeFileSync(scene.path('f'), 'x');
    utimesSync(scene.path('f'), now() + 600, now() + 600);
    renameSync(scene.path('f'), scene.file('f'));
    expect((await sizeAndAge(scene))[1]).toBeGreaterThan(0.98);
  });

  test('a mv of an old file is young: min_age counts from ctime', async ({ scene }) => {
    scene.watch({ min_age: 1.2, rescan: 600, jobs: times(scene) });
    await scene.start();
    writeFileSync(scene.path('old'), 'x');
    utimesSync(scene.path('old'), now() - DAY, now() - DAY);
    renameSync(scene.path('old'), scene.file('old'));
    expect((await sizeAndAge(scene))[1]).toBeGreaterThan(1.18);
  });

  test('max_age counts from mtime', async ({ scene }) => {
    scene.watch({ max_age: 3600 });
    scene.drop('old');
    utimesSync(scene.file('old'), now() - DAY, now() - DAY);
    scene.drop('new');
    await scene.start();
    expect(await scene.ran(1)).toEqual(['new']);
    await stays(() => scene.runs().length === 1, 'the old one is left alone', 500);
  });
});

describe('4 files that land while the watcher starts', () => {
  test('100 at random offsets around the start: each runs exactly once', async ({ scene }) => {
    scene.watch({ rescan: 600 }, { pools: { p: { slots: 4 } } });
    const names = Array.from({ length: 100 }, (_, i) => `f${i}`);
    const arrivals = names.map(async (name) => {
      await sleep(Math.random() * 900);
      scene.drop(name);
    });
    await sleep(150);
    scene.launch();
    await Promise.all(arrivals);
    expect((await scene.ran(100)).toSorted()).toEqual(names.toSorted());
    await until(() => scene.markers().length === 100, '100 markers');
    await stays(() => scene.runs().length === 100, 'exactly once', 500);
  });
});

test('a check is asked anew by every start, not answered with what an earlier one found', async ({
  scene,
}) => {
  scene.watch({ ready: { check: ['test', '-e', scene.path('flag')] } });
  scene.drop('a');
  await scene.run('--once', scene.config);
  expect(scene.runs()).toEqual([]);
  writeFileSync(scene.path('flag'), '');
  expect((await scene.run('--once', scene.config)).code).toBe(0);
  expect(scene.runs()).toEqual(['a']);
});
