import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect } from 'vitest';
import { stays, test, until, type Scene } from '../support/service.js';

describe('15 names, and markers of others', () => {
  test('an underscore in a file name stops nothing', async ({ scene }) => {
    const names = ['GFS_20240101.foo', 'a_0_b', '_', '__0_x', '0', 'w_0_x.done'];
    scene.watch({ rescan: 0.3 });
    for (const name of names.slice(0, 3)) scene.drop(name);
    await scene.start();
    for (const name of names.slice(3)) scene.drop(name);
    expect((await scene.ran(6)).toSorted()).toEqual(names.toSorted());
    await until(() => scene.markers().length === 6, 'six markers');
    rmSync(scene.file('GFS_20240101.foo'));
    await until(() => !scene.markers().includes('._w_0_GFS_20240101.foo.done'), 'its marker is cleaned up');
    await stays(() => scene.markers().length === 5, 'the others stay', 700);
    await stays(() => scene.runs().length === 6, 'exactly once', 100);
  });

  test('foreign ._ files are neither data nor ours to remove', async ({ scene }) => {
    const foreign = [
      '._photo.jpg',
      '._',
      '._w',
      '._w_',
      '._w_notes',
      '._w_x_y.done',
      '._w_0_.done',
      '._v_0_gone.done',
      '._w_0_gone.txt',
      '._w_00_gone.done',
    ];
    for (const name of foreign) scene.drop(name, 'foreign');
    scene.drop('photo.jpg');
    scene.watch({ rescan: 0.2 });
    const service = await scene.start();
    await scene.ran(1);
    rmSync(scene.file('photo.jpg'));
    await until(() => !scene.markers().includes('._w_0_photo.jpg.done'), 'our own marker is cleaned up');
    await stays(() => scene.runs().length === 1, 'hidden files are never data', 700);
    expect(scene.markers().toSorted()).toEqual(foreign.toSorted());
    for (const name of foreign) expect(readFileSync(scene.file(name), 'utf8')).toBe('foreign');
    expect(await service.stop()).toBe(0);
  });

  test('a dot in a watch name: the markers of living files stay', async ({ scene }) => {
    scene.configure({
      state_dir: scene.state,
      watch: {
        'w.1': { path: scene.data, glob: '*', rescan: 0.2, jobs: [scene.append()] },
        w: { path: scene.data, glob: '*', rescan: 0.2, jobs: [scene.append()] },
        'w.1.done': { path: scene.data, glob: '*', rescan: 0.2, jobs: [scene.append()] },
      },
    });
    scene.drop('a.b');
    await scene.start();
    await scene.ran(3);
    const all = ['._w.1.done_0_a.b.done', '._w.1_0_a.b.done', '._w_0_a.b.done'];
    await until(() => scene.markers().length === 3, 'three markers');
    await stays(() => scene.markers().toSorted().join() === all.toSorted().join(), 'the markers stay', 900);
    expect(scene.runs().length).toBe(3);
  });

  test('a temporary file left by a crash in the middle of a marker is removed and never believed', async ({
    scene,
  }) => {
    scene.drop('a');
    scene.drop('._w_0_a.done.tmp', '{"state": "do');
    scene.watch({ rescan: 0.3 });
    await scene.start();
    await scene.marked('._w_0_a.done');
    expect(scene.runs()).toEqual(['a']);
    expect(readdirSync(scene.data).toSorted()).toEqual(['._w_0_a.done', 'a']);
  });
});

describe('16 names whose markers cannot be told apart', () => {
  const config = (scene: Scene, other: string, path = scene.data) =>
    scene.configure({
      watch: {
        a: { path: scene.data, glob: '*', jobs: [scene.append()] },
        [other]: { path, glob: '*', jobs: [scene.append()] },
      },
    });

  test.for(['a_0', 'a_12', 'a_0_b'])(
    'a and %s in one directory are refused at load',
    async (other, { scene }) => {
      config(scene, other);
      scene.drop('x');
      const result = await scene.run('--once', scene.config);
      expect(result.code).toBe(2);
      expect(result.stderr).toMatch(new RegExp(`watch\\.json:\\d+:\\d+: .*${other}`));
      expect(scene.runs()).toEqual([]);
      expect(existsSync(scene.state)).toBe(false);
    },
  );

  test('also where one reaches the directory by recursion', async ({ scene }) => {
    mkdirSync(scene.file('sub'));
    scene.configure({
      watch: {
        a: { path: scene.data, recursive: true, glob: '*', jobs: [scene.append()] },
        a_0: { path: scene.file('sub'), glob: '*', jobs: [scene.append()] },
      },
    });
    expect((await scene.run('validate', scene.config)).code).toBe(2);
  });

  test('a and a_0 in different directories, and a and a_x, are fine', async ({ scene }) => {
    config(scene, 'a_0', scene.root);
    expect(await scene.run('validate', scene.config)).toMatchObject({ code: 0 });
    config(scene, 'a_x');
    expect(await scene.run('validate', scene.config)).toMatchObject({ code: 0 });
  });
});

