import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect } from '../../src/index.js';
import { Box } from '../support/box.js';

let box: Box;
beforeAll(async () => {
  box = await Box.start({ config: { pools: { p: { slots: 2 } } } });
});
afterAll(() => box.remove());

type Line = [Record<string, { seq?: number; job?: Record<string, unknown> }>];

/** Lines as they come, after some requests on a connection that stays open. */
async function follow(
  ...requests: readonly object[]
): Promise<{ next: () => Promise<Line[0]>; close: () => void }> {
  const socket = await box.connect();
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  socket.write(requests.map((request) => `${JSON.stringify([request])}\n`).join(''));
  return {
    next: async () => (JSON.parse((await lines.next()).value as string) as Line)[0],
    close: () => socket.destroy(),
  };
}

it('tells every change of the jobs of a filter, and goes on after a break', async () => {
  const first = await follow({ hello: { protocol: 2 } }, { watch: { tag: 'w' } });
  await first.next();
  const start = (await first.next())['watch']!.seq!;
  // at its end before w1 is: what changed after a break is told as left, whoever it was
  await box.ask([{ submit: { id: 'other', pool: 'p', args: ['true'] } }]);
  await box.finished('other');
  await box.ask([{ submit: { id: 'w1', pool: 'p', args: ['true'], tags: ['w'] } }]);
  const states: unknown[] = [];
  let last = start;
  while (states.at(-1) !== 'done') {
    const { event } = await first.next();
    expect(event!.job).toMatchObject({ id: 'w1' });
    expect(event!.seq).toBeGreaterThan(last);
    last = event!.seq!;
    states.push(event!.job!['state']);
  }
  expect(new Set(states)).toEqual(new Set(['new', 'running', 'done']));
  first.close();

  await box.ask([{ submit: { id: 'w2', pool: 'p', args: ['true'], tags: ['w'] } }]);
  await box.finished('w2');
  const again = await follow({ hello: { protocol: 2 } }, { watch: { tag: 'w', seq: last } });
  await again.next();
  expect(await again.next()).toEqual({ watch: { seq: last } });
  expect((await again.next())['event']).toMatchObject({ job: { id: 'w2', state: 'done' } });
  again.close();
});

it('tells when a job leaves the filter, so that the picture of the reader stays right', async () => {
  const client = await connect({ address: '127.0.0.1', port: box.port });
  const stop = new AbortController();
  const picture = new Set<string>();
  const ends: string[] = [];
  const following = (async () => {
    for await (const job of client.events({ state: 'running', seq: 0 }, stop.signal)) {
      if (job.left === true) {
        picture.delete(job.id);
        ends.push(job.id);
      } else {
        expect(job.state).toBe('running');
        picture.add(job.id);
      }
    }
  })();
  const submit = (id: string, script: string, more: object = {}): object => [
    { submit: { id, pool: 'p', args: ['sh', '-c', script], ...more } },
  ];
  await box.ask(submit('l1', 'sleep 600'), submit('l2', 'exit 3', { retries: 1 }));
  await box.until('l1', ({ state }) => state === 'running');
  await box.finished('l2');
  await box.until('l2', () => ends.includes('l2'));
  await box.until('l1', () => picture.has('l1'));
  expect([...picture]).toEqual(['l1']);
  await box.request('kill', 'l1');
  await box.finished('l1');
  await box.until('l1', () => ends.includes('l1'));
  expect([...picture]).toEqual([]);
  stop.abort();
  await following;
  client.close();

  // by id nothing else is ever told, also not after a break
  const byId = await follow({ hello: { protocol: 2 } }, { watch: { ids: ['l2'], state: 'new', seq: 0 } });
  await byId.next();
  await byId.next();
  expect((await byId.next())['event']).toMatchObject({ job: { id: 'l2', state: 'failed' }, left: true });
  await box.ask(submit('l3', 'true'), [{ modify: { l2: { color: 'red' } } }]);
  await box.finished('l3');
  await box.ask([{ submit: { id: 'l2', state: 'new', hold: true } }]);
  expect((await byId.next())['event']).toMatchObject({ job: { id: 'l2', state: 'new' } });
  byId.close();
});

it('is not for clients of the original', async () => {
  expect(await box.request('watch', {})).toMatchObject({ error: expect.stringContaining('hello') });
});

it('takes a second submit with the same key as the first, and another key as a new start', async () => {
  const submit = (key: string): Promise<unknown> =>
    box.request('submit', { id: 'k', key, pool: 'p', args: ['true'] });
  await submit('1');
  const done = await box.finished('k');
  expect(await submit('1')).toMatchObject({ k: { state: 'done', seq: done['seq'] } });
  expect(await submit('2')).toMatchObject({ k: { state: 'new' } });
  await box.finished('k');
});
