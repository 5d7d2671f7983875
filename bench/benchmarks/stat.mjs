// `meeseeks-client stat` of a box with many jobs, start of the program included.
import { spawnSync } from 'node:child_process';
import { program, startBox, stop } from '../harness/product.mjs';
import { discard, scratch } from '../harness/scratch.mjs';
import { interleave, seconds } from '../harness/statistics.mjs';
import { ask, submits } from '../harness/wire.mjs';

export async function run(bench) {
  const root = scratch();
  const box = await startBox(root, ['pools.q.hold=true', 'state.expire=0']);
  const node = () => seconds(() => spawnSync(process.execPath, ['-e', '0']));
  const stat = () =>
    seconds(() => {
      const args = [program('meeseeks-client'), `port=${box.port}`, 'stat'];
      const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      if (status !== 0) throw new Error(`stat: exit code ${status}\n${stderr}`);
    });
  let there = 0;
  for (const size of bench.quick ? [0, 10_000] : [0, 10_000, 100_000]) {
    if (size > there) await submits(box.port, size - there, 'queued');
    there = size;
    const request = () => seconds(() => ask(box.port, { stat: {} }));
    const found = await interleave(bench.rounds, { stat, request, node });
    bench.row({
      what: `meeseeks-client stat, ${size.toLocaleString('en')} jobs`,
      plot: 'stat',
      size,
      unit: 's',
      values: found.stat,
      reference: { name: 'node -e 0', values: found.node },
      most: size === 100_000 ? 0.3 : undefined,
      of: 'value',
    });
    bench.row({ what: 'the request alone', unit: 's', values: found.request });
  }
  await stop(box);
  discard(root);
}