describe('17 delete and drop again under the same name', () => {
  test('runs again, each time', async ({ scene }) => {
    scene.watch();
    await scene.start();
    for (let i = 1; i <= 4; i++) {
      scene.drop('a', `content ${i}`);
      await scene.ran(i);
      await scene.marked('._w_0_a.done');
      rmSync(scene.file('a'));
      await until(() => scene.markers().length === 0, 'the marker goes with the file');
    }
    scene.drop('a');
    await scene.ran(5);
  });

  test('runs again within one burst of events, with the inode reused', async ({ scene }) => {
    scene.watch({ rescan: 600 });
    await scene.start();
    scene.drop('a', 'same');
    for (let i = 2; i <= 5; i++) {
      await scene.marked('._w_0_a.done');
      const before = scene.marker('._w_0_a.done')['id'];
      rmSync(scene.file('a'));
      scene.drop('a', 'same');
      await scene.ran(i);
      await until(
        () => existsSync(scene.file('._w_0_a.done')) && scene.marker('._w_0_a.done')['id'] !== before,
        'a new marker',
      );
    }
    await stays(() => scene.runs().length === 5, 'exactly once each', 400);
  });

  test('runs again when replaced while the service is down, with other content', async ({ scene }) => {
    scene.watch();
    scene.drop('a', 'one');
    scene.drop('b', 'one');
    const first = await scene.start();
    await scene.ran(2);
    await until(() => scene.markers().length === 2, 'two markers');
    await first.stop();
    rmSync(scene.file('a'));
    writeFileSync(scene.path('a'), 'another');
    renameSync(scene.path('a'), scene.file('a'));
    await scene.start();
    await scene.ran(3);
    await stays(() => scene.runs().length === 3, 'only the new one', 400);
    expect(scene.runs()[2]).toBe('a');
  });

  test('dropped again while the job of the old one runs: a run of its own afterwards', async ({ scene }) => {
    scene.watch({
      rescan: 0.5,
      jobs: [
        scene.script('cat "$2" >>"$log"; echo >>"$log"; while [ ! -e "$go" ]; do sleep 0.02; done', {
          env: { log: scene.runLog, go: scene.path('go') },
        }),
      ],
    });
    await scene.start();
    scene.drop('a', 'one');
    await scene.ran(1);
    rmSync(scene.file('a'));
    await stays(() => scene.runs().length === 1, 'nothing to run', 100);
    writeFileSync(scene.path('a'), 'another');
    renameSync(scene.path('a'), scene.file('a'));
    await stays(() => scene.runs().length === 1, 'not beside the running one', 400);
    writeFileSync(scene.path('go'), '');
    expect(await scene.ran(2)).toEqual(['one', 'another']);
    await scene.marked('._w_0_a.done');
    await stays(() => scene.runs().length === 2, 'exactly once each', 700);
  });

  test('deleted while the service is down: its marker is cleaned up', async ({ scene }) => {
    scene.watch();
    scene.drop('a');
    const first = await scene.start();
    await scene.marked('._w_0_a.done');
    await first.stop();
    rmSync(scene.file('a'));
    await scene.start();
    await until(() => scene.markers().length === 0, 'cleaned up');
  });
});

