import { existsSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { describe, expect } from 'vitest';
import { stays, test, until, type Config, type Scene } from '../support/service.js';

const watchOf = (scene: Scene, more: Config = {}): Config => ({
  path: scene.data,
  glob: '*',
  jobs: [scene.append()],
  ...more,
});

describe('21 configuration errors', () => {
  test('all at once, with file, line and column, before anything runs', async ({ scene }) => {
    writeFileSync(
      scene.config,
      [
        '{ // comments are fine',
        `  "state_dir": ${JSON.stringify(scene.state)},`,
        '  "template": { "good": { "rescan": 5 } },',
        '  "watch": {',
        `    "fine": { "path": ${JSON.stringify(scene.data)}, "glob": "*", "jobs": [{"pool": "p", "args": ["touch", "${scene.path('ran')}"]}] },`,
        '    "misspelt": { "template": "goood", "path": "/tmp", "glob": "*" },',
        '    "untyped": { "path": "/tmp", "glob": "*", "min_age": "soon", "jobs": [{"pool": "p", "args": ["true"]}] },',
        '    "pathless": { "glob": "*", "jobs": [{"pool": "p", "args": ["true"]}] },',
        '    "unfilled": { "path": "/tmp", "glob": "*", "jobs": [{"pool": "p", "args": ["echo", "%(nosuchkey)s"]}] },',
        '  },',
        '}',
      ].join('\n'),
    );
    scene.drop('a');
    const result = await scene.run(scene.config);
    expect(result.code).toBe(2);
    const lines = result.stderr.split('\n');
    const at = (line: number, text: string): boolean =>
      lines.some((l) => new RegExp(`watch\\.json:${line}:\\d+: `).test(l) && l.includes(text));
    expect(at(6, 'goood'), result.stderr).toBe(true);
    expect(at(6, '"good"'), result.stderr).toBe(true);
    expect(at(7, 'soon'), result.stderr).toBe(true);
    expect(at(8, 'path'), result.stderr).toBe(true);
    expect(at(9, 'nosuchkey'), result.stderr).toBe(true);
    expect(existsSync(scene.path('ran'))).toBe(false);
    expect(existsSync(scene.state)).toBe(false);
    expect(scene.markers()).toEqual([]);
  });

  test('a watch without jobs, an unknown applied template, an empty configuration: exit code 2, and why', async ({
    scene,
  }) => {
    scene.configure({ watch: { w: { path: scene.data, glob: '*' } } });
    expect(await scene.run('--once', scene.config)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/w.*jobs/s) as string,
    });
    scene.watch();
    expect(await scene.run('--once', 'apply=nosuch', scene.config)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('nosuch') as string,
    });
    expect(await scene.run('--once')).toMatchObject({ code: 2 });
    expect(await scene.run('--once', '/no/such/file.cfg')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('/no/such/file.cfg') as string,
    });
    scene.configure({});
    expect((await scene.run('--once', scene.config)).code).toBe(2);
  });

  test('malformed text names its place', async ({ scene }) => {
    writeFileSync(scene.config, '{\n  "watch": {\n    "w": { "path": "/tmp" "glob": "*" }\n  }\n}\n');
    const result = await scene.run('--once', scene.config);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(/watch\.json:3:\d+/);
    expect(result.stderr).not.toMatch(/^\s+at /m);
  });

  test('a key that nothing knows is a warning with the nearest known key', async ({ scene }) => {
    scene.watch({ resacn: 5 });
    const result = await scene.run('--once', scene.config);
    expect(result.code).toBe(0);
    expect(result.stderr).toMatch(/watch\.json:\d+:\d+: .*resacn.*rescan/);
  });

  test('apply names the watches <template>-<name>; later files and key=value win; YAML is read', async ({
    scene,
  }) => {
    writeFileSync(
      scene.path('templates.cfg'),
      JSON.stringify({
        state_dir: scene.state,
        template: {
          each: {
            glob: '*.x',
            tag: 'low',
            jobs: [scene.script('echo "$1" "$tag" >>"$log"', { env: { log: scene.runLog, tag: '%(tag)s' } })],
          },
        },
      }),
    );
    writeFileSync(scene.path('paths.yaml'), `watch:\n  in: # a comment\n    path: ${scene.data}\n`);
    scene.drop('a.x');
    scene.drop('b.y');
    const args = ['apply=each', scene.path('templates.cfg'), scene.path('paths.yaml')];
    expect((await scene.run('--once', ...args, 'watch.in.tag=high')).code).toBe(0);
    expect(scene.runs()).toEqual(['a.x high']);
    expect(scene.markers()).toEqual(['._each-in_0_a.x.done']);
  });
});

