import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { processStat } from '../../src/executors/process/proc.js';
import { stays, test, until, type Json, type Scene } from '../support/service.js';

/** appends a word and the file's name */
const say = (scene: Scene, word: string) => scene.script(`echo "${word} $1" >>"$log"`);
const setJob = (scene: Scene) => ({
  pool: 'p',
  args: ['sh', '-c', 'shift; echo "$*" >>"$log"', 'job', '', '%(fileset)s'],
  env: { log: scene.runLog },
});

describe('watches without globs keep their jobs running', () => {
  const service = (scene: Scene, script: string, more: { [key: string]: Json } = {}) =>
    scene.configure({
      watch: {
        up: { jobs: [{ pool: 'p', args: ['sh', '-c', script], env: { log: scene.runLog } }], ...more },
      },
      pools: { p: { slots: 0 } },
    });
  const alive = (pid: string): boolean => processStat(Number(pid)) !== undefined;
  /** ms between two starts that the log tells */
  const leastGap = (scene: Scene): number => {
    const starts = scene.runs().map(Number);
    return Math.min(...starts.slice(1).map((start, i) => start - starts[i]!));
  };

  test('one that ends is started again; a restart of the watcher adopts it', async ({ scene }) => {
    service(scene, 'echo $$ >>"$log"; exec sleep 600');
    const first = await scene.start();
    const [pid] = await scene.ran(1);
    expect(alive(pid!)).toBe(true);
    process.kill(Number(pid), 'SIGKILL');
    const again = (await scene.ran(2))[1]!;
    expect(alive(again)).toBe(true);
    await first.stop('SIGTERM');
    expect(alive(again)).toBe(true);
    const second = await scene.start();
    await stays(() => scene.runs().length === 2, 'no second copy', 700);
    await second.crash();
    const third = await scene.start();
    await stays(() => scene.runs().length === 2, 'no second copy', 700);
    expect(alive(again)).toBe(true);
    await third.stop('SIGINT');
    expect(alive(again)).toBe(false);
  });

  test('one that dies at once is throttled', async ({ scene }) => {
    service(scene, 'date +%%s%%3N >>"$log"; exit 1');
    await scene.start();
    await until(() => scene.runs().length >= 3, 'it is started again');
    expect(leastGap(scene)).toBeGreaterThan(900);
  });

  test('one that succeeds at once is started again too, throttled', async ({ scene }) => {
    service(scene, 'date +%%s%%3N >>"$log"');
    await scene.start();
    await until(() => scene.runs().length >= 3, 'it is started again');
    expect(leastGap(scene)).toBeGreaterThan(900);
  });

  test('count', async ({ scene }) => {
    service(scene, 'echo $$ >>"$log"; exec sleep 600', { count: 3 });
    const first = await scene.start();
    const pids = await scene.ran(3);
    expect(new Set(pids).size).toBe(3);
    expect(pids.every(alive)).toBe(true);
    process.kill(Number(pids[1]), 'SIGKILL');
    await scene.ran(4);
    await stays(() => scene.runs().length === 4, 'three copies', 500);
    await first.stop();
    await scene.start();
    await stays(() => scene.runs().length === 4, 'three copies', 500);
  });

  test('--once leaves them out', async ({ scene }) => {
    service(scene, 'echo $$ >>"$log"');
    expect((await scene.run('--once', scene.config)).code).toBe(0);
    expect(scene.runs()).toEqual([]);
  });

  test('one removed by a reload is ended', async ({ scene }) => {
    service(scene, 'echo $$ >>"$log"; exec sleep 600');
    const running = await scene.start();
    const [pid] = await scene.ran(1);
    scene.watch();
    running.signal('SIGHUP');
    await until(() => !alive(pid!), 'its job ends');
  });
});

