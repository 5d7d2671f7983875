import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, describe, expect, it } from 'vitest';
import { Box, pause, until } from '../support/box.js';

let box: Box;
afterEach(() => box.remove());

const submit = (id: string, script: string, more: object = {}): object => [
  { submit: { id, pool: 'p', args: ['sh', '-c', script], ...more } },
];
/** Whether it is written down that a result was seen. */
function isReleased(id: string): boolean {
  const db = new Database(join(box.directory, 'state/agent.db'), { readonly: true });
  try {
    const row = db
      .prepare<[string], { released: number }>('SELECT released FROM jobs WHERE id = ?')
      .get(JSON.stringify(id));
    return row?.released === 1;
  } finally {
    db.close();
  }
}
const isGone = async (id: string): Promise<boolean> => (await box.request('query', id)) === false;

describe('state.history', () => {
  const pools = { p: { slots: 4 } };
  const config = { pools, state: { history: 'history.jsonl', expire: 3600 } };
  const file = (): string => join(box.directory, 'history.jsonl');
  const lines = (): { id: string; state: string; start_count: number }[] => {
    const text = existsSync(file()) ? readFileSync(file(), 'utf8') : '';
    expect(text === '' || text.endsWith('\n')).toBe(true);
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { id: string; state: string; start_count: number });
  };
  const ids = (): string[] => lines().map(({ id }) => id);

  it('has every finished job once, in whole lines, through kill -9 at any moment', async () => {
    box = await Box.start({ config });
    const jobs = Array.from({ length: 150 }, (_, i) => `j${i}`);
    for (let round = 0; round < 5; round++) {
      await box.ask(...jobs.slice(round * 30, round * 30 + 30).map((id, i) => submit(id, `exit ${i % 2}`)));
      const enough = round * 30 + 5 + round * 3;
      await until(() => ids().length >= enough);
      await box.crash();
      if (round === 1) appendFileSync(file(), '{"id":"torn');
      if (round === 2) {
        // as if the machine had died before the last ones were on disk
        const all = readFileSync(file(), 'utf8').trimEnd().split('\n');
        writeFileSync(file(), `${all.slice(0, -3).join('\n')}\n${all.at(-3)!.slice(0, 20)}`);
      }
      await box.restart();
    }
    await until(() => ids().length >= jobs.length);
    expect(ids().toSorted()).toEqual(jobs.toSorted());
  });

  it('tells an end once, and each end of a job that is started again', async () => {
    box = await Box.start({ config });
    await box.ask(submit('a', 'exit 3', { retries: 1 }), submit('k', 'sleep 60'));
    await box.finished('a');
    await box.until('k', ({ state }) => state === 'running');
    await box.ask([{ kill: 'k' }], [{ submit: { id: 'h', pool: 'none', args: ['x'] } }, { kill: 'h' }]);
    await box.finished('k');
    await box.ask([{ modify: { a: { tags: ['later'] }, k: { color: 'red' } } }]);
    await box.stop('SIGINT');
    await box.restart();
    expect(lines().map(({ id, state }) => `${id} ${state}`)).toEqual(['a failed', 'h killed', 'k killed']);
    await box.ask([{ submit: { id: 'a', state: 'new' } }]);
    await until(() => lines().length === 4);
    expect(lines().at(-1)).toMatchObject({ id: 'a', tags: ['later'] });
    expect(JSON.stringify(box.log)).not.toContain('cannot write');
  });

  it('begins with what ends after it was asked for, and goes on when the file was moved away', async () => {
    box = await Box.start({ config: { pools } });
    await box.ask(submit('before', 'true'));
    await box.finished('before');
    await box.stop();
    await box.restart(config);
    await box.ask(submit('a', 'true'));
    await until(() => ids().includes('a'));
    renameSync(file(), `${file()}.1`);
    await box.ask(submit('b', 'true'));
    await until(() => ids().includes('b'));
    expect(ids()).toEqual(['b']);
    await box.stop();
    await box.restart(config);
    expect(ids()).toEqual(['b']);
    expect(readFileSync(`${file()}.1`, 'utf8')).not.toContain('"before"');
  });

  it('writes later what could not be written', async () => {
    box = await Box.start({ config: { pools, state: { history: 'not-yet/history.jsonl' } } });
    await box.ask(submit('a', 'true'), submit('b', 'true'));
    await box.says(/cannot write the history to .*not-yet/);
    await box.finished('a');
    await box.finished('b');
    mkdirSync(join(box.directory, 'not-yet'));
    const late = join(box.directory, 'not-yet/history.jsonl');
    await until(() => existsSync(late) && readFileSync(late, 'utf8').split('\n').length === 3);
    expect(readFileSync(late, 'utf8')).toMatch(/"id":"a"[\s\S]*"id":"b"|"id":"b"[\s\S]*"id":"a"/);
  });
});