describe('18 equality and limits', () => {
  const sets = (scene: Scene) => [
    {
      pool: 'p',
      args: ['sh', '-c', 'log=$1; shift; echo "$*" >>"$log"', 'job', scene.runLog, '%(fileset)s'],
    },
  ];

  test('2020.1 does not match 2020.10', async ({ scene }) => {
    scene.watch({ glob: ['*.foo', '*.bar'], split: '.', fileset: 2, rescan: 0.3, jobs: sets(scene) });
    await scene.start();
    scene.drop('2020.1.foo');
    scene.drop('2020.10.bar');
    await stays(() => scene.runs().length === 0, 'no set is complete', 700);
    scene.drop('2020.10.foo');
    expect(await scene.ran(1)).toEqual(['2020.10.foo 2020.10.bar']);
    scene.drop('2020.1.bar');
    expect((await scene.ran(2))[1]).toBe('2020.1.foo 2020.1.bar');
  });

  test('max_index: 0 means only the first', async ({ scene }) => {
    scene.watch({ max_index: 0, rescan: 0.3 });
    for (const name of ['1', '2', '3']) scene.drop(name);
    await scene.start();
    expect(await scene.ran(1)).toEqual(['3']);
    await stays(() => scene.runs().length === 1, 'only the first', 600);
    scene.drop('4');
    expect(await scene.ran(2)).toEqual(['3', '4']);
    await stays(() => scene.runs().length === 2, 'only the first', 500);
  });
});

describe('19 names reach no shell', () => {
  const bytes = (text: string): Buffer => Buffer.from(text);
  const hostile = (scene: Scene): Buffer[] => {
    const owned = scene.path('owned').replaceAll('/', '\\/');
    return [
      '$(touch owned)',
      '`touch owned`',
      'a;touch owned;',
      '|touch owned',
      '&& touch owned',
      '> owned',
      `'; touch owned; '`,
      '"; touch owned; "',
      `it's`,
      'say "hi"',
      'a\\b',
      '\\',
      '\\n',
      "'",
      '"',

      'two  spaces',
      ' leading',
      'trailing ',
      'tab\there',
      'new\nline',
      '\n',
      '\r',
      '\u001b[31m',
      '\u007f',
      '-rf',
      '--help',
      '-',
      '-- x',
      '%',
      '%%',
      '%s',
      '%(file)s',
      '%(nosuch)s',
      '%d%n',
      '100%',

      '*',
      '?',
      '[a]',
      '{a,b}',
      '!x',
      '~',
      '#x',
      '$HOME',
      '${IFS}',
      '=',
      'a=b',
      '(',
      '@',
      '+(x)',
      'ünïcödé',
      '日本',
      '🙂',
      owned.replaceAll('\\/', '_'),
      'x'.repeat(255),
      'ü'.repeat(127),
      'y'.repeat(240),
    ]
      .map(bytes)
      .concat([
        Buffer.from([0xff]),
        Buffer.from([0x61, 0x80, 0xfe, 0x62]),
        Buffer.from([0xc3]),
        Buffer.alloc(255, 0xe9),
        Buffer.from([0xed, 0xb2, 0x80]),
      ]);
  };
  const inData = (scene: Scene, name: Buffer): Buffer => Buffer.concat([bytes(`${scene.data}/`), name]);
  /** NUL-separated names, as the jobs received them, as hex */
  const received = (path: string): string[] =>
    existsSync(path)
      ? readFileSync(path, 'latin1')
          .split('\0')
          .slice(0, -1)
          .map((name) => Buffer.from(name, 'latin1').toString('hex'))
          .toSorted()
      : [];

  test('each hostile name runs once, and the job receives its exact bytes', async ({ scene }) => {
    const names = hostile(scene);
    const job = {
      pool: 'p',
      args: [
        'sh',
        '-c',
        `[ -e "$2" ] && printf '%s\\0' "$1" >>"$log" && printf '%s\\0' "$NAME" >>"$log.env"`,
        'job',
        '%(filename)s',
        '%(file)s',
      ],
      env: { log: scene.runLog, NAME: '%(filename)s' },
    };
    scene.watch({ rescan: 2, jobs: [job] }, { pools: { p: { slots: 4 } } });
    for (const name of names.slice(0, 25)) writeFileSync(inData(scene, name), 'x');
    const service = await scene.start();
    for (const name of names.slice(25)) writeFileSync(inData(scene, name), 'x');
    const expected = names.map((name) => name.toString('hex')).toSorted();
    await until(
      () => received(scene.runLog).length >= names.length,
      () =>
        `all run; missing ${expected
          .filter((name) => !received(scene.runLog).includes(name))
          .map((hex) => JSON.stringify(Buffer.from(hex, 'hex').toString()))
          .join(' ')}\n${service.tail()}`,
    );
    await until(() => scene.markers().length === names.length, 'a marker each');
    const listing = (): string[] =>
      readdirSync(bytes(scene.data), { encoding: 'buffer' })
        .filter((name) => !name.toString('latin1').startsWith('._'))
        .map((name) => name.toString('hex'))
        .toSorted();
    expect(received(scene.runLog)).toEqual(expected);
    expect(received(`${scene.runLog}.env`)).toEqual(expected);
    expect(listing()).toEqual(expected);
    for (const place of [scene.root, scene.data, process.cwd()])
      expect(existsSync(`${place}/owned`)).toBe(false);
    // and a restart finds all of them processed; deletion cleans all of them up
    await service.stop();
    const next = await scene.start();
    await stays(() => received(scene.runLog).length === names.length, 'exactly once', 700);
    expect(next.log.filter(({ level }) => level >= 40)).toEqual([]);
    for (const name of names) rmSync(inData(scene, name));
    await until(
      () => readdirSync(scene.data).length === 0,
      () => `all markers go: ${readdirSync(scene.data).join(' ')}`,
    );
  });

  test('a marker name that would be too long is shortened; two such files do not share one', async ({
    scene,
  }) => {
    const names = ['a', 'b'].map((end) => 'x'.repeat(254) + end);
    scene.watch();
    for (const name of names) scene.drop(name);
    await scene.start();
    await scene.ran(2);
    await until(() => scene.markers().length === 2, 'two markers');
    expect(
      scene
        .markers()
        .map((name) => String(scene.marker(name)['file']))
        .toSorted(),
    ).toEqual(names);
    expect(Math.max(...scene.markers().map((name) => name.length))).toBeLessThanOrEqual(255);
  });
});

