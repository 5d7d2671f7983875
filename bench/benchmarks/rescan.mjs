// A full rescan of a directory in which nothing is new, asked for at the control socket of a running watcher: how much
// CPU it takes, against getdents64 in C.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { control, counts, startWatcher, stop } from '../harness/product.mjs';
import { sleep, until, untilIdle } from '../harness/processes.mjs';
import { measured } from '../harness/reference.mjs';
import { interleave } from '../harness/statistics.mjs';
import { processedTree } from '../harness/tree.mjs';

/** more than the times of a file system may lag behind, as the watcher sees it */
const CLOCK_MS = 2500;

export async function run(bench) {
  for (const size of bench.sizes([10_000, 100_000, 1_000_000])) await rescan(bench, size);
}

async function rescan(bench, size) {
  const root = processedTree(size);
  const directory = join(root, 'in');
  const label = `${size.toLocaleString('en')} files + markers`;
  const watcher = startWatcher(root);
  await until(async () => (await counts(root))?.files === size, 'the watcher has seen all files', 600, 500);
  await untilIdle(watcher.pid);
  const cpu = async (task) => {
    const before = await watcher.sample();
    await task();
    await untilIdle(watcher.pid);
    return (await watcher.sample()).cpu - before.cpuAfterwards;
  };
  const found = await interleave(bench.rounds, {
    // the directory has changed, so that it must be listed again
    changed: () => {
      writeFileSync(join(directory, '._bench'), '');
      rmSync(join(directory, '._bench'));
      return cpu(() => control(root, 'rescan'));
    },
    unchanged: async () => {
      // a listing that comes soon after a change is not relied on by the next one
      await sleep(CLOCK_MS);
      await control(root, 'rescan');
      await untilIdle(watcher.pid);
      return cpu(() => control(root, 'rescan'));
    },
    nothing: () => cpu(() => control(root, 'status')),
    limit: () => measured('listdir', [directory])[1] ?? NaN,
  });
  await stop(watcher);
  const reference = { name: 'getdents64', values: found.limit };
  const most = size === 1_000_000 ? 1.7 : undefined;
  const net = (values) => values.map((value, i) => Math.max(0, value - found.nothing[i]));
  if (found.limit.some(Number.isNaN)) bench.skip(`rescan, ${label}`, 'no C compiler');
  else {
    bench.row({
      what: `rescan, ${label}`,
      plot: 'rescan',
      size,
      unit: 's CPU',
      values: net(found.changed),
      reference,
      most,
    });
    bench.row({
      what: 'the same, directory unchanged',
      unit: 's CPU',
      values: net(found.unchanged),
      reference,
    });
  }
}
