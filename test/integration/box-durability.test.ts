import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { Box, pause, until } from '../support/box.js';

let box: Box;
afterEach(() => box.remove());

const submit = (id: string, script: string, more: object = {}): object => [
  { submit: { id, pool: 'p', args: ['sh', '-c', script], ...more } },
];

it('keeps what it has answered through kill -9, and adopts running jobs', async () => {
  box = await Box.start({ config: { pools: { p: { slots: 1 } } } });
  const go = join(box.directory, 'go');
  await box.ask(submit('runs', `while [ ! -e ${go} ]; do sleep 0.05; done; echo end; exit 7`));
  await box.until('runs', (job) => typeof job['pid'] === 'number');
  await box.ask(...['a', 'b', 'c'].map((id) => submit(id, 'true')));
  const before = (await box.request('query', 'c')) as { seq: number };
  await box.crash();
  await box.restart();
  await box.says(/adopting running jobs/);
  await box.ask(submit('go', 'true', { pool: 'q' }), [{ config: { pools: { q: {} } } }]);
  await box.finished('go');
  await box.ask([{ submit: { id: 'touch', pool: 'q', args: ['touch', go] } }]);
  expect(await box.finished('runs')).toMatchObject({
    state: 'failed',
    rc: 7,
    start_count: 1,
    stdout_data: 'ZW5kCg==',
  });
  expect(await box.finished('c')).toMatchObject({ state: 'done', start_count: 1 });
  expect(((await box.request('query', 'go')) as { seq: number }).seq).toBeGreaterThan(before.seq);
});

it('leaves jobs running on SIGTERM, waits for them on Ctrl-C, kills them on the second', async () => {
  box = await Box.start({ config: { pools: { p: {} } } });
  await box.ask(submit('x', 'trap "" TERM; sleep 1; echo survived'));
  await box.until('x', (job) => typeof job['pid'] === 'number');
  expect(await box.stop('SIGTERM')).toBe(0);
  await box.restart();
  expect(await box.finished('x')).toMatchObject({ state: 'done' });
  await box.ask(submit('y', 'sleep 0.5'));
  await box.until('y', (job) => typeof job['pid'] === 'number');
  expect(await box.stop('SIGINT')).toBe(0);
  await box.restart();
  expect(await box.request('query', 'y')).toMatchObject({ state: 'done' });
  await box.ask(submit('z', 'sleep 60'));
  await box.until('z', (job) => typeof job['pid'] === 'number');
  expect(await box.stop('SIGINT', 'SIGINT')).toBe(0);
  await box.restart();
  expect(await box.request('query', 'z')).toMatchObject({ state: 'killed', active: false });
});

it('writes the history, and forgets what was seen once it has expired', async () => {
  box = await Box.start({ config: { pools: { p: {} }, state: { expire: 1, history: 'history.jsonl' } } });
  await box.ask(submit('seen', 'true', { env: { SECRET: 'x' } }), submit('kept', 'true', { key: 'k' }));
  await box.finished('seen');
  await box.finished('kept');
  await until(async () => (await box.request('query', 'seen')) === false);
  expect(await box.request('query', 'kept')).toMatchObject({ state: 'done' });
  expect(await box.request('release', { ids: ['kept'] })).toBe(1);
  await until(async () => (await box.request('query', 'kept')) === false);
  const history = readFileSync(join(box.directory, 'history.jsonl'), 'utf8');
  const ids = history
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { id: string }).id);
  expect(ids.toSorted()).toEqual(['kept', 'seen']);
  expect(history).not.toContain('SECRET');
});

it('copies its jobs to state.file, and starts from it when it has no state', async () => {
  box = await Box.start({
    config: { pools: { p: { hold: true } }, state: { file: 'jobs.json', checkpoint: 0.2 } },
  });
  await box.ask(submit('w', 'true', { tags: ['t'] }));
  const copy = join(box.directory, 'jobs.json');
  await until(() => existsSync(copy) && 'w' in (JSON.parse(readFileSync(copy, 'utf8')) as object));
  await box.crash();
  await box.restart({ pools: { p: {} }, state: { file: 'jobs.json' }, state_dir: 'elsewhere' });
  expect(await box.finished('w')).toMatchObject({ state: 'done', tags: ['t'] });
});

it('reloads its files, and keeps the running configuration when they are wrong', async () => {
  box = await Box.start({ config: { pools: { p: { slots: 1 } } } });
  box.configure({ pools: { p: { slots: 'two' } } });
  box.signal('SIGHUP');
  await box.says(/reload rejected/);
  expect(await box.request('pools', {})).toEqual({ p: { n1: 1 } });
  box.configure({ pools: { p: { slots: 3 }, new: { slots: 2 } } });
  box.signal('SIGHUP');
  await box.says(/^reloaded/);
  expect(await box.request('pools', {})).toEqual({ p: { n1: 3 }, new: { n1: 2 } });
  expect(await box.request('config', { listen: { port: 1 } })).toMatchObject({
    error: expect.stringContaining('restart'),
  });
});

it('does not let ten thousand jobs of an unknown pool cost anything', async () => {
  box = await Box.start({ config: { pools: { p: {} } } });
  const lines = Array.from({ length: 10_000 }, (_, i) =>
    submit(`u${i}`, 'true', { pool: `nowhere${i % 100}` }),
  );
  await box.ask(...lines);
  const cpu = (): number => {
    const fields = readFileSync(`/proc/${box.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return Number(fields[11]) + Number(fields[12]);
  };
  // after the work that they made: what they cost for ever would leave no second free
  await until(async () => {
    const before = cpu();
    await pause(1000);
    return cpu() - before < 10;
  }, 'a second with less than a tenth of it in use');
  await box.ask(submit('ok', 'true'));
  expect(await box.finished('ok')).toMatchObject({ state: 'done' });
});