describe('jobs in sequence', () => {
  test('the first for the newest, the next as newer ones appear; further files get nothing', async ({
    scene,
  }) => {
    scene.watch({ jobs: [say(scene, 'zero'), say(scene, 'one')] });
    await scene.start();
    scene.drop('1');
    expect(await scene.ran(1)).toEqual(['zero 1']);
    scene.drop('2');
    await scene.ran(3);
    scene.drop('3');
    await scene.ran(5);
    await stays(() => scene.runs().length === 5, 'no more', 300);
    expect(scene.runs().toSorted()).toEqual(['one 1', 'one 2', 'zero 1', 'zero 2', 'zero 3']);
    for (const name of ['1', '2', '3']) {
      const mine = scene.runs().filter((line) => line.endsWith(name));
      expect(mine).toEqual(mine.toSorted().toReversed()); // zero before one
    }
  });

  test('run_all: false runs only the job of the index', async ({ scene }) => {
    for (const name of ['1', '2', '3']) scene.drop(name);
    scene.watch({ run_all: false, jobs: [say(scene, 'zero'), say(scene, 'one')] });
    await scene.start();
    await scene.ran(3);
    await stays(() => scene.runs().length === 3, 'no more', 400);
    expect(scene.runs().toSorted()).toEqual(['one 1', 'one 2', 'zero 3']);
  });

  test('an empty spec does nothing', async ({ scene }) => {
    for (const name of ['1', '2', '3']) scene.drop(name);
    scene.watch({ jobs: [{}, say(scene, 'one'), null] });
    await scene.start();
    await scene.ran(2);
    await stays(() => scene.runs().length === 2, 'no more', 300);
    expect(scene.runs().toSorted()).toEqual(['one 1', 'one 2']);
    scene.drop('4');
    expect((await scene.ran(3))[2]).toBe('one 3');
  });

  test('skip leaves the first ones alone until newer ones arrive', async ({ scene }) => {
    for (const name of ['1', '2', '3']) scene.drop(name);
    scene.watch({ skip: 2, rescan: 0.3 });
    await scene.start();
    expect(await scene.ran(1)).toEqual(['1']);
    scene.drop('4');
    expect(await scene.ran(2)).toEqual(['1', '2']);
    await stays(() => scene.runs().length === 2, 'no more', 500);
  });

  test('lists of specs: the first for the first list, the last for further ones, an empty one marks at once', async ({
    scene,
  }) => {
    scene.watch({
      glob: ['*.a', '*.b', '*.c', '*.d'],
      jobs: [[say(scene, 'first'), null, say(scene, 'last')]],
    });
    await scene.start();
    for (const name of ['1.a', '1.b', '1.c', '1.d', '1.e']) scene.drop(name);
    await scene.ran(3);
    await scene.marked('._w_0_1.b.done');
    await stays(() => scene.runs().length === 3, 'no more', 200);
    expect(scene.runs().toSorted()).toEqual(['first 1.a', 'last 1.c', 'last 1.d']);
    expect(scene.marker('._w_0_1.b.done')).toMatchObject({ state: 'done' });
  });

  test('reverse: the index counts from the oldest', async ({ scene }) => {
    for (const name of ['1', '2', '3']) scene.drop(name);
    scene.watch({ reverse: true, max_index: 1 });
    await scene.start();
    await scene.ran(2);
    await stays(() => scene.runs().length === 2, 'no more', 300);
    expect(scene.runs().toSorted()).toEqual(['1', '2']);
  });
});

describe('filesets', () => {
  const globs = { glob: ['*.foo', '*.bar', '*.baz'], split: '.' };

  test('a set waits until it is complete; match is the same key', async ({ scene }) => {
    scene.watch({ ...globs, match: 2, rescan: 0.4, jobs: [setJob(scene)] });
    await scene.start();
    scene.drop('20200101.00.foo');
    scene.drop('20200101.00.bar');
    scene.drop('20200101.06.baz');
    await stays(() => scene.runs().length === 0, 'not complete', 700);
    scene.drop('20200101.00.baz');
    expect(await scene.ran(1)).toEqual(['20200101.00.foo 20200101.00.bar 20200101.00.baz']);
    await stays(() => scene.runs().length === 1, 'once', 600);
    expect(scene.markers()).toEqual(['._w_0_20200101.00.foo.done']);
  });

  test('a member that is still being written holds the set up', async ({ scene }) => {
    scene.watch({
      glob: ['*.foo', '*.bar'],
      split: '.',
      fileset: 1,
      ready: { stable: 3 },
      jobs: [setJob(scene)],
    });
    await scene.start();
    scene.drop('1.foo');
    for (let i = 0; i < 5; i++) {
      scene.drop('1.bar', 'x'.repeat(i));
      await stays(() => scene.runs().length === 0, 'not quiet', 250);
    }
    await scene.ran(1);
  });

  test('partial: 2 accepts a set of two lists, false does not', async ({ scene }) => {
    scene.watch({ ...globs, fileset: 1, partial: 2, jobs: [setJob(scene)] });
    await scene.start();
    scene.drop('1.foo');
    await stays(() => scene.runs().length === 0, 'one list is not enough', 300);
    scene.drop('1.bar');
    expect(await scene.ran(1)).toEqual(['1.foo 1.bar']);
  });

  test('partial: true accepts any set', async ({ scene }) => {
    scene.watch({ ...globs, fileset: 1, partial: true, jobs: [setJob(scene)] });
    await scene.start();
    scene.drop('1.bar');
    expect(await scene.ran(1)).toEqual(['1.bar']);
  });

  test('partial: true with a spec for each list: each file has the job of its list, also without the first list', async ({
    scene,
  }) => {
    const jobs = [[say(scene, 'foo'), say(scene, 'bar'), say(scene, 'baz')]];
    scene.watch({ ...globs, fileset: 1, partial: true, rescan: 0.3, jobs });
    for (const name of ['1.a.bar', '1.b.bar', '1.baz']) scene.drop(name);
    await scene.start();
    expect((await scene.ran(3)).toSorted()).toEqual(['bar 1.a.bar', 'bar 1.b.bar', 'baz 1.baz']);
    scene.drop('1.foo');
    expect((await scene.ran(4)).at(-1)).toBe('foo 1.foo');
    await stays(() => scene.runs().length === 4, 'once each', 900);
  });

  test('captures of a pattern join, whatever else differs; %(fileset)s inside text is joined by spaces', async ({
    scene,
  }) => {
    scene.watch({
      pattern: ['C01_s(?<s>\\d+)_c\\d+\\.nc$', 'C02_s(?<s>\\d+)_c\\d+\\.nc$'],
      fileset: ['s'],
      jobs: [
        {
          pool: 'p',
          args: ['sh', '-c', 'echo "$1" >>"$log"', 'job', '[%(s)s: %(fileset)s]'],
          env: { log: scene.runLog },
        },
      ],
    });
    await scene.start();
    scene.drop('OR_C01_s100_c7.nc');
    scene.drop('OR_C02_s1_c7.nc');
    scene.drop('OR_C02_s100_c9.nc');
    expect(await scene.ran(1)).toEqual(['[100: OR_C01_s100_c7.nc OR_C02_s100_c9.nc]']);
  });
});

