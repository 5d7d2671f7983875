// Durable submits over TCP on loopback: many at once on one connection, and one at a time on 100 connections; beside them
// requests that change nothing, and a C program that only sends a line to and fro.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { cpuSeconds, residentBytes, sleep } from '../harness/processes.mjs';
import { startBox, stop } from '../harness/product.mjs';
import { measured } from '../harness/reference.mjs';
import { discard, scratch } from '../harness/scratch.mjs';
import { interleave } from '../harness/statistics.mjs';
import { ask, concurrently, jobOf, open, remove, submits } from '../harness/wire.mjs';

const CONNECTIONS = 100;
const IDLE_CONNECTIONS = 1000;

export async function run(bench) {
  const root = scratch();
  const box = await startBox(root, ['pools.q.hold=true', 'state.expire=0']);
  await idle(bench, box);
  const burst = bench.quick ? 2000 : 20_000;
  const each = bench.quick ? 10 : 50;
  const submitted = async (task) => {
    const rate = await task();
    await remove(box.port, 'b');
    return rate;
  };
  await submitted(() => submits(box.port, burst, 'b'));
  const found = await interleave(bench.rounds, {
    pipelined: () => submitted(() => submits(box.port, burst, 'b')),
    many: () => submitted(() => concurrently(box.port, CONNECTIONS, each, { submit: jobOf('b') })),
    one: () => concurrently(box.port, 1, each * 40, { pools: {} }),
    pings: () => concurrently(box.port, CONNECTIONS, each, { pools: {} }),
    sqlite: () => sqliteRate(root, burst),
    limit: () => measured('pingpong', [])[0] ?? NaN,
  });
  const { ls } = await ask(box.port, { ls: {} });
  if (ls.length > 0) throw new Error(`${ls.length} jobs are left in the box`);
  await stop(box);
  discard(root);
  const unit = '/s';
  const reference = found.limit.some(Number.isNaN) ? undefined : { name: 'C ping-pong', values: found.limit };
  const row = (what, values, figure) => bench.row({ what, unit, values, reference, ...figure });
  const sqlite = { name: 'SQLite, 100 a transaction', values: found.sqlite };
  const what = 'submits, one connection, pipelined';
  bench.row({ what, unit, values: found.pipelined, reference: sqlite, least: 30_000, of: 'value' });
  row(`submits, ${CONNECTIONS} connections, one at a time`, found.many);
  row('query of pools, one connection', found.one);
  row(`query of pools, ${CONNECTIONS} connections`, found.pings);
  bench.skip('HTTP', 'there is no HTTP interface');
}

async function idle(bench, box) {
  const before = residentBytes(box.pid);
  const sockets = await Promise.all(Array.from({ length: IDLE_CONNECTIONS }, () => open(box.port)));
  await sleep(500);
  const memory = (residentBytes(box.pid) - before) / IDLE_CONNECTIONS / 1000;
  const cpu = cpuSeconds(box.pid);
  await sleep(3000);
  const share = ((cpuSeconds(box.pid) - cpu) / 3) * 100;
  for (const socket of sockets) socket.destroy();
  bench.row({
    what: `an idle connection, of ${IDLE_CONNECTIONS}`,
    unit: 'kB',
    values: [memory],
    note: `all together ${share.toFixed(1)} % of a CPU`,
  });
}

/** Records of the size of a job a second, in durable transactions of 100: the least that a record can cost. */
function sqliteRate(root, records) {
  const path = join(root, 'reference.db');
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec('CREATE TABLE jobs (id INTEGER PRIMARY KEY, record TEXT)');
  const put = db.prepare('INSERT INTO jobs (record) VALUES (?)');
  const record = 'x'.repeat(600);
  const hundred = db.transaction(() => {
    for (let i = 0; i < 100; i++) put.run(record);
  });
  const begin = performance.now();
  for (let i = 0; i < records; i += 100) hundred();
  const rate = (records / (performance.now() - begin)) * 1000;
  db.close();
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
  return rate;
}
