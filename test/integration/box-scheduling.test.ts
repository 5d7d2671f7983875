import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Box, pause, until } from '../support/box.js';

let box: Box;
afterEach(() => box.remove());

type Job = Record<string, unknown>;
const submit = (id: string, script: string, more: object = {}): object => [
  { submit: { id, pool: 'p', args: ['sh', '-c', script], ...more } },
];
const names = (count: number, prefix = 'j'): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const states = async (filter: object): Promise<string[]> =>
  Object.values((await box.request('get', filter)) as Record<string, Job>).map(({ state }) => String(state));
const count = async (state: string): Promise<number> =>
  (await states({ state })).filter((one) => one === state).length;
const path = (name: string): string => join(box.directory, name);
/** What jobs have written to the file, word by word. */
const said = (name: string): string[] =>
  existsSync(path(name)) ? readFileSync(path(name), 'utf8').split('\n').filter(Boolean) : [];
const untilGo = (): string => `while [ ! -e ${path('go')} ]; do sleep 0.05; done`;

describe('slots', () => {
  it('0 is no limit, n is one, -1 lets what runs end and starts nothing', async () => {
    box = await Box.start({ config: { pools: { p: { slots: 0 }, two: { slots: 2 }, none: { slots: -1 } } } });
    await box.ask(...names(30, 'a').map((id) => submit(id, untilGo())));
    await box.ask(...names(4, 'b').map((id) => submit(id, untilGo(), { pool: 'two' })));
    await box.ask(submit('c', 'true', { pool: 'none' }));
    await until(async () => (await count('running')) === 32);
    expect(await box.request('pools', {})).toEqual({ p: { n1: null }, two: { n1: 0 }, none: { n1: 0 } });
    await box.request('config', { pools: { two: { slots: -1 } } });
    writeFileSync(path('go'), '');
    await until(async () => (await count('done')) === 32);
    await pause(200);
    expect(await states({ ids: ['b0', 'b1', 'b2', 'b3', 'c'] })).toEqual([
      'done',
      'done',
      'new',
      'new',
      'new',
    ]);
    await box.request('config', { pools: { two: { slots: 1 }, none: { slots: 1 } } });
    for (const id of ['b2', 'b3', 'c']) expect(await box.finished(id)).toMatchObject({ state: 'done' });
  });

  it('a held pool starts nothing until it is let go, a held job neither, in the order they came', async () => {
    box = await Box.start({ config: { pools: { p: { slots: 1, hold: true } } } });
    const log = path('log');
    await box.ask(
      submit('a', `echo a >> ${log}`, { hold: true }),
      submit('b', `echo b >> ${log}`),
      submit('c', `echo c >> ${log}`, { priority: 5 }),
      submit('d', `echo d >> ${log}`),
    );
    await pause(200);
    expect(await states({})).toEqual(['new', 'new', 'new', 'new']);
    await box.request('config', { pools: { p: { hold: false } } });
    await box.finished('d');
    expect(await box.request('query', 'a')).toMatchObject({ state: 'new' });
    await box.ask([{ submit: { id: 'a', hold: 0 } }]);
    await box.finished('a');
    expect(said('log')).toEqual(['c', 'b', 'd', 'a']);
  });
});

describe('again', () => {
  it('retries wait longer each time, on the same node, and a kill ends them', async () => {
    box = await Box.start({ config: { pools: { p: {} } } });
    await box.ask(submit('r', `date +%s.%N >> ${path('r')}; exit 4`, { retries: 2 }));
    await box.ask(submit('k', `echo >> ${path('k')}; exit 1`, { retries: 100 }));
    expect(await box.finished('r')).toMatchObject({ state: 'failed', rc: 4, start_count: 3, fail_count: 3 });
    const [first, second, third] = said('r').map(Number) as [number, number, number];
    expect(second - first).toBeGreaterThanOrEqual(0.95);
    expect(third - second).toBeGreaterThanOrEqual(1.95);
    await box.request('kill', 'k');
    expect(await box.finished('k')).toMatchObject({ state: 'killed' });
    const starts = readFileSync(path('k'), 'utf8').length;
    await pause(300);
    expect(readFileSync(path('k'), 'utf8').length).toBe(starts);
  });

  it('restart follows success only, resubmit both', async () => {
    box = await Box.start({ config: { pools: { p: {} } } });
    const failing = 'exit 3';
    await box.ask(
      submit('restart-ok', 'true', { restart: 1 }),
      submit('restart-bad', failing, { restart: 1 }),
      submit('resubmit-ok', 'true', { resubmit: 1 }),
      submit('resubmit-bad', failing, { resubmit: 1 }),
    );
    expect(await box.finished('restart-bad')).toMatchObject({ state: 'failed', start_count: 1 });
    for (const id of ['restart-ok', 'resubmit-ok', 'resubmit-bad'])
      await box.until(id, ({ start_count }) => Number(start_count) >= 2);
    expect(await box.request('query', 'resubmit-bad')).toMatchObject({ fail_count: expect.any(Number) });
    for (const id of ['restart-ok', 'resubmit-ok', 'resubmit-bad']) await box.request('kill', id);
  });
});

