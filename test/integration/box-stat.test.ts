import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/client.js';
import type { Client } from '../../src/client/api.js';
import { Box } from '../support/box.js';
import { oldProtocol } from '../support/old-protocol.js';

let box: Box;
let agent: Client;
beforeAll(async () => {
  box = await Box.start({ config: { name: 'n1', pools: { q: { slots: 2 }, 'odd "é': { hold: true } } } });
  agent = await connect({ address: '127.0.0.1', port: box.port });
  const jobs = [
    { id: 'ok', pool: 'q', args: ['true'], tags: ['t'] },
    { id: 'bad', pool: 'q', args: ['false'], tags: ['t'] },
    { id: 'waits1', pool: 'odd "é', args: ['true'], tags: ['t'] },
    { id: 'waits2', pool: 'odd "é', args: ['true'] },
    { id: 'elsewhere', pool: 'q', args: ['true'], node: 'n\ud800' },
    { id: '17', pool: 'nowhere', args: ['true'] },
  ];
  for (const job of jobs) await agent.submit(job);
  await Promise.all([agent.wait('ok'), agent.wait('bad')]);
  await agent.submit({ id: 'runs', pool: 'q', args: ['sleep', '600'] });
  await box.until('runs', ({ state }) => state === 'running');
});
afterAll(async () => {
  agent.close();
  await box.remove();
});

interface Answer {
  readonly total: number;
  readonly counts: readonly { node: string; pool: string; state: string; jobs: number }[];
  readonly jobs: Readonly<Record<string, { state: string }>>;
}
const ask = async (argument: unknown): Promise<Answer> => (await box.request('stat', argument)) as Answer;
const ids = async (argument: unknown): Promise<string[]> => Object.keys((await ask(argument)).jobs).sort();
const all = { filter: {}, newest: 100 };

describe('stat', () => {
  it('counts what `get` answers, with a filter and without', async () => {
    for (const filter of [
      {},
      { tag: 't' },
      { pool: 'q' },
      { state: 'new' },
      { node: 'n1' },
      { ids: ['ok'] },
    ]) {
      const jobs = Object.values(
        (await box.request('get', filter)) as Record<string, Record<string, unknown>>,
      );
      const { total, counts } = await ask({ filter });
      const expected = new Map<string, number>();
      for (const { node, pool, state } of jobs) {
        const key = JSON.stringify([node, pool, state]);
        expected.set(key, (expected.get(key) ?? 0) + 1);
      }
      const found = new Map(
        counts.map(({ node, pool, state, jobs: n }) => [JSON.stringify([node, pool, state]), n]),
      );
      expect([total, found]).toEqual([jobs.length, expected]);
    }
    expect((await ask({})).counts).toContainEqual({ node: 'n\ud800', pool: 'q', state: 'new', jobs: 1 });
  });

  it('shows what runs and then what changed last, as many as asked for', async () => {
    expect(await ids({ newest: 1 })).toEqual(['runs']);
    expect(await ids({ newest: 0 })).toEqual([]);
    expect(await ids(all)).toEqual(['17', 'bad', 'elsewhere', 'ok', 'runs', 'waits1', 'waits2']);
    const changed = await agent.modify('waits1', { priority: 3 });
    expect(changed.priority).toBe(3);
    expect(await ids({ newest: 2 })).toEqual(['runs', 'waits1']);
    expect(await ids({ newest: 2, filter: { pool: 'odd*' } })).toEqual(['waits1', 'waits2']);
    expect(await ids({ newest: 1, filter: { pool: 'odd*' } })).toEqual(['waits1']);
    expect(await ids({ newest: 1, filter: { state: 'failed' } })).toEqual(['bad']);
  });

  it('leaves finished jobs out when asked for active ones', async () => {
    const { total, counts } = await ask({ active: true });
    expect([total, counts.filter(({ state }) => state !== 'new' && state !== 'running')]).toEqual([5, []]);
    expect(await ids({ ...all, active: 1 })).toEqual(['17', 'elsewhere', 'runs', 'waits1', 'waits2']);
    expect(await ids({ newest: 9, active: true, filter: { tag: 't' } })).toEqual(['waits1']);
  });

  it.each([
    [{ newest: -1 }, 'stat.newest: expected a whole number, 0 or more, found -1'],
    [{ newest: 10_001 }, 'stat.newest: expected at most 10000, found 10001'],
    [5, 'stat: expected a mapping'],
    [{ filter: 5 }, 'stat.filter: expected a filter'],
  ])('refuses %j', async (argument, error) => {
    expect(await box.request('stat', argument)).toEqual({ error: expect.stringContaining(error) as unknown });
  });

  it('of an agent that does not know it is made of all its jobs', async () => {
    const ours = await agent.summary({}, { newest: 100 });
    const activeOnes = await agent.summary({}, { newest: 100, active: true });
    const sorted = (counts: readonly unknown[]): string[] =>
      counts.map((one) => JSON.stringify(one)).toSorted();
    for (const unknown of ['stat', 'hello']) {
      const older = await oldProtocol(box.port, unknown);
      const client = await connect({ address: '127.0.0.1', port: older.port });
      const theirs = await client.summary({}, { newest: 100 });
      const plain = ours.counts.map(({ node, pool, state, jobs }) => ({ node, pool, state, jobs }));
      expect(sorted(theirs.counts)).toEqual(sorted(plain));
      expect(theirs.jobs.map(({ id }) => id).toSorted()).toEqual(ours.jobs.map(({ id }) => id).toSorted());
      const { jobs } = await client.summary({}, { newest: 100, active: true });
      expect(jobs.map(({ id }) => id).toSorted()).toEqual(activeOnes.jobs.map(({ id }) => id).toSorted());
      client.close();
      older.close();
    }
  });
});
