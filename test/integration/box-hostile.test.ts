import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Box, exchange, pause } from '../support/box.js';

let box: Box;
beforeAll(async () => {
  box = await Box.start({
    config: {
      pools: { p: { hold: true } },
      listen: { address: '127.0.0.1', port: 0, timeout: 1, max_connections: 200 },
    },
  });
});
afterAll(() => box.remove());

/** Whatever came before, the next client is served. */
const isServed = async (): Promise<void> => {
  expect(await box.request('pools', {})).toMatchObject({ p: { n1: 0 } });
};
const memory = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${box.pid}/status`, 'utf8'))![1]) / 1024;

it('answers or closes for any bytes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
      await box.raw(bytes);
      await isServed();
    }),
    { numRuns: 60 },
  );
});

it('answers any JSON with one line of JSON', async () => {
  const name = fc.constantFrom(
    'submit',
    'get',
    'job',
    'query',
    'ls',
    'kill',
    'modify',
    'config',
    'nodes',
    'pools',
    'sync',
    'status',
    'hello',
    'watch',
    'release',
    'options',
    '__proto__',
    'constructor',
  );
  const key = fc.constantFrom(
    'id',
    'ids',
    'pool',
    'args',
    'state',
    'tags',
    'node',
    'seq',
    'env',
    'hold',
    'runtime',
    'x',
  );
  const argument = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.dictionary(key, fc.jsonValue({ maxDepth: 2 })));
  const line = fc.array(fc.dictionary(name, argument, { maxKeys: 3 }), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.oneof(line, fc.jsonValue()), async (value) => {
      const [answer] = await box.ask(JSON.stringify(value));
      expect(Array.isArray(answer)).toBe(true);
      await isServed();
    }),
    { numRuns: 200 },
  );
});

it.each([
  ['id', 5],
  ['id', ['a']],
  ['id', 'x'.repeat(1_000_000)],
  ['id', ''],
  ['pool', 5],
  ['pool', {}],
  ['args', 5],
  ['args', {}],
  ['args', [{}]],
  ['args', []],
  ['args', ['a\0b']],
  ['env', ['A=1']],
  ['env', { A: {} }],
  ['stdin', 5],
  ['cwd', 'relative'],
  ['runtime', 'soon'],
  ['hold', 'maybe'],
  ['retries', -1],
  ['retries', 1.5],
  ['tags', 5],
  ['tags', [{}]],
  ['node', 5],
  ['priority', 'high'],
  ['key', ''],
])('refuses a submit with %s: %j', async (key, value) => {
  const job = { pool: 'p', args: ['true'], [key]: value };
  const [answer, next] = await box.ask([{ submit: job }, { pools: {} }], [{ ls: { id: 'none' } }]);
  expect(answer).toEqual([{ error: expect.stringMatching(/^.{1,400}$/) }]);
  expect(next).toEqual([{ ls: [] }]);
});

it('takes ids with slashes, newlines and the names of methods', async () => {
  for (const id of [
    '../../etc/passwd',
    'a\nb',
    '__proto__',
    'constructor',
    'toString',
    '\ud800',
    '%s',
    ' ',
  ]) {
    const line = JSON.stringify([{ submit: { id, pool: 'p', args: ['true'] } }, { query: id }, { kill: id }]);
    const [answer] = (await box.ask(line)) as [Record<string, Record<string, unknown>>[]];
    expect(Object.keys(answer[0]!['submit']!)).toEqual([id]);
    expect(answer[1]!['query']).toMatchObject({ id, state: 'new' });
    expect(answer[2]!['kill']![id]).toMatchObject({ state: 'killed' });
  }
});

it('refuses depth, and lines without an end', async () => {
  const [deep] = await box.ask('['.repeat(10_000) + ']'.repeat(10_000));
  expect(deep).toEqual([{ error: expect.stringContaining('nested') }]);
  const before = memory();
  const text = await box.raw(Buffer.alloc(100 * 1024 * 1024, 'x'));
  expect(text === '' || text.includes('longer than')).toBe(true);
  expect(memory() - before).toBeLessThan(150);
  await isServed();
});

it('lets go of half a line, and not of a silent client', async () => {
  const silent = await box.connect();
  const half = await box.connect();
  const closed = new Promise((done) => half.once('close', done));
  half.on('error', () => undefined);
  half.write('[{"pools"');
  await closed;
  await pause(200);
  expect(JSON.parse(await exchange(silent, Buffer.from('[{"ls":{"id":"none"}}]\n')))).toEqual([{ ls: [] }]);
});

it('lets go of a client that asks and never reads', async () => {
  const before = memory();
  const socket = await box.connect();
  socket.on('error', () => undefined);
  socket.pause();
  const closed = new Promise((done) => socket.once('close', done));
  const big = `${JSON.stringify([{ submit: { pool: 'p', args: ['x'.repeat(100_000)], id: 'big' } }])}\n`;
  await box.raw(Buffer.from(big));
  for (let i = 0; i < 2000; i++) socket.write('[{"query":"big"}]\n');
  setTimeout(() => socket.resume(), 5000);
  await closed;
  expect(memory() - before).toBeLessThan(100);
  await isServed();
}, 20_000);

it('survives ten thousand connects', async () => {
  for (let round = 0; round < 100; round++) {
    const sockets = await Promise.allSettled(Array.from({ length: 100 }, () => box.connect()));
    for (const one of sockets) {
      if (one.status !== 'fulfilled') continue;
      one.value.on('error', () => undefined);
      one.value.destroy();
    }
  }
  await pause(100);
  await isServed();
}, 60_000);
