import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Box, until } from '../support/box.js';

const dist = process.env['MEESEEKS_TEST_DIST'] ?? resolve(import.meta.dirname, '../../dist');

let box: Box;
beforeAll(async () => {
  box = await Box.start({ config: { pools: { p: {} } } });
});
afterAll(() => box.remove());

const submit = (id: string, script: string, more: object = {}): Promise<unknown> =>
  box.request('submit', { id, pool: 'p', args: ['sh', '-c', script], ...more });
type Part = { data: string; offset: number; size: number; run: number };
const part = async (argument: object): Promise<[text: string, offset: number, size: number, run: number]> => {
  const { data, offset, size, run } = (await box.request('output', argument)) as Part;
  return [Buffer.from(data, 'base64').toString('latin1'), offset, size, run];
};

it('tells parts of what a job writes, while it runs and afterwards', async () => {
  const go = join(box.directory, 'go');
  await submit('a', `printf 'abc\\377'; echo err >&2; while [ ! -e ${go} ]; do sleep 0.05; done; printf def`);
  for (let size = 0; size < 4;) [, , size] = await part({ id: 'a' });
  expect(await part({ id: 'a', stream: 'stdout' })).toEqual(['abc\xff', 0, 4, 1]);
  expect(await part({ id: 'a', offset: 1, limit: 2 })).toEqual(['bc', 1, 4, 1]);
  expect(await part({ id: 'a', offset: 4 })).toEqual(['', 4, 4, 1]);
  expect(await part({ id: 'a', offset: 400 })).toEqual(['', 400, 4, 1]);
  expect(await part({ id: 'a', stream: 'stderr' })).toEqual(['err\n', 0, 4, 1]);
  writeFileSync(go, '');
  await box.finished('a');
  expect(await part({ id: 'a', offset: 4, run: 1 })).toEqual(['def', 4, 7, 1]);
  expect(await part({ id: 'a', offset: 4, run: 0 })).toEqual(['abc\xffdef', 0, 7, 1]);
  await box.request('submit', { id: 'a', state: 'new' });
  await box.until('a', ({ state, start_count }) => state === 'done' && start_count === 2);
  expect(await part({ id: 'a', offset: 5, run: 1 })).toEqual(['abc\xffdef', 0, 7, 2]);
});

it('tells little at a time, nothing of files that are not its own, and null for unknown jobs', async () => {
  await submit('big', 'head -c 3000000 /dev/zero');
  await box.finished('big');
  const [data, , size] = await part({ id: 'big', limit: 1e9 });
  expect([data.length, size]).toEqual([1024 * 1024, 3_000_000]);
  expect((await part({ id: 'big' }))[0].length).toBe(64 * 1024);
  await submit('named', 'true', { stdout: '/etc/hostname', hold: true });
  expect(await box.request('output', { id: 'named' })).toEqual({
    error: 'output: stdout of this job goes to a file, see stdout_path',
  });
  expect(await part({ id: 'named', stream: 'stderr' })).toEqual(['', 0, 0, 0]);
  expect(await box.request('output', { id: 'nobody' })).toBe(null);
});

it.each(['mkfifo', 'ln -s /etc/hostname'])(
  'is not held up by what a job made of its output: %s',
  async (make) => {
    const id = make.split(' ', 1)[0]!;
    const go = join(box.directory, `go-${id}`);
    const spoilt = 'for f in stdout stderr exit pid claim';
    const script = `cd "$MEESEEKS_RUN"; ${spoilt}; do rm $f; ${make} $f; done; : > ${go}.1; while [ ! -e ${go} ]; do sleep 0.05; done`;
    await submit(id, script);
    await until(() => existsSync(`${go}.1`));
    // who opens a pipe waits for ever
    const answers = async (): Promise<void> => {
      expect(await part({ id })).toEqual(['', 0, 0, 1]);
      expect(await box.request('query', id)).not.toHaveProperty('stdout_data');
    };
    await answers();
    writeFileSync(go, '');
    await box.finished(id);
    await answers();
  },
);

it('lets logs -f follow a job on another machine, each byte once', async () => {
  const [go, end] = [join(box.directory, 'go2'), join(box.directory, 'end2')];
  const wait = (file: string): string => `while [ ! -e ${file} ]; do sleep 0.05; done`;
  await submit(
    'live',
    `echo one; echo err >&2; ${wait(go)}; head -c 2000000 /dev/zero | tr '\\0' x; echo; ${wait(end)}; echo two`,
  );
  // an address that the client does not take for this machine: it then leaves the paths of the agent alone
  const words = ['address=127.1', `port=${box.port}`, 'logs', '-f', 'live'];
  const child = spawn(process.execPath, [join(dist, 'bin/meeseeks-client.js'), ...words], {
    env: { PATH: process.env['PATH'] },
  });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (chunk: Buffer) => (said[stream] += chunk.toString()));
  const code = new Promise((done) => child.once('close', done));
  await until(() => said.stdout === 'one\n' && said.stderr === 'err\n');
  expect(await box.request('query', 'live')).toMatchObject({ state: 'running' });
  writeFileSync(go, '');
  await until(() => said.stdout.length === 2_000_005);
  expect(existsSync(end)).toBe(false);
  writeFileSync(end, '');
  expect(await code).toBe(0);
  expect(said.stdout === `one\n${'x'.repeat(2_000_000)}\ntwo\n`).toBe(true);
  expect(said.stderr).toBe('err\n');
});