describe('directories', () => {
  test('recursive: files below are found, also in new folders; markers are beside them', async ({
    scene,
  }) => {
    mkdirSync(scene.file('one/two'), { recursive: true });
    writeFileSync(scene.file('one/two/a'), 'x');
    scene.watch({ recursive: true, rescan: 600, jobs: [scene.script('echo "$2" >>"$log"')] });
    await scene.start();
    expect(await scene.ran(1)).toEqual([scene.file('one/two/a')]);
    mkdirSync(scene.file('new'));
    writeFileSync(scene.file('new/b'), 'x');
    await scene.ran(2);
    mkdirSync(scene.file('new/deep/er'), { recursive: true });
    writeFileSync(scene.file('new/deep/er/c'), 'x');
    await scene.ran(3);
    await until(() => existsSync(scene.file('new/deep/er/._w_0_c.done')), 'a marker beside the file');
    expect(readdirSync(scene.file('one/two')).toSorted()).toEqual(['._w_0_a.done', 'a']);
    rmSync(scene.file('one'), { recursive: true });
    writeFileSync(scene.file('new/b2'), 'x');
    await scene.ran(4);
  });

  test('without recursive nothing below is looked at', async ({ scene }) => {
    mkdirSync(scene.file('sub'));
    writeFileSync(scene.file('sub/a'), 'x');
    scene.watch({ rescan: 0.3 });
    await scene.start();
    await stays(() => scene.runs().length === 0, 'directories are no data', 600);
  });

  test('type: directory with a sentinel inside', async ({ scene }) => {
    scene.watch({ type: 'directory', rescan: 0.5, ready: { sentinel: 'CopyComplete.txt' } });
    await scene.start();
    mkdirSync(scene.file('run1'));
    scene.drop('a-file');
    await stays(() => scene.runs().length === 0, 'not complete', 500);
    writeFileSync(scene.file('run1/CopyComplete.txt'), '');
    expect(await scene.ran(1)).toEqual(['run1']);
  });

  test('exclude, and hidden files', async ({ scene }) => {
    scene.watch({ exclude: ['*.tmp', '*.filepart'] });
    await scene.start();
    for (const name of ['a.tmp', 'b.filepart', '.c.XXXXXX', 'd']) scene.drop(name);
    expect(await scene.ran(1)).toEqual(['d']);
    await stays(() => scene.runs().length === 1, 'no more', 300);
  });
});

