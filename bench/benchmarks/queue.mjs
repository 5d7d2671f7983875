// What it costs that many jobs are queued: two boxes at the same time, an empty one and one with held jobs, in turn.
import { startBox, stop } from '../harness/product.mjs';
import { cpuSeconds, residentBytes, sleep, until } from '../harness/processes.mjs';
import { discard, scratch } from '../harness/scratch.mjs';
import { interleave, seconds } from '../harness/statistics.mjs';
import { ask, concurrently, remove, submits } from '../harness/wire.mjs';

const settings = ['pools.q.hold=true', 'pools.run.slots=4', 'state.expire=0'];

export async function run(bench) {
  for (const size of bench.quick ? [10_000] : [10_000, 100_000, 1_000_000]) await queue(bench, size);
}

async function queue(bench, size) {
  const roots = [scratch(), scratch()];
  const [empty, full] = [await startBox(roots[0], settings), await startBox(roots[1], settings)];
  const burst = bench.quick ? 2000 : 10_000;
  // what code and caches take of an agent that has worked is no queued job's: with 10,000 it is more than theirs
  for (const box of [empty, full]) {
    await submits(box.port, burst, 'warm');
    await remove(box.port, 'warm');
  }
  const before = await full.sample();
  for (let left = size; left > 0; left -= 50_000) await submits(full.port, Math.min(left, 50_000), 'queued');
  await sleep(1000);
  const after = await full.sample();
  const resident = residentBytes(full.pid);
  const label = `${size.toLocaleString('en')} queued`;
  const rounds = size > 100_000 ? Math.min(3, bench.rounds) : bench.rounds;
  const both = (task) => interleave(rounds, { empty: () => task(empty), full: () => task(full) });
  const compare = (what, unit, found, figure, plot) =>
    bench.row({
      what,
      plot,
      size,
      unit,
      values: found.full,
      reference: { name: 'none queued', values: found.empty },
      ...figure,
    });

  const rate = (options) => async (box) => {
    const found = await submits(box.port, burst, 'b', options);
    await remove(box.port, 'b');
    return found;
  };
  const rates = await both(rate());
  compare(`submits, ${label}`, '/s', rates, size === 1_000_000 ? { least: 0.8 } : {}, 'submits');
  compare(`submits with random ids, ${label}`, '/s', await both(rate({ random: true })));
  compare(
    `jobs started and ended, 4 slots, ${label}`,
    '/s',
    await both((box) => jobs(box, bench.quick ? 100 : 500)),
    {},
    'jobs',
  );
  const query = (box) => concurrently(box.port, 1, 300, { job: 'unknown' }).then((rate) => 1000 / rate);
  compare(`query of a job, ${label}`, 'ms', await both(query));
  const list = (box) => seconds(() => ask(box.port, { ls: { tag: 'nobody' } })).then((s) => s * 1000);
  compare(`ls of a tag nobody has, ${label}`, 'ms', await both(list));
  const cpu = await both(async (box) => {
    const start = cpuSeconds(box.pid);
    await sleep(2000);
    return ((cpuSeconds(box.pid) - start) / 2) * 100;
  });
  compare(`idle CPU, ${label}`, '%', cpu);
  bench.row({
    what: `live memory a queued job, ${label}`,
    plot: 'job-memory',
    size,
    unit: 'bytes',
    values: [(after.live - before.live) / size],
    most: 200,
    of: 'value',
    note: `heap and buffers after a collection; resident ${Math.round(resident / 1e6)} MB`,
  });
  await Promise.all([stop(empty), stop(full)]);
  for (const root of roots) discard(root);
}

/** Jobs a second from the first submit until the last one ended, in a pool of their own. */
async function jobs({ port }, count) {
  const begin = performance.now();
  await submits(port, count, 'run', { pool: 'run' });
  const ended = async () => (await ask(port, { ls: { tag: 'run', state: 'done' } })).ls.length === count;
  await until(ended, `${count} jobs have ended`, 120, 20);
  const rate = (count / (performance.now() - begin)) * 1000;
  await remove(port, 'run');
  return rate;
}