describe('state.expire', () => {
  it('counts on through kill -9, and what nobody has seen stays', async () => {
    const state = { file: 'jobs.json', checkpoint: 0.1 };
    const usual = { pools: { p: {} }, state_dir: 'state' };
    box = await Box.start({ config: { ...usual, state: { ...state, expire: 3600 } } });
    await box.ask(submit('seen', 'true'), submit('unseen', 'true', { key: 'k' }));
    await box.finished('seen');
    await until(() => isReleased('seen'));
    await box.crash();
    // nobody asks from now on: to ask for a result is to see it
    await box.restart({ ...usual, state: { ...state, expire: 1 } });
    const copy = join(box.directory, 'jobs.json');
    await until(() => existsSync(copy) && !readFileSync(copy, 'utf8').includes('"seen"'));
    expect(JSON.parse(readFileSync(copy, 'utf8'))).toMatchObject({ unseen: { state: 'done' } });
  });

  it.each([true, false])(
    'never takes an active job, with expire_active_jobs %j',
    async (expire_active_jobs) => {
      box = await Box.start({
        config: { pools: { p: {}, held: { hold: true } }, state: { expire: 0.5, expire_active_jobs } },
      });
      const go = join(box.directory, 'go');
      await box.ask(
        submit('runs', `while [ ! -e ${go} ]; do sleep 0.05; done`),
        submit('waits', 'true', { pool: 'held' }),
        submit('ends', 'true'),
      );
      await box.until('runs', ({ state }) => state === 'running');
      await box.crash();
      await box.restart();
      await box.finished('ends');
      await until(() => isGone('ends'));
      expect(await box.request('query', 'runs')).toMatchObject({ state: 'running' });
      expect(await box.request('query', 'waits')).toMatchObject({ state: 'new' });
      writeFileSync(go, '');
      expect(await box.finished('runs')).toMatchObject({ state: 'done' });
    },
  );
});

describe('agent.pid', () => {
  it.each([['SIGTERM'], ['SIGINT'], ['SIGINT', 'SIGINT']] as const)(
    'is gone after %s',
    async (...signals) => {
      box = await Box.start({ config: { pools: { p: {} }, state_dir: 'state' } });
      const file = join(box.directory, 'state/agent.pid');
      expect(readFileSync(file, 'utf8')).toBe(`${box.pid}\n`);
      await box.stop(...signals);
      expect(existsSync(file)).toBe(false);
    },
  );

  it('of another process stays', async () => {
    box = await Box.start({ config: { pools: { p: {} }, state_dir: 'state' } });
    const file = join(box.directory, 'state/agent.pid');
    writeFileSync(file, '1\n');
    await box.stop('SIGTERM');
    expect(readFileSync(file, 'utf8')).toBe('1\n');
  });
});

it('state.timeout: this node is online however long nobody asked', async () => {
  box = await Box.start({ config: { pools: { p: {} }, state: { timeout: 0.1 } } });
  await pause(400);
  const before = Date.now() / 1000;
  const { n1 } = (await box.request('nodes', {})) as Record<string, { online: boolean; ts: number }>;
  expect(n1).toMatchObject({ online: true });
  expect(n1!.ts).toBeGreaterThan(before - 1);
});

describe('state.file and state.checkpoint', () => {
  const config = { pools: { p: { hold: true }, q: {} }, state: { file: 'jobs.json', checkpoint: 0.1 } };
  const copy = (): Record<string, unknown> =>
    JSON.parse(readFileSync(join(box.directory, 'jobs.json'), 'utf8')) as Record<string, unknown>;

  it('is a whole copy at any moment; the state itself is the truth', async () => {
    box = await Box.start({ config });
    const jobs = Array.from({ length: 400 }, (_, i) => `j${i}`);
    for (let i = 0; i < 4; i++) {
      const some = jobs.slice(i * 100, i * 100 + 100);
      await box.ask(...some.map((id) => submit(id, 'true', { env: { SECRET: 'x' } })));
      await until(() => existsSync(join(box.directory, 'jobs.json')));
      await pause(i * 37);
      await box.crash();
      expect(Object.keys(copy()).length).toBeLessThanOrEqual(i * 100 + 100);
      // a copy that is out of date, or not even one, changes nothing
      if (i % 2 === 0) writeFileSync(join(box.directory, 'jobs.json'), '{}');
      await box.restart();
      expect(((await box.request('ls', {})) as string[]).length).toBe(i * 100 + 100);
    }
    await until(() => Object.keys(copy()).length === jobs.length);
    expect(readFileSync(join(box.directory, 'jobs.json'), 'utf8')).not.toContain('SECRET');
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('is written a last time on %s', async (signal) => {
    const { file } = config.state;
    box = await Box.start({ config: { ...config, state: { file, checkpoint: 3600 } } });
    const go = join(box.directory, 'go');
    await box.ask(
      submit('a', 'true'),
      submit('b', `while [ ! -e ${go} ]; do sleep 0.02; done`, { pool: 'q' }),
    );
    await box.until('b', ({ state }) => state === 'running');
    if (signal === 'SIGINT') writeFileSync(go, '');
    expect(await box.stop(signal)).toBe(0);
    expect(Object.keys(copy()).toSorted()).toEqual(['a', 'b']);
    expect(copy()['b']).toMatchObject({ state: signal === 'SIGINT' ? 'done' : 'running' });
  });
});
