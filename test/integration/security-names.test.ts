import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Box } from '../support/box.js';
import { test } from '../support/service.js';

const dist = process.env['MEESEEKS_TEST_DIST'] ?? resolve(import.meta.dirname, '../../dist');

/** Names that mean something to a shell, a path, a terminal or a format. @param canary what they try to make */
const hostile = (canary: string): string[] => [
  '../../x',
  '../spool',
  '..',
  '.',
  '/etc/passwd',
  canary,
  `../../../../../../../../..${canary}`,
  '-rf',
  '--help',
  '%(path)s%n%s%%',
  `$(touch ${canary})`,
  `\`touch ${canary}\``,
  `; touch ${canary} #`,
  `'; touch ${canary}; '`,
  `"; touch ${canary}; "`,
  `a\ntouch ${canary}\n`,
  `| touch ${canary}`,
  `&& touch ${canary}`,
  '*',
  '~root',
  '\u001b[2J\u001b]0;owned\u0007',
  '__proto__',
  'constructor',
  'x'.repeat(5000),
];

/** Everything there is, but the spool, whose names are ours. */
const names = (root: string): string[] => readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();

describe('ids of jobs', () => {
  let base: string;
  let box: Box;
  beforeEach(async () => {
    base = mkdtempSync(join(tmpdir(), 'meeseeks-names-'));
    const directory = join(base, 'a', 'b', 'c');
    mkdirSync(directory, { recursive: true });
    box = await Box.start({ directory, config: { pools: { p: {} }, state_dir: join(directory, 'state') } });
  });
  afterEach(async () => {
    await box.remove();
    rmSync(base, { recursive: true, force: true });
  });

  const client = (...words: string[]): Promise<string> =>
    new Promise((done) => {
      const env = { PATH: process.env['PATH'], MEESEEKS_CONF: `port=${box.port}` };
      const file = join(dist, 'bin/meeseeks-client.js');
      execFile(process.execPath, [file, ...words], { env, maxBuffer: 1 << 26 }, (_, stdout, stderr) =>
        done(stdout + stderr),
      );
    });

  it('are names and nothing else: their runs stay in the spool, no shell and no terminal obeys them', async () => {
    const canary = join(base, 'canary');
    const ids = hostile(canary);
    for (const id of ids)
      await box.ask([
        {
          submit: {
            id,
            pool: 'p',
            args: ['printf', '%s\\n', id],
            cwd: '/',
            env: { PATH: process.env['PATH'] },
          },
        },
      ]);
    for (const id of ids) {
      const answers = (await box.ask([{ query: [id] }])) as unknown[][];
      expect(JSON.stringify(answers), id).not.toContain('no such job');
    }
    for (const id of ids) await box.finished(id);
    const text = await client('stat');
    expect(text).toContain('owned');
    expect(existsSync(canary)).toBe(false);
    // eslint-disable-next-line no-control-regex -- they are what is looked for
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
    const spool = join(box.directory, 'state', 'spool');
    for (const file of readdirSync(spool))
      expect(file).toMatch(/^(\w[\w.:-]*|~[0-9a-f]{40})\.\d+\.(stdout|stderr)$/);
    expect(readdirSync(spool).length).toBe(2 * ids.length);
    const outside = names(base).filter((name) => !name.startsWith('a/b/c/'));
    expect(outside).toEqual(['a', 'a/b', 'a/b/c']);
  });
});

describe('names of files', () => {
  test('reach check commands, sentinels, output files and commands of a person as they are', async ({
    scene,
  }) => {
    const canary = scene.path('canary');
    const files = hostile(canary)
      .filter((name) => !name.includes('/') && !name.startsWith('.') && name.length < 200)
      .concat([
        '$(touch canary)',
        '`touch canary`',
        '; touch canary #',
        "'; touch canary; '",
        'a\ntouch canary\n',
      ]);
    mkdirSync(scene.path('out'));
    scene.watch({
      jobs: [
        scene.script('cat "$2" >>"$log"; echo "$1" >&2', {
          stdout: scene.path('out', '%(filename)s.txt'),
          stderr: scene.path('out', '%(filename)s.err'),
          cwd: scene.root,
        }),
      ],
      ready: { sentinel: '.%(filename)s.ok', check: ['test', '-s', '%(file)s'] },
    });
    for (const name of files) {
      writeFileSync(scene.file(`.${name}.ok`), '');
      writeFileSync(scene.file(name), 'x\n');
    }
    await scene.start();
    await scene.ran(files.length);
    expect(names(scene.path('out'))).toEqual(
      files.flatMap((name) => [`${name}.err`, `${name}.txt`]).toSorted(),
    );
    for (const command of ['explain', 'forget'])
      await scene.run(
        command,
        ...(command === 'explain' ? [scene.file('-rf')] : ['--glob', '*']),
        scene.config,
      );
    expect(existsSync(canary) || existsSync(scene.path('canary')) || existsSync(scene.file('canary'))).toBe(
      false,
    );
  });
});
