// From the start of a box after kill -9 until it answers, with many jobs in its state, against the start of one that has none.
import { startBox, stop } from '../harness/product.mjs';
import { discard, scratch } from '../harness/scratch.mjs';
import { interleave, seconds } from '../harness/statistics.mjs';
import { ask, submits } from '../harness/wire.mjs';

const settings = ['pools.q.hold=true', 'state.expire=0'];

export async function run(bench) {
  for (const size of bench.sizes([1000, 10_000, 100_000])) await recovery(bench, size);
}

async function recovery(bench, size) {
  const roots = { full: scratch(), empty: scratch() };
  const boxes = { full: await startBox(roots.full, settings), empty: await startBox(roots.empty, settings) };
  await submits(boxes.full.port, size, 'queued');
  const restart = (name) => async () => {
    boxes[name].child.kill('SIGKILL');
    await boxes[name].exited;
    return seconds(async () => {
      boxes[name] = await startBox(roots[name], settings);
      await ask(boxes[name].port, { job: 'unknown' });
    });
  };
  const found = await interleave(bench.rounds, { full: restart('full'), empty: restart('empty') });
  const { ls } = await ask(boxes.full.port, { ls: {} });
  if (ls.length !== size) throw new Error(`${ls.length} of ${size} jobs survived`);
  bench.row({
    what: `start after kill -9, ${size.toLocaleString('en')} jobs`,
    plot: 'recovery',
    size,
    unit: 's',
    values: found.full,
    reference: { name: 'no jobs', values: found.empty },
  });
  await Promise.all(Object.values(boxes).map(stop));
  for (const root of Object.values(roots)) discard(root);
}