describe('21 reload', () => {
  test('a malformed file keeps the service running; corrected, it is applied', async ({ scene }) => {
    scene.configure({ watch: { w: watchOf(scene, { glob: '*.a' }) } });
    const service = await scene.start();
    writeFileSync(scene.config, '{ "watch": ');
    service.signal('SIGHUP');
    await service.hears(/reload rejected/);
    expect(service.said(/watch\.json:\d+:\d+/)).toBeGreaterThan(0);
    scene.drop('1.a');
    await scene.ran(1);
    scene.configure({ watch: { w: watchOf(scene, { glob: '*.a', template: 'nosuch' }) } });
    service.signal('SIGHUP');
    await until(() => service.said(/reload rejected/) === 2, 'rejected whole');
    scene.drop('2.a');
    await scene.ran(2);
    scene.drop('3.b');
    await stays(() => scene.runs().length === 2, 'not of the glob', 200);
    scene.configure({ watch: { w: watchOf(scene, { glob: '*.b' }) } });
    service.signal('SIGHUP');
    expect((await scene.ran(3))[2]).toBe('3.b');
    expect(service.said(/^reloaded: changed w$/)).toBe(1);
    scene.drop('4.a');
    await stays(() => scene.runs().length === 3, 'the old glob is gone', 300);
    expect(await service.stop()).toBe(0);
  });

  test('watches are added, removed and changed; unchanged ones are not disturbed', async ({ scene }) => {
    const job = (name: string) =>
      scene.script(
        `echo "${name} $1" >>"$log"; while [ ! -e "$go" ]; do sleep 0.02; done; echo "${name} end" >>"$log"`,
        { env: { log: scene.runLog, go: scene.path('go') } },
      );
    const watch = (name: string, more: Config = {}) =>
      watchOf(scene, { glob: `${name}*`, rescan: 600, jobs: [job(name)], ...more });
    scene.configure({ watch: { a: watch('a'), b: watch('b'), c: watch('c') }, pools: { p: { slots: 0 } } });
    const service = await scene.start();
    for (const name of ['a1', 'b1', 'c1']) scene.drop(name);
    await scene.ran(3);
    scene.configure({
      watch: { a: watch('a'), b: watch('b', { min_age: 0.1 }), d: watch('d') },
      pools: { p: { slots: 0 } },
    });
    service.signal('SIGHUP');
    await service.hears(/^reloaded: /);
    expect(service.log.find(({ msg }) => msg.startsWith('reloaded'))).toMatchObject({
      added: ['d'],
      removed: ['c'],
      changed: ['b'],
    });
    scene.drop('c2');
    scene.drop('d2');
    scene.drop('a2');
    await scene.ran(5);
    await stays(() => scene.runs().length === 5, 'nothing is run twice, c is not watched', 500);
    expect(scene.runs().toSorted()).toEqual(['a a1', 'a a2', 'b b1', 'c c1', 'd d2']);
    writeFileSync(scene.path('go'), '');
    await until(
      () => scene.markers().length === 5,
      () => `the jobs of all are recorded, of the removed watch too: ${scene.markers().join(' ')}`,
    );
    expect(scene.markers()).toContain('._c_0_c1.done');
  });

  test('slots of a pool are changed by a reload', async ({ scene }) => {
    const pools = (slots: number) =>
      scene.watch(
        { jobs: [scene.append(':', 'exec sleep 600')] },
        { on_stop: 'kill', pools: { p: { slots } } },
      );
    pools(1);
    const service = await scene.start();
    for (const name of ['a', 'b', 'c']) scene.drop(name);
    await scene.ran(1);
    pools(3);
    service.signal('SIGHUP');
    await scene.ran(3);
  });

  test('on_stop is changed by a reload', async ({ scene }) => {
    const jobs = [scene.append(':', 'exec sleep 600')];
    scene.watch({ jobs });
    const service = await scene.start();
    scene.drop('a');
    await scene.ran(1);
    scene.watch({ jobs }, { on_stop: 'kill' });
    service.signal('SIGHUP');
    await service.hears(/^reloaded: /);
    await service.stop('SIGTERM');
    expect(scene.markers()).toEqual(['._w_0_a.killed']);
  });

  test('a SIGHUP is survived at any time: at the start, and while standing by', async ({ scene }) => {
    scene.watch();
    const service = scene.launch();
    await service.hears(/embedded agent/);
    service.signal('SIGHUP');
    await service.watching();
    const standby = scene.launch();
    await standby.hears(/standing by/);
    standby.signal('SIGHUP');
    await stays(() => !standby.exited, 'it stands by', 500);
  });

  test('--watch-config reloads by itself', async ({ scene }) => {
    scene.configure({ watch: { w: watchOf(scene, { glob: '*.a' }) } });
    const service = await scene.start(['--watch-config', scene.config]);
    scene.drop('1.b');
    await stays(() => scene.runs().length === 0, 'not of the glob', 200);
    const text = JSON.stringify({ state_dir: scene.state, watch: { w: watchOf(scene, { glob: '*.b' }) } });
    writeFileSync(scene.path('new.json'), text);
    renameSync(scene.path('new.json'), scene.config); // as editors save
    await scene.ran(1);
    writeFileSync(scene.config, '{');
    await service.hears(/reload rejected/);
    expect(service.exited).toBe(false);
  });

  test('SIGHUP many times while files arrive: each runs exactly once', async ({ scene }) => {
    scene.configure({ watch: { w: watchOf(scene, { rescan: 2 }) }, pools: { p: { slots: 4 } } });
    const service = await scene.start();
    for (let i = 0; i < 60; i++) {
      scene.drop(`f${i}`);
      if (i % 4 === 0) {
        scene.configure({
          watch: { w: watchOf(scene, { rescan: 2, max_index: 1000 + i }) },
          pools: { p: { slots: 4 } },
        });
        service.signal('SIGHUP');
      }
      await stays(() => true, '', 10);
    }
    await scene.ran(60);
    expect(new Set(scene.runs()).size).toBe(60);
    await until(() => scene.markers().length === 60, '60 markers');
    expect(service.exited).toBe(false);
  });
});

