import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect } from 'vitest';
import { processStat } from '../../src/executors/process/proc.js';
import { stays, test, until } from '../support/service.js';

describe('what stands in a directory', () => {
  test('pipes, sockets, dangling links and directories are no data and hold nothing up; links to files are', async ({
    scene,
  }) => {
    execFileSync('mkfifo', [scene.file('pipe')]);
    symlinkSync('/no/such/target', scene.file('dangling'));
    symlinkSync('loop', scene.file('loop'));
    symlinkSync('/dev/zero', scene.file('device'));
    mkdirSync(scene.file('directory'));
    writeFileSync(scene.path('target'), 'x');
    symlinkSync(scene.path('target'), scene.file('link'));
    scene.drop('plain');
    scene.watch({ rescan: 0.3 });
    const service = await scene.start();
    await scene.ran(2);
    await stays(() => scene.runs().length === 2, 'no more', 700);
    expect(scene.runs().toSorted()).toEqual(['link', 'plain']);
    expect(service.exited).toBe(false);
    rmSync(scene.file('dangling'));
    scene.drop('dangling');
    await scene.ran(3);
  });

  test('a job that moves its file away: no marker, no rerun; the next file of that name runs', async ({
    scene,
  }) => {
    scene.watch({ rescan: 0.3, jobs: [scene.append('mv "$2" ../"$1".moved')] });
    await scene.start();
    for (let i = 1; i <= 3; i++) {
      scene.drop('a', `content ${i}`);
      await scene.ran(i);
      await stays(() => scene.runs().length === i, 'once', 500);
      expect(scene.markers()).toEqual([]);
    }
  });

  test('a failing job whose file is gone is not rerun and leaves no marker', async ({ scene }) => {
    scene.watch({ retry_delay: 0.1, rescan: 0.3, jobs: [scene.append('rm "$2"', 'exit 1')] });
    await scene.start();
    scene.drop('a');
    await scene.ran(1);
    await stays(() => scene.runs().length === 1, 'once', 800);
    expect(scene.markers()).toEqual([]);
  });

  test('a renamed file is a new file under its new name', async ({ scene }) => {
    scene.watch({ rescan: 0.5 });
    await scene.start();
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    renameSync(scene.file('a'), scene.file('b'));
    expect(await scene.ran(2)).toEqual(['a', 'b']);
    await scene.marked('._w_0_b.done');
    await until(() => scene.markers().length === 1, 'the old marker goes');
    await stays(() => scene.runs().length === 2, 'once each', 700);
  });

  test('a file in several lists is processed once', async ({ scene }) => {
    scene.watch({ glob: ['a*', '*b', '*'] });
    await scene.start();
    scene.drop('ab');
    await scene.ran(1);
    await stays(() => scene.runs().length === 1, 'once', 300);
  });

  test('a touch, a chmod and a chown are no reason to run again', async ({ scene }) => {
    scene.watch({ rescan: 0.3, updated: false });
    await scene.start();
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    utimesSync(scene.file('a'), 1_700_000_000, 1_700_000_000);
    execFileSync('chmod', ['600', scene.file('a')]);
    await stays(() => scene.runs().length === 1, 'once', 800);
  });

  test('updated goes by the mtime: a chmod is no change', async ({ scene }) => {
    scene.watch({ rescan: 0.3, updated: true });
    await scene.start();
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    execFileSync('chmod', ['600', scene.file('a')]);
    await stays(() => scene.runs().length === 1, 'once', 800);
  });
});

describe('paths and names of watches', () => {
  test('a relative path with a trailing slash', async ({ scene }) => {
    scene.watch({ path: 'in/', jobs: [scene.script('echo "$2" >>"$log"')] });
    await scene.start();
    scene.drop('a');
    expect(await scene.ran(1)).toEqual([scene.file('a')]);
  });

  test('a path that is a link, and is turned to another directory', async ({ scene }) => {
    mkdirSync(scene.path('two'));
    symlinkSync(scene.data, scene.path('current'));
    scene.watch({ path: scene.path('current'), rescan: 0.4 });
    await scene.start();
    scene.drop('a');
    await scene.ran(1);
    writeFileSync(scene.path('two', 'b'), 'x');
    symlinkSync(scene.path('two'), scene.path('next'));
    renameSync(scene.path('next'), scene.path('current'));
    await scene.ran(2);
    writeFileSync(scene.path('two', 'c'), 'x');
    await scene.ran(3);
    expect(scene.runs()).toEqual(['a', 'b', 'c']);
    expect(scene.markers()).toEqual(['._w_0_a.done']);
  });

  test('a hostile watch name, and one in a path with spaces and quotes', async ({ scene }) => {
    const name = `$(touch owned) %(path)s ü'"`;
    const path = scene.path(`sp ace 'q' %(x)s`);
    mkdirSync(path);
    scene.configure({ watch: { [name]: { path, glob: '*', jobs: [scene.append()] } } });
    await scene.start();
    writeFileSync(`${path}/a`, 'x');
    await scene.ran(1);
    await until(
      () => existsSync(`${path}/._${name}_0_a.done`),
      () => scene.markers(path).join(),
    );
    expect(existsSync(scene.path('owned'))).toBe(false);
  });
});

describe('job specs', () => {
  test('a job id of its own that several files share: each file still has one run', async ({ scene }) => {
    scene.watch({ rescan: 0.4, jobs: [{ ...scene.append('sleep 0.1'), id: 'mine' }] });
    await scene.start();
    for (const name of ['a', 'b', 'c']) scene.drop(name);
    await scene.ran(3);
    await until(() => scene.markers().length === 3, 'three markers');
    await stays(() => scene.runs().length === 3, 'one run each', 600);
    expect(new Set(scene.runs()).size).toBe(3);
  });

  test('a pool named by the file, cwd, stdin, stdout', async ({ scene }) => {
    mkdirSync(scene.path('out'));
    scene.watch({
      split: '.',
      jobs: [
        {
          pool: 'pool-%(1)s',
          args: ['sh', '-c', 'pwd; cat'],
          cwd: scene.path('out'),
          stdin: '%(file)s',
          stdout: '%(stem)s.log',
        },
      ],
    });
    await scene.start();
    scene.drop('a.x', 'content\n');
    expect(await scene.marked('._w_0_a.x.done')).toMatchObject({ pool: 'pool-x' });
    expect(readFileSync(scene.path('out', 'a.log'), 'utf8')).toBe(`${scene.path('out')}\ncontent\n`);
  });

  test('captured output is bounded in the marker, and whole in the spool', async ({ scene }) => {
    scene.watch({ jobs: [scene.script('head -c 3000000 /dev/zero | tr "\\0" x; echo end')] });
    await scene.start();
    scene.drop('a');
    const marker = await scene.marked('._w_0_a.done');
    const kept = Buffer.from(String(marker['stdout_data']), 'base64').toString();
    expect(kept.length).toBe(1024 * 1024);
    expect(kept.endsWith('xend\n')).toBe(true);
    expect(statSync(String(marker['stdout_path'])).size).toBe(3_000_004);
  });

  test('a job that leaves a process behind which holds its output open delays nothing', async ({ scene }) => {
    scene.watch({ jobs: [scene.script('sleep 600 & echo $! >>"$log"')] });
    await scene.start();
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    const left = Number(scene.runs()[0]);
    expect(processStat(left)).toBeDefined();
    process.kill(left, 'SIGKILL');
  });
});