describe('markers', () => {
  test.for([0, false])('cleanup: %s keeps the markers of files that are gone', async (cleanup, { scene }) => {
    scene.watch({ cleanup, rescan: 0.2 });
    await scene.start();
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    rmSync(scene.file('a'));
    await stays(() => existsSync(scene.file('._w_0_a.done')), 'it is kept', 700);
  });

  test('cleanup removes them within rescan, without events too', async ({ scene }) => {
    scene.watch({ events: false, rescan: 0.3 });
    await scene.start();
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    rmSync(scene.file('a'));
    await until(() => scene.markers().length === 0, 'it is removed');
  });

  test('the content is the finished job and what it was run on', async ({ scene }) => {
    scene.watch({ jobs: [scene.script('echo to stdout; echo to stderr >&2')] });
    await scene.start();
    scene.drop('a', '1234');
    const marker = await scene.marked('._w_0_a.done');
    expect(marker).toMatchObject({
      state: 'done',
      rc: 0,
      pool: 'p',
      file: 'a',
      watch: 'w',
      step: 0,
      attempt: 1,
      identity: { size: 4 },
    });
    expect(Buffer.from(String(marker['stdout_data']), 'base64').toString()).toBe('to stdout\n');
    expect(Buffer.from(String(marker['stderr_data']), 'base64').toString()).toBe('to stderr\n');
    expect(marker['args']).toContain(scene.file('a'));
    for (const key of ['agent', 'node', 'id']) expect(typeof marker[key]).toBe('string');
    for (const key of ['start_ts', 'end_ts', 'submit_ts']) expect(typeof marker[key]).toBe('number');
    expect(marker).not.toHaveProperty('env');
  });

  test('state_path keeps them out of the data directory, and a restart finds them', async ({ scene }) => {
    const markers = scene.path('markers');
    scene.watch({ state_path: markers, recursive: true, rescan: 0.3 });
    mkdirSync(scene.file('sub'));
    writeFileSync(scene.file('sub/b'), 'x');
    scene.drop('a');
    const first = await scene.start();
    await scene.ran(2);
    await until(() => existsSync(join(markers, 'sub/._w_0_b.done')), 'mirrored below state_path');
    expect(readdirSync(scene.data, { recursive: true, encoding: 'utf8' }).toSorted()).toEqual([
      'a',
      'sub',
      'sub/b',
    ]);
    await first.stop();
    await scene.start();
    await stays(() => scene.runs().length === 2, 'not run again', 500);
    rmSync(scene.file('a'));
    await until(() => !existsSync(join(markers, '._w_0_a.done')), 'cleaned up there');
  });
});

describe('ready', () => {
  test('a sentinel beside the file', async ({ scene }) => {
    scene.watch({ glob: '*.hl7', ready: { sentinel: '%(stem)s.done' }, rescan: 600 });
    await scene.start();
    scene.drop('ADT_1.hl7');
    scene.drop('ADT_2.hl7');
    scene.drop('ADT_2.done');
    expect(await scene.ran(1)).toEqual(['ADT_2.hl7']);
    await stays(() => scene.runs().length === 1, 'waits', 400);
    scene.drop('ADT_1.done');
    await scene.ran(2);
  });

  test('a check that must pass', async ({ scene }) => {
    scene.watch({ rescan: 1, ready: { check: ['grep', '-q', '^END$', '%(file)s'] } });
    await scene.start();
    scene.drop('-a', 'half\n');
    await stays(() => scene.runs().length === 0, 'not complete', 800);
    scene.drop('-a', 'half\nEND\n');
    await scene.ran(1);
    await stays(() => scene.runs().length === 1, 'once', 1200);
  });

  test('a check that begins to pass without a change of the file', async ({ scene }) => {
    scene.watch({ rescan: 1, ready: { check: ['test', '-e', scene.path('license')] } });
    await scene.start();
    scene.drop('a');
    await stays(() => scene.runs().length === 0, 'not ready', 500);
    writeFileSync(scene.path('license'), '');
    await scene.ran(1);
  });

  test('all evidence given must hold', async ({ scene }) => {
    scene.watch({
      glob: '*.x',
      rescan: 1,
      ready: { stable: 0.3, sentinel: '%(filename)s.ok', check: ['grep', '-q', 'END', '%(file)s'] },
    });
    await scene.start();
    scene.drop('a.x', 'END');
    await stays(() => scene.runs().length === 0, 'no sentinel', 700);
    scene.drop('a.x', 'no');
    scene.drop('a.x.ok');
    await stays(() => scene.runs().length === 0, 'the check fails', 700);
    scene.drop('a.x', 'END again');
    await scene.ran(1);
  });
});

describe('one bad watch never stops another', () => {
  test('a watch on a missing path, one on a file, and a good one', async ({ scene }) => {
    writeFileSync(scene.path('plain'), 'x');
    const job = [scene.append()];
    scene.configure({
      watch: {
        missing: { path: scene.path('missing'), glob: '*', rescan: 0.3, jobs: job },
        plain: { path: scene.path('plain'), glob: '*', rescan: 0.3, jobs: job },
        good: { path: scene.data, glob: '*', rescan: 0.3, jobs: job },
      },
    });
    const service = await scene.start();
    scene.drop('a');
    await scene.ran(1);
    await stays(() => !service.exited, 'it goes on', 700);
    expect(service.said(/cannot look at directory/)).toBe(2);
  });
});