describe('markers of the Python original', () => {
  const python = (scene: Scene, name: string, more: object = {}): void =>
    void scene.drop(
      name,
      JSON.stringify(
        {
          active: false,
          args: ['sh'],
          end_ts: Date.now() / 1000 - 1e6,
          fail_count: 0,
          filename: null,
          id: 'w_0_a.1',
          node: 'old',
          pid: 12345,
          pool: 'p',
          rc: 0,
          seq: 17,
          start_count: 1,
          start_ts: 1.6e9,
          state: 'done',
          stderr_data: '',
          stdout_data: 'aGkK',
          submit_ts: 1.6e9,
          ts: 1.6e9,
          ...more,
        },
        null,
        4,
      ),
    );

  test('an upgrade reprocesses nothing', async ({ scene }) => {
    scene.watch({ rescan: 0.3, retry: false, jobs: [scene.append(), scene.append()] });
    for (const name of ['a', 'b', 'c_0_d.x']) {
      scene.drop(name);
      python(scene, `._w_0_${name}.done`);
    }
    python(scene, '._w_1_b.done');
    python(scene, '._w_1_a.failed', { state: 'failed', rc: 1 });
    python(scene, '._w_0_a.done');
    const service = await scene.start();
    await stays(() => scene.runs().length === 0, 'nothing is reprocessed', 900);
    scene.drop('d');
    await until(
      () => scene.runs().length === 2,
      'the newest is run; the one it displaces gets its second job',
    );
    expect(scene.runs().toSorted()).toEqual(['c_0_d.x', 'd']);
    await service.stop();
  });

  test('with updated: .mtime decides', async ({ scene }) => {
    scene.watch({ rescan: 0.3, updated: true });
    for (const name of ['same', 'changed', 'bare']) {
      scene.drop(name);
      utimesSync(scene.file(name), 1_700_000_000.25, 1_700_000_000.25);
      python(scene, `._w_0_${name}.done`);
    }
    scene.drop('._w_0_same.mtime', '1700000000.25');
    scene.drop('._w_0_changed.mtime', '1600000000.0');
    const service = await scene.start();
    expect(await scene.ran(1)).toEqual(['changed']);
    await stays(() => scene.runs().length === 1, 'the others are not reprocessed', 700);
    utimesSync(scene.file('same'), 1_700_000_001.5, 1_700_000_001.5);
    expect((await scene.ran(2))[1]).toBe('same');
    expect(service.exited).toBe(false);
  });

  test('a .failed is rerun with retry, and goes with the success', async ({ scene }) => {
    scene.watch({ retry_delay: 0.1 });
    scene.drop('a');
    python(scene, '._w_0_a.failed', { state: 'failed', rc: 1 });
    scene.drop('b');
    python(scene, '._w_0_b.killed', { state: 'killed', rc: -9 });
    await scene.start();
    await scene.marked('._w_0_a.done');
    await stays(() => scene.count('b') === 0, 'killed is never retried', 300);
    expect(scene.markers()).toEqual(['._w_0_a.done', '._w_0_b.killed']);
  });

  test('an empty or damaged marker stops nothing and still counts as processed', async ({ scene }) => {
    scene.watch({ rescan: 0.3 });
    scene.drop('a');
    scene.drop('b');
    scene.drop('._w_0_a.done', '');
    scene.drop('._w_0_b.done', '{"state"');
    await scene.start();
    scene.drop('c');
    expect(await scene.ran(1)).toEqual(['c']);
    await stays(() => scene.runs().length === 1, 'a and b are processed', 600);
  });
});
