import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { touchMark } from '../../src/watch/marker-time.js';
import { stays, test, until, type Scene } from '../support/service.js';

const parse = (text: string): unknown => JSON.parse(text);
/** fails for names that begin with `bad` */
const picky = (scene: Scene) => scene.script('echo "$1" >>"$log"; case $1 in bad*) exit 5;; esac');

describe('--once', () => {
  test('ends when many processed files have been looked at, and one of them has become another', async ({
    scene,
  }) => {
    // more than a scan looks at itself
    for (let i = 0; i < 2500; i++) {
      scene.drop(`f${i}`);
      const { ctimeNs, ino } = statSync(scene.file(`f${i}`), { bigint: true });
      const marker = scene.file(`._w_0_f${i}.done`);
      writeFileSync(marker, '{"state":"done"}');
      const at = 1_800_000_000 + (touchMark({ ctimeNs, inode: ino }) + 0.5) / 1e6;
      utimesSync(marker, at, at);
    }
    scene.watch();
    expect((await scene.run('--once', scene.config)).code).toBe(0);
    expect(scene.runs()).toEqual([]);
    rmSync(scene.file('._w_0_f77.done'));
    expect((await scene.run('--once', scene.config)).code).toBe(0);
    expect(scene.runs()).toHaveLength(1);
    rmSync(scene.file('f77'));
    scene.drop('f77', 'another file');
    expect((await scene.run('--once', scene.config)).code).toBe(0);
    expect(scene.runs()).toHaveLength(2);
  });

  test('0: everything is done', async ({ scene }) => {
    for (const name of ['a', 'b', 'c']) scene.drop(name);
    scene.watch();
    expect((await scene.run('--once', scene.config)).code).toBe(0);
    expect(scene.runs().toSorted()).toEqual(['a', 'b', 'c']);
    expect(scene.markers().length).toBe(3);
    expect(existsSync(join(scene.state, 'agent.db'))).toBe(true);
    expect(existsSync(join(scene.state, 'agent.pid'))).toBe(false);
    expect((await scene.run('--once', scene.config)).code).toBe(0);
    expect(scene.runs().length).toBe(3);
  });

  test('0: nothing is there; a file that is not eligible yet is no failure', async ({ scene }) => {
    scene.watch({ min_age: 600 });
    expect((await scene.run('--once', scene.config)).code).toBe(0);
    scene.drop('young');
    expect((await scene.run('--once', scene.config)).code).toBe(0);
    expect(scene.runs()).toEqual([]);
  });

  test('1: some job failed, now or waiting for its rerun', async ({ scene }) => {
    scene.drop('bad');
    scene.drop('good');
    scene.watch({ jobs: [picky(scene)] });
    expect((await scene.run('--once', scene.config)).code).toBe(1);
    expect(scene.runs().toSorted()).toEqual(['bad', 'good']);
    expect((await scene.run('--once', scene.config)).code).toBe(1);
    expect(scene.runs().length).toBe(2);
  });

  test('1: a final failure of this run', async ({ scene }) => {
    scene.drop('bad');
    scene.watch({ retry: false, jobs: [picky(scene)] });
    expect((await scene.run('--once', scene.config)).code).toBe(1);
  });

  test('2: usage and configuration', async ({ scene }) => {
    scene.watch({ rescan: 'often' });
    expect((await scene.run('--once', scene.config)).code).toBe(2);
    expect((await scene.run('--no-such-option')).code).toBe(2);
    expect((await scene.run('forget', '--older-than', 'x', '--stat', 'done', scene.config)).code).toBe(2);
  });

  test('3: the machine refuses, in one line that says what to do', async ({ scene }) => {
    writeFileSync(scene.path('file'), '');
    scene.watch({}, { state_dir: scene.path('file', 'state') });
    const result = await scene.run('--once', scene.config);
    expect(result.code).toBe(3);
    expect(result.stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(result.stderr).toMatch(/^meeseeks-watch: .*state_dir/);
    expect(result.stderr).not.toMatch(/ at .*\.js/);
  });

  test('1: markers have no place, and the directory cannot be made although the one above is there', async ({
    scene,
  }) => {
    scene.drop('a');
    scene.watch({ state_path: '/proc/meeseeks' });
    const result = await scene.run('--once', scene.config);
    expect(result.code).toBe(1);
    expect(result.stderr + result.stdout).toMatch(/cannot record results in \/proc\/meeseeks/);
  });

  test('3: another watcher is at work', async ({ scene }) => {
    scene.watch();
    await scene.start();
    expect((await scene.run('--once', scene.config)).code).toBe(3);
  });

  test('jobs in sequence and filesets are brought to their end', async ({ scene }) => {
    for (const name of ['1', '2', '3']) scene.drop(name);
    scene.watch({ jobs: [scene.append(), scene.append(), scene.append()] });
    expect((await scene.run('--once', scene.config)).code).toBe(0);
    expect(scene.runs().toSorted()).toEqual(['1', '1', '1', '2', '2', '3']);
  });

  test('more files than max_jobs are all done', async ({ scene }) => {
    for (let i = 0; i < 40; i++) scene.drop(`f${i}`);
    scene.watch({ max_jobs: 3 }, { pools: { p: { slots: 0 } } });
    expect((await scene.run('--once', scene.config)).code).toBe(0);
    expect(scene.runs().length).toBe(40);
  });

  test('ready.stable is waited for', async ({ scene }) => {
    scene.drop('a');
    scene.watch({ ready: { stable: 0.5 } });
    expect((await scene.run('--once', scene.config)).code).toBe(0);
    expect(scene.runs()).toEqual(['a']);
  });

  test('Ctrl-C ends it', async ({ scene }) => {
    scene.drop('a');
    scene.watch({ jobs: [scene.append(':', 'exec sleep 600')] });
    const service = scene.launch(['--once', scene.config]);
    await scene.ran(1);
    service.signal('SIGINT');
    await service.hears(/waiting for running jobs/);
    await service.stop('SIGINT');
    expect(scene.markers()).toEqual(['._w_0_a.killed']);
  });

  test('what an earlier service left running is taken up', async ({ scene }) => {
    scene.drop('a');
    scene.watch({ jobs: [scene.append(':', 'while [ ! -e go ]; do sleep 0.02; done')] });
    const service = await scene.start();
    await scene.ran(1);
    await service.stop('SIGTERM');
    const once = scene.launch(['--once', scene.config]);
    await stays(() => !once.exited, 'it waits', 500);
    writeFileSync(scene.path('go'), '');
    await until(() => once.exited, 'it ends');
    expect(await once.exit).toBe(0);
    expect(scene.runs()).toEqual(['a']);
    expect(scene.markers()).toEqual(['._w_0_a.done']);
  });
});

describe('--dry-run and plan touch nothing', () => {
  const prepare = (scene: Scene): void => {
    scene.watch({ updated: true, ready: { check: ['touch', scene.path('checked')] } });
    for (const name of ['a', 'b', 'c']) scene.drop(name);
    scene.drop('._w_0_b.done', '{"state":"done"}');
    scene.drop('._w_0_gone.done', '{"state":"done"}');
    scene.drop('._w_0_c.done.tmp', 'half');
  };

  test.for([['--dry-run'], ['plan'], ['--dry-run', '--once'], ['plan', '--json']])(
    '%s',
    async (args, { scene }) => {
      prepare(scene);
      const before = scene.snapshot();
      const result = await scene.run(...args, scene.config);
      expect(result.code).toBe(0);
      expect(result.stdout).toContain(
        '"a"'.slice(args.includes('--json') ? 0 : 1, args.includes('--json') ? 3 : 2),
      );
      expect(scene.snapshot()).toEqual(before);
      expect(existsSync(scene.state)).toBe(false);
    },
  );

  test('also beside a running service, whose jobs it knows', async ({ scene }) => {
    scene.watch({ jobs: [scene.append(':', 'exec sleep 600')] }, { on_stop: 'kill' });
    await scene.start();
    scene.drop('a');
    await scene.ran(1);
    const before = scene.snapshot(scene.data);
    const plan = parse((await scene.run('plan', '--json', scene.config)).stdout);
    expect(plan).toMatchObject([
      { watch: 'w', path: scene.data, counts: { files: 1, running: 1 }, actions: [] },
    ]);
    expect(scene.snapshot(scene.data)).toEqual(before);
    expect(scene.runs()).toEqual(['a']);
  });

  test('says what would be submitted, with the command as rendered, and why others wait', async ({
    scene,
  }) => {
    scene.watch({
      glob: ['*.a', '*.b'],
      split: '.',
      fileset: 1,
      ready: { closed: false },
      jobs: [{ pool: 'p', args: ['process', '%(file)s'], env: { secret: 'hush' } }],
    });
    scene.drop('1.a');
    scene.drop('1.b');
    scene.drop('2.a');
    const [plan] = parse((await scene.run('plan', '--json', scene.config)).stdout) as [
      { actions: unknown[]; waiting: unknown[] },
    ];
    expect(plan.actions).toMatchObject([
      {
        action: 'submit',
        file: '1.a',
        step: 0,
        attempt: 1,
        reason: 'new',
        job: { args: ['process', scene.file('1.a')] },
      },
    ]);
    expect(plan.waiting).toMatchObject([{ file: '2.a', rule: 'fileset' }]);
    expect(JSON.stringify(plan)).not.toContain('hush');
    const text = (await scene.run('plan', scene.config)).stdout;
    expect(text).toContain(`process ${scene.file('1.a')}`);
    expect(text).toContain('*.b');
  });
});

describe('explain', () => {
  test('every rule and its verdict, the next moment, the attempts; --json parses', async ({ scene }) => {
    scene.watch({ glob: '*.x', retry_delay: 60, jobs: [picky(scene)] });
    scene.drop('bad.x');
    await scene.run('--once', scene.config);
    const [report] = parse(
      (await scene.run('explain', scene.file('bad.x'), scene.config, '--json')).stdout,
    ) as [{ rules: { rule: string; verdict: string }[]; until: number; attempts: unknown[] }];
    expect(report).toMatchObject({ watch: 'w', file: 'bad.x' });
    expect(report.rules).toContainEqual(expect.objectContaining({ rule: 'glob', verdict: 'pass' }));
    expect(report.until).toBeGreaterThan(Date.now());
    expect(report.until).toBeLessThan(Date.now() + 61_000);
    expect(report.attempts).toMatchObject([
      { state: 'failed', rc: 5, attempt: 1, marker: scene.file('._w_0_bad.x.failed') },
    ]);
    const text = (await scene.run('explain', 'in/bad.x', scene.config)).stdout; // relative to the current directory
    expect(text).toContain('exit code 5');
    expect(text).toContain('stderr');
  });

  test('files that are not data, not there, too young, in an incomplete set, of no watch', async ({
    scene,
  }) => {
    scene.watch({ glob: ['*.a', '*.b'], split: '.', fileset: 1, min_age: 0 });
    scene.drop('1.a');
    const explain = async (file: string) => (await scene.run('explain', file, scene.config)).stdout;
    expect(await explain(scene.file('x.txt'))).toMatch(/not data of this watch[^]*\*\.a/);
    expect(await explain(scene.file('9.a'))).toMatch(/waits for the file to appear/);
    expect(await explain(scene.file('1.a'))).toMatch(/missing: \*\.b/);
    expect(await explain(scene.file('._w_0_1.a.done'))).toMatch(/hidden/);
    const elsewhere = await scene.run('explain', '/elsewhere/1.a', scene.config);
    expect(elsewhere.code).toBe(2);
    expect(elsewhere.stderr).toContain(scene.data);
    scene.watch({ min_age: 600 });
    expect(await explain(scene.file('1.a'))).toMatch(/min_age/);
  });

  test('what is there and no file is told apart', async ({ scene }) => {
    scene.watch();
    mkdirSync(scene.file('folder'));
    execFileSync('mkfifo', [scene.file('pipe')]);
    symlinkSync('nowhere', scene.file('link'));
    const explain = async (file: string) =>
      (await scene.run('explain', scene.file(file), scene.config)).stdout;
    expect(await explain('folder')).toMatch(
      /not data of this watch\n[^]*a directory of this name is there; .* takes files/,
    );
    expect(await explain('pipe')).toMatch(
      /not data of this watch\n[^]*a pipe, socket or device of this name is there/,
    );
    expect(await explain('link')).toMatch(
      /waits for the file to appear\n[^]*a link of this name .* leads to nothing/,
    );
    scene.drop('a');
    scene.watch({ type: 'directory' });
    expect(await explain('a')).toMatch(/a file of this name is there; the watch takes directories/);
    expect(await explain('b')).toMatch(/waits for the directory to appear\n[^]*no directory of this name/);
  });

  test('takes a name as plan prints it; the same text as a name comes first', async ({ scene }) => {
    scene.watch();
    writeFileSync(
      Buffer.concat([Buffer.from(`${scene.data}/bad`), Buffer.from([0xff]), Buffer.from('.dat')]),
      '',
    );
    const printed = /bad.*\.dat/.exec((await scene.run('plan', scene.config)).stdout)![0];
    expect(printed).toBe('bad\\xff.dat');
    const explained = async () => (await scene.run('explain', scene.file(printed), scene.config)).stdout;
    expect(await explained()).toContain("'bad\\xff.dat' in watch w: would submit");
    writeFileSync(scene.file(printed), '');
    expect(await explained()).toContain("'bad\\\\xff.dat' in watch w: would submit");
    const lossy = await scene.run('explain', scene.file('bad\ufffd.dat'), scene.config);
    expect([lossy.code, lossy.stderr]).toEqual([2, expect.stringContaining('as plan prints it') as string]);
  });

  test('without a file, and for a watch, says what to give', async ({ scene }) => {
    const service = { pool: 'p', args: ['sleep', '600'] };
    scene.configure({
      pools: { p: {} },
      watch: {
        w: { path: scene.data, glob: '*', jobs: [service] },
        s: { path: scene.data, jobs: [service] },
      },
    });
    const said = async (...args: string[]) => {
      const { code, stderr } = await scene.run('explain', ...args);
      expect(code).toBe(2);
      return stderr;
    };
    expect(await said()).toMatch(/^meeseeks-watch: explain needs a file: meeseeks-watch explain FILE/);
    expect(await said('s', scene.config)).toMatch(/: s is a watch without globs: it keeps its jobs running/);
    expect(await said('w', scene.config)).toMatch(/: w is a watch, not a file; no watch looks at/);
    expect(await said('/x/y', scene.config)).toMatch(
      /\n {2}w: \/.*\n {2}s: no files, it keeps its jobs running\n$/,
    );
    expect((await scene.run('explain', scene.file('a'), scene.config)).stdout).toMatch(
      /^a in watch w: [^\n]*\n[^]*no file/,
    );
  });

  test('touches nothing', async ({ scene }) => {
    scene.watch();
    scene.drop('a');
    scene.drop('._w_0_a.done.tmp', 'half');
    const before = scene.snapshot();
    await scene.run('explain', scene.file('a'), scene.config);
    expect(scene.snapshot()).toEqual(before);
  });

  test('through a symbolic link to the watched path', async ({ scene }) => {
    symlinkSync(scene.data, scene.path('link'));
    scene.watch({ path: scene.path('link') });
    scene.drop('a');
    for (const file of [scene.file('a'), scene.path('link', 'a')])
      expect((await scene.run('explain', file, scene.config)).stdout).toContain('a in watch w');
  });
});

describe('status', () => {
  test('4 when no watcher is running', async ({ scene }) => {
    scene.watch();
    const result = await scene.run('status', scene.config);
    expect(result.code).toBe(4);
    expect(result.stderr).toContain(scene.state);
    const service = await scene.start();
    await service.crash();
    expect((await scene.run('status', scene.config)).code).toBe(4);
  });

  test('the counts of the running watcher; --json parses', async ({ scene }) => {
    scene.watch({ retry_delay: 60, jobs: [picky(scene)] });
    const service = await scene.start();
    for (const name of ['a', 'b', 'bad']) scene.drop(name);
    await until(() => scene.markers().length === 3, 'three results');
    const counts = async () => parse((await scene.run('status', '--json', scene.config)).stdout);
    await until(
      async () => ((await counts()) as { watches: { done: number }[] }).watches[0]!.done === 2,
      'the counts follow',
    );
    const status = await counts();
    expect(status).toMatchObject({
      pid: service.child.pid,
      files: [scene.config],
      watches: [{ name: 'w', path: scene.data, files: 3, done: 2, running: 0 }],
    });
    const { watches } = status as { watches: [{ nextRetry: number; failed: number }] };
    expect(watches[0].failed).toBe(1);
    expect(watches[0].nextRetry).toBeGreaterThan(Date.now());
    const text = await scene.run('status', scene.config);
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(/\bw\b.*3/);
  });

  const connect = (scene: Scene, act: (socket: Socket) => void): Promise<void> =>
    new Promise((done) => {
      const socket = createConnection(`${scene.state}/control.sock`, () => act(socket));
      socket
        .on('error', () => undefined)
        .on('close', () => done())
        .resume();
    });

  test.for([
    ['garbage', '\0\u00ff{"a":'],
    ['a huge line', 'x'.repeat(1_000_000)],
    ['several requests', 'status\nstatus\nrescan\nnonsense\n'],
  ] as const)('the service survives %s on its control socket', async ([, text], { scene }) => {
    scene.watch();
    const service = await scene.start();
    await connect(scene, (socket) => socket.end(text));
    await stays(() => !service.exited, `it goes on:\n${service.tail()}`, 200);
    expect((await scene.run('status', scene.config)).code).toBe(0);
  });

  test('the service survives a status command that ends before it has its answer', async ({ scene }) => {
    scene.watch();
    const service = await scene.start();
    for (let i = 0; i < 200 && !service.exited; i++)
      await connect(scene, (socket) => socket.write('status\n', () => socket.destroy()));
    await stays(() => !service.exited, `it goes on:\n${service.tail()}`, 200);
    expect((await scene.run('status', scene.config)).code).toBe(0);
  });
});

describe('retry, forget, mark-done', () => {
  const files = (text: string): string[] =>
    (parse(text) as { files: { file: string }[] }).files.map(({ file }) => file).toSorted();
  const prepare = async (scene: Scene) => {
    scene.watch({ retry_delay: 600, jobs: [picky(scene)] });
    for (const name of ['bad1', 'bad2', 'good1', 'good2']) scene.drop(name);
    const service = await scene.start();
    await until(() => scene.markers().length === 4, 'four results');
    return service;
  };

  test.for(['retry', 'forget', 'mark-done'])('%s: a preview changes nothing', async (command, { scene }) => {
    await prepare(scene);
    const before = scene.snapshot(scene.data);
    const result = await scene.run(command, scene.config);
    expect(result).toMatchObject({ code: 0, stdout: expect.stringContaining('--yes') as string });
    expect(result.stdout).toContain('bad1');
    await stays(() => scene.runs().length === 4, 'nothing is run', 300);
    expect(scene.snapshot(scene.data)).toEqual(before);
    expect(parse((await scene.run(command, '--json', scene.config)).stdout)).toMatchObject({
      command,
      applied: false,
    });
  });

  test('retry --yes runs failed files again, at once, and only those', async ({ scene }) => {
    await prepare(scene);
    const result = await scene.run('retry', '--yes', '--json', '--glob', '*1', scene.config);
    expect(result.code).toBe(0);
    expect(files(result.stdout)).toEqual(['bad1']);
    await scene.ran(5);
    expect(scene.runs()[4]).toBe('bad1');
    await scene.marked('._w_0_bad1.failed');
    await stays(() => scene.runs().length === 5, 'once', 300);
    await scene.run('retry', '-y', scene.config);
    await scene.ran(7);
  });

  test('forget --yes runs files again as if they had just arrived', async ({ scene }) => {
    const service = await prepare(scene);
    expect((await scene.run('forget', '--yes', '--glob', 'good*', scene.config)).code).toBe(0);
    await scene.ran(6);
    expect(scene.runs().slice(4).toSorted()).toEqual(['good1', 'good2']);
    await until(() => scene.markers().length === 4, 'marked again');
    await service.stop();
    // and while no watcher runs
    expect((await scene.run('forget', '--yes', '--state', 'done', scene.config)).code).toBe(0);
    expect(scene.markers()).toEqual(['._w_0_bad1.failed', '._w_0_bad2.failed']);
    await scene.start();
    await scene.ran(8);
    await stays(() => scene.runs().length === 8, 'once', 300);
  });

  test('forget of an updated watch takes .mtime along', async ({ scene }) => {
    scene.watch({ updated: true });
    scene.drop('a');
    await scene.run('--once', scene.config);
    expect(scene.markers()).toEqual(['._w_0_a.done', '._w_0_a.mtime']);
    await scene.run('forget', '--yes', scene.config);
    expect(scene.markers()).toEqual([]);
  });

  test('mark-done --yes counts files as processed without running their jobs', async ({ scene }) => {
    scene.watch({ jobs: [picky(scene)] });
    for (const name of ['bad', 'new', 'other']) scene.drop(name);
    const result = await scene.run('mark-done', '--yes', '--glob', 'bad', '--glob', 'new', scene.config);
    expect(result.code).toBe(0);
    expect(scene.markers()).toEqual(['._w_0_bad.done', '._w_0_new.done']);
    const service = await scene.start();
    expect(await scene.ran(1)).toEqual(['other']);
    await stays(() => scene.runs().length === 1, 'the others are processed', 300);
    await service.stop();
    rmSync(scene.file('new'));
    await scene.start();
    await until(() => !scene.markers().includes('._w_0_new.done'), 'its marker is cleaned up like any other');
  });

  test('mark-done of failed files ends their reruns, under the eyes of a running service', async ({
    scene,
  }) => {
    scene.watch({ retry_delay: 600, jobs: [picky(scene)] });
    for (let i = 0; i < 30; i++) scene.drop(`bad${i}`);
    await scene.start();
    await until(() => scene.markers().length === 30, 'thirty results');
    await scene.run('mark-done', '--yes', '--state', 'failed', scene.config);
    await stays(() => scene.runs().length === 30, 'none is run again', 500);
    expect(scene.markers().filter((name) => !name.endsWith('.done'))).toEqual([]);
  });

  test('a file whose job is in flight is left alone', async ({ scene }) => {
    scene.watch({ jobs: [scene.append(':', 'exec sleep 600')] }, { on_stop: 'kill' });
    scene.drop('a');
    await scene.start();
    await scene.ran(1);
    for (const command of ['forget', 'mark-done', 'retry'])
      expect(files((await scene.run(command, '--yes', '--json', scene.config)).stdout)).toEqual([]);
    expect(scene.markers()).toEqual([]);
  });

  test('--watch, --state and --older-than choose; unknown ones are refused', async ({ scene }) => {
    await prepare(scene);
    const chosen = async (...args: string[]) =>
      files((await scene.run('forget', '--json', ...args, scene.config)).stdout);
    expect(await chosen('--state', 'failed')).toEqual(['bad1', 'bad2']);
    expect(await chosen('--state', 'failed', '--state', 'done')).toHaveLength(4);
    expect(await chosen('--older-than', '3600')).toEqual([]);
    expect(await chosen('--older-than', '0', '--watch', 'w')).toHaveLength(4);
    expect(await scene.run('forget', '--watch', 'nosuch', scene.config)).toMatchObject({ code: 2 });
    expect(await scene.run('forget', '--state', 'nosuch', scene.config)).toMatchObject({ code: 2 });
  });
});

describe('other commands and settings', () => {
  test('validate and schema: --json parses', async ({ scene }) => {
    scene.watch();
    expect(parse((await scene.run('validate', '--json', scene.config)).stdout)).toMatchObject({
      valid: true,
      watches: [{ name: 'w', path: scene.data, jobs: 1 }],
    });
    const schema = await scene.run('schema');
    expect(parse(schema.stdout)).toHaveProperty('properties.watch');
    expect(schema.code).toBe(0);
  });

  test('--help and --version', async ({ scene }) => {
    expect(await scene.run('--help')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('key=value') as string,
    });
    expect(await scene.run('--version')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    });
  });

  test('everything from the command line, typed by the schema', async ({ scene }) => {
    for (const name of ['1.x', '2.y', '3.z']) scene.drop(name);
    const args = [
      `state_dir=${scene.state}`,
      `watch.12.path=${scene.data}`,
      'watch.12.glob=*.x,*.y',
      'watch.12.min_age=0',
      `watch.12.jobs:=[{"pool":"7","args":["sh","-c","echo %(filename)s >>${scene.runLog}"]}]`,
    ];
    expect((await scene.run('--once', ...args)).code).toBe(0);
    expect(scene.runs().toSorted()).toEqual(['1.x', '2.y']);
    expect(scene.markers()).toEqual(['._12_0_1.x.done', '._12_0_2.y.done']);
  });

  test('the same command finds its state again without state_dir', async ({ scene }) => {
    const home = scene.path('xdg');
    mkdirSync(home);
    writeFileSync(
      scene.config,
      JSON.stringify({
        watch: {
          w: {
            path: scene.data,
            glob: '*',
            jobs: [scene.append(':', 'while [ ! -e go ]; do sleep 0.02; done')],
          },
        },
      }),
    );
    process.env['XDG_STATE_HOME'] = home;
    try {
      scene.drop('a');
      const first = await scene.start();
      await scene.ran(1);
      await first.crash();
      await scene.start();
      await stays(() => scene.runs().length === 1, 'adopted, not run again', 500);
      writeFileSync(scene.path('go'), '');
      await scene.marked('._w_0_a.done');
    } finally {
      writeFileSync(scene.path('go'), '');
      delete process.env['XDG_STATE_HOME'];
    }
  });

  test('a reader that goes away is no reason for a stack trace', async ({ scene }) => {
    for (let i = 0; i < 3000; i++) scene.drop(`f${i}`);
    scene.watch({ ready: { closed: false } });
    const { stdout, stderr } = await promisify(execFile)('bash', [
      '-c',
      '"$@" | head -n 1',
      'bash',
      ...scene.command('plan', scene.config),
    ]);
    expect(stdout.split('\n').length).toBe(2);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  test('no secrets in the log, and the state directory is private', async ({ scene }) => {
    scene.watch({
      jobs: [scene.script('echo "$secret"; echo "$secret" >&2; exit 1', { env: { secret: 'hush-hush' } })],
    });
    const service = await scene.start(['--log-level=trace', scene.config]);
    scene.drop('a');
    await scene.marked('._w_0_a.failed');
    expect(service.stderr).not.toContain('hush-hush');
    const mode = scene
      .snapshot()
      .find((line) => line.startsWith('state '))!
      .split(' ')[1];
    expect(Number(mode) & 0o077).toBe(0);
  });
});
