import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Box } from '../support/box.js';
import { test, until } from '../support/service.js';
import { commandLines, tree, type Entry } from '../support/tree.js';

const SECRET = 'hunter2-5f1d';
const umasks = [0o000, 0o022, 0o077] as const;
const octal = (mode: number): string => mode.toString(8).padStart(3, '0');
const shown = (entries: readonly Entry[]): string[] =>
  entries.map(({ path, kind, mode }) => `${kind} ${path} ${octal(mode)}`);

/** What another user could open. */
const open = (entries: readonly Entry[]): string[] =>
  shown(entries.filter(({ kind, mode }) => kind !== 'other' && (mode & 0o077) !== 0));

/** Runs with a umask that the child inherits at its start. */
async function under<T>(umask: number, start: () => T | Promise<T>): Promise<T> {
  const before = process.umask(umask);
  try {
    return await start();
  } finally {
    process.umask(before);
  }
}

describe('a watcher and its files', () => {
  test.for(umasks.map((umask) => [octal(umask), umask] as const))(
    'umask %s: the state is the owner’s, markers can be read and not written by others, no secret in them',
    async ([, umask], { scene }) => {
      const hold = scene.path('go');
      const script = `test -n "$TOKEN"; test "$1" = quick || until test -e ${hold}; do sleep 0.02; done`;
      scene.watch(
        {
          state_path: scene.path('markers', 'deep'),
          jobs: [scene.script(script, { env: { TOKEN: SECRET, log: scene.runLog } })],
        },
        { state_dir: scene.path('state', 'w') },
      );
      mkdirSync(scene.path('state'));
      const service = await under(umask, () =>
        scene.launch(['--log-level=debug', scene.config], { env: { INHERITED: SECRET } }),
      );
      await service.watching();
      scene.drop('quick');
      scene.drop('slow');
      const markers = scene.path('markers', 'deep');
      await until(() => tree(scene.state).some(({ path }) => path.endsWith('.stderr')), 'a job runs');
      await until(() => tree(scene.root).some(({ path }) => path.endsWith('quick.done')), 'a marker');
      expect(open(tree(scene.path('state', 'w')))).toEqual([]);
      const written = tree(dirname(markers));
      expect(shown(written.filter(({ mode }) => (mode & 0o022) !== 0))).toEqual([]);
      expect(written.filter(({ content }) => content.includes(SECRET))).toEqual([]);
      if (umask === 0o077) expect(open(written.filter(({ kind }) => kind === 'file'))).toEqual([]);
      expect(commandLines().filter((text) => text.includes(SECRET))).toEqual([]);
      writeFileSync(hold, '');
      await until(() => tree(scene.root).some(({ path }) => path.endsWith('slow.done')), 'the other marker');
      await service.stop();
      expect(service.stderr).not.toContain(SECRET);
      const status = await scene.run('explain', '--json', scene.file('quick'), scene.config);
      expect(status.stdout + status.stderr).toMatch(/quick/);
      expect(status.stdout + status.stderr).not.toContain(SECRET);
    },
  );

  test('a state directory that was open to others is closed, before its socket is there', async ({
    scene,
  }) => {
    mkdirSync(scene.state);
    execFileSync('chmod', ['0777', scene.state]);
    scene.watch();
    await scene.start();
    expect(open(tree(scene.state))).toEqual([]);
  });

  test('a token in a file that anybody may read, or on the command line, is told of once, and not repeated', async ({
    scene,
  }) => {
    execFileSync('chmod', ['0755', scene.root]);
    scene.watch({}, { client: { address: '127.0.0.1', port: 1, token: SECRET } });
    execFileSync('chmod', ['0644', scene.config]);
    const service = await scene.start();
    const told = /^anybody may read client\.token in .*watch\.json; chmod o-r .*client\.token_file/;
    expect(service.said(told)).toBe(1);
    expect(service.log.find(({ msg }) => told.test(msg))).toMatchObject({ level: 40 });
    service.signal('SIGHUP');
    await service.hears(/^reloaded/);
    expect(service.said(told)).toBe(1);
    expect(service.stderr).not.toContain(SECRET);
    await service.stop();
    execFileSync('chmod', ['0640', scene.config]);
    expect((await scene.start()).said(/^anybody/)).toBe(0);
    await scene.services.at(-1)!.stop();
    const words = await scene.start([scene.config, `client.token=${SECRET}-2`]);
    expect(words.said(/^anybody can see client\.token on the command line/)).toBe(1);
    expect(words.stderr).not.toContain(SECRET);
  });

  test('messages about a configuration do not repeat its values', async ({ scene }) => {
    scene.watch(
      { jobs: [scene.script(':', { env: { TOKEN: SECRET }, stdin: 5 })] },
      { client: { address: 'localhost', token: SECRET, port: 'x' } },
    );
    const result = await scene.run('validate', scene.config);
    expect(result.code).toBe(2);
    expect(result.stdout + result.stderr).not.toContain(SECRET);
  });
});