describe('20 placeholders', () => {
  test('a literal %, numbers and booleans in args, nested env, every conversion', async ({ scene }) => {
    const args = [
      'sh',
      '-c',
      'echo "$@" >>"$log"',
      'job',
      '+%Y',
      '100%',
      '%%',
      5,
      1.5,
      true,
      '%(index)03d',
      '%(name)s',
      '%(path)s',
      '%(mine)s',
      '%(stem)s',
      '%(ext)s',
      '%(size)d',
      '%(attempt)s',
      '%(0)s',
      '%(1)s',
      '%(filename)10s|',
    ];
    scene.watch({ split: '.', mine: 'own', jobs: [{ pool: 'p', args, env: { log: scene.runLog } }] });
    await scene.start();
    scene.drop('a.b', '1234');
    expect(await scene.ran(1)).toEqual([
      `+%Y 100% % 5 1.5 true 000 w ${scene.data} own a b 4 1 a b        a.b|`,
    ]);
  });

  test('what a file name brings in is never expanded again', async ({ scene }) => {
    scene.watch();
    scene.drop('%(path)s');
    await scene.start();
    expect(await scene.ran(1)).toEqual(['%(path)s']);
  });

  test('a missing part is the problem of that file only, reported once', async ({ scene }) => {
    scene.watch({
      split: '.',
      rescan: 0.2,
      jobs: [scene.script('echo "$1" >>"$log"', { env: { log: scene.runLog, x: '%(2)s' } })],
    });
    scene.drop('x');
    scene.drop('a.b.c');
    const service = await scene.start();
    expect(await scene.ran(1)).toEqual(['a.b.c']);
    scene.drop('d.e.f');
    await scene.ran(2);
    await stays(() => scene.runs().length === 2, 'x can have no job', 800);
    const told = service.log.filter(({ msg, level }) => level >= 40 && /\bx\b/.test(msg));
    expect(told).toHaveLength(1);
    expect(told[0]!.msg).toContain('%(2)s');
  });

  test('a placeholder that no key can satisfy is refused at load', async ({ scene }) => {
    scene.watch({ jobs: [scene.script('true', { cwd: '%(nosuchkey)s' })] });
    const result = await scene.run('--once', scene.config);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('nosuchkey');
  });
});