describe('runtime', () => {
  const pools = { p: {}, max: { max_runtime: 0.3 }, run: { runtime: 0.3 }, long: { max_runtime: 50 } };
  const once = { state: 'failed', reason: 'timeout', start_count: 1, fail_count: 1, active: false };

  it('of the job or of its pool, whichever is shorter: one failure, and it ends once', async () => {
    box = await Box.start({ config: { pools, state: { history: 'history.jsonl', expire: 3600 } } });
    const deaf = `trap "" TERM; for i in 1 2 3 4 5 6 7 8 9; do sleep 1; done`;
    await box.ask(
      submit('own', 'sleep 60', { runtime: 0.3 }),
      submit('max', 'sleep 60', { pool: 'max' }),
      submit('run', 'sleep 60', { pool: 'run', runtime: 50 }),
      submit('long', 'sleep 60', { pool: 'long', runtime: 0.3 }),
      submit('deaf', deaf, { runtime: 0.3, kill_grace: 0.3 }),
      submit('polite', `trap 'exit 0' TERM; ${untilGo()}`, { runtime: 0.5 }),
      submit('quick', 'true', { pool: 'long' }),
    );
    for (const id of ['own', 'max', 'run', 'long', 'deaf', 'polite'])
      expect(await box.finished(id)).toMatchObject(once);
    expect(await box.finished('quick')).toMatchObject({ state: 'done', fail_count: 0 });
    const told = (): string[] => said('history.jsonl').map((line) => String((JSON.parse(line) as Job)['id']));
    await until(() => told().length >= 7);
    await pause(300);
    expect(told().toSorted()).toEqual(['deaf', 'long', 'max', 'own', 'polite', 'quick', 'run']);
  });

  it('ends once and counts once also when the box is killed meanwhile', async () => {
    box = await Box.start({ config: { pools } });
    await box.ask(
      submit('before', 'sleep 60', { runtime: 0.3 }),
      submit('during', `trap ': > ${path('told')}' TERM; while :; do sleep 0.05; done`, {
        runtime: 1,
        kill_grace: 3,
      }),
    );
    await until(() => existsSync(path('told')));
    await box.crash();
    await box.restart();
    expect(await box.finished('before')).toMatchObject(once);
    expect(await box.finished('during')).toMatchObject(once);
  });

  it('also ends those that the box took over in the midst of it', async () => {
    box = await Box.start({ config: { pools } });
    await box.ask(submit('j', `: > ${path('up')}; exec sleep 60`, { runtime: 1.5 }));
    await until(() => existsSync(path('up')));
    await box.crash();
    await box.restart();
    const { ts, start_ts: start, ...end } = await box.finished('j');
    expect(end).toMatchObject(once);
    expect(Number(ts) - Number(start)).toBeGreaterThanOrEqual(1.5);
  });
});

it('serves submitters in turn: the backlog of one does not keep another waiting', async () => {
  box = await Box.start({ config: { pools: { p: { slots: 1, hold: true } } } });
  const log = path('log');
  const of = (who: string, many: number): object[] =>
    names(many, who).map((id) => submit(id, `echo ${who} >> ${log}`, { tags: [who] }));
  await box.ask(...of('many', 40));
  await box.ask(...of('few', 3));
  await box.request('config', { pools: { p: { hold: false } } });
  await box.finished('few2');
  expect(said('log').slice(0, 6).toSorted()).toEqual(['few', 'few', 'few', 'many', 'many', 'many']);
});

it.each([true, false])(
  'wait_in_pool %j says whether a job that waits belongs to the node',
  async (wait_in_pool) => {
    box = await Box.start({ config: { wait_in_pool, pools: { p: { slots: 1 } } } });
    await box.ask(submit('a', untilGo()), submit('b', 'true'), submit('c', 'true', { hold: true }));
    await box.until('a', ({ state }) => state === 'running');
    const waits = (await box.request('query', 'b')) as Job;
    expect([waits['state'], waits['active'] === true]).toEqual(['new', wait_in_pool]);
    expect(await box.request('query', 'c')).toMatchObject({ state: 'new', active: true });
    expect(await box.request('ls', { active: true })).toEqual(wait_in_pool ? ['a', 'b', 'c'] : ['a', 'c']);
    writeFileSync(path('go'), '');
    expect(await box.finished('b')).toMatchObject({ state: 'done', node: 'n1' });
  },
);

it('use_loadavg changes nothing where there is one node, and the box says so', async () => {
  box = await Box.start({ config: { use_loadavg: true, pools: { p: { slots: 1 } } } });
  expect(box.stderr).toMatch(/use_loadavg: there is only this node to choose from yet/);
  expect(await box.request('nodes', {})).toMatchObject({ n1: { loadavg: expect.any(Number) } });
  await box.ask(submit('a', 'true'));
  expect(await box.finished('a')).toMatchObject({ state: 'done', node: 'n1' });
});