describe('a box and its files', () => {
  let box: Box | undefined;
  let base: string | undefined;
  afterEach(async () => {
    await box?.remove();
    box = undefined;
    if (base !== undefined) rmSync(base, { recursive: true, force: true });
  });

  it.each(umasks.map((umask) => [octal(umask), umask] as const))(
    'umask %s: state, socket, history and checkpoint are the owner’s; tokens and environments are nowhere else',
    async (_, umask) => {
      base = mkdtempSync(join(tmpdir(), 'meeseeks-security-'));
      const file = (name: string): string => join(base!, 'state', name);
      mkdirSync(join(base, 'state'));
      box = await under(umask, () =>
        Box.start({
          config: {
            pools: { p: {} },
            state_dir: join(base!, 'state', 'dir'),
            listen: { address: '127.0.0.1', port: 0, path: file('box.sock'), token: `${SECRET}-token` },
            state: { history: file('history'), file: file('checkpoint'), checkpoint: 0.1, expire: 60 },
          },
          args: ['--log-level', 'debug'],
          env: { INHERITED: `${SECRET}-own` },
        }),
      );
      const ask = async (...requests: object[]): Promise<Record<string, unknown>[]> => {
        const [, ...answers] = (await box!.ask(
          [{ hello: { protocol: 2, token: `${SECRET}-token` } }],
          ...requests.map((one) => [one]),
        )) as Record<string, unknown>[][];
        return answers.map((answer) => answer[0]!);
      };
      const env = { PATH: process.env['PATH'], TOKEN: `${SECRET}-job` };
      const running = { id: 'running', pool: 'p', args: ['sleep', '60'], cwd: '/', env };
      const done = { ...running, id: 'done', args: ['true'] };
      await ask({ submit: running }, { submit: done });
      await until(
        () => tree(join(base!, 'state', 'dir')).filter(({ path }) => path.endsWith('.stderr')).length > 1,
        'both were started',
      );
      await until(async () => JSON.stringify(await ask({ get: 'done' })).includes('"done"'), 'one has ended');
      await until(() => tree(base!).some(({ path }) => path.endsWith('checkpoint')), 'a checkpoint');
      expect(open(tree(base).filter(({ path }) => path.startsWith(join(base!, 'state', 'dir'))))).toEqual([]);
      for (const name of ['box.sock', 'history', 'checkpoint'])
        expect(open(tree(join(base, 'state')).filter(({ path }) => path === file(name)))).toEqual([]);
      expect(commandLines().filter((text) => text.includes(SECRET))).toEqual([]);
      const answers = JSON.stringify(
        await ask({ get: 'running' }, { query: 'done' }, { ls: {} }, { status: {} }, { config: {} }),
      );
      expect(answers).toContain('running');
      expect(answers).not.toContain(SECRET);
      const refused = await box.ask([{ hello: { protocol: 2, token: `${SECRET}-wrong` } }], [{ ls: {} }]);
      expect(JSON.stringify(refused)).not.toContain(SECRET);
      await ask({ kill: 'running' });
      await box.stop();
      expect(box.stderr).not.toContain(SECRET);
      expect(tree(base).find(({ path }) => path === file('history'))!.content).toContain('"done"');
      expect(tree(base).find(({ path }) => path === file('history'))!.content).not.toContain(SECRET);
    },
  );

  it.each([
    ['0644', 1],
    ['0600', 0],
  ] as const)('a token in a configuration of mode %s: told of %i times', async (mode, times) => {
    base = mkdtempSync(join(tmpdir(), 'meeseeks-security-'));
    execFileSync('chmod', ['0755', base]);
    const config = { listen: { address: '127.0.0.1', port: 0, token: SECRET } };
    box = await Box.start({ directory: base, config });
    execFileSync('chmod', [mode, join(base, 'box.json')]);
    await box.stop();
    await box.restart();
    const told = box.log.slice(box.log.findIndex((entry) => 'ports' in entry) + 1);
    const exposed = /^anybody may read listen\.token in .*box\.json; chmod o-r .*listen\.token_file/;
    expect(told.filter(({ msg }) => exposed.test(String(msg)))).toHaveLength(times);
    expect(box.stderr).not.toContain(SECRET);
  });
});
