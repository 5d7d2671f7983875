// What a watcher costs that has nothing to do: CPU between rescans, and memory a processed file.
import { counts, startWatcher, stop } from '../harness/product.mjs';
import { cpuSeconds, sleep, until, untilIdle } from '../harness/processes.mjs';
import { scratch } from '../harness/scratch.mjs';
import { processedTree } from '../harness/tree.mjs';

export async function run(bench) {
  const window = bench.quick ? 3 : 20;
  const empty = await settled(scratch('in'), 0);
  const base = await empty.sample();
  await stop(empty);
  for (const size of bench.sizes([10_000, 100_000, 1_000_000])) {
    const isLargest = size === 1_000_000;
    const watcher = await settled(processedTree(size), size);
    const label = `${size.toLocaleString('en')} processed files`;
    const share = [];
    for (let round = 0; round < bench.rounds; round++) {
      const before = cpuSeconds(watcher.pid);
      await sleep((window * 1000) / bench.rounds);
      share.push(((cpuSeconds(watcher.pid) - before) / (window / bench.rounds)) * 100);
    }
    const sample = await watcher.sample();
    await stop(watcher);
    bench.row({
      what: `CPU between rescans, ${label}`,
      unit: '%',
      values: [share.reduce((a, b) => a + b) / share.length],
      most: isLargest ? 0.5 : undefined,
      note: `mean over ${window} s; ticks of 10 ms`,
    });
    bench.row({
      what: `live memory a file, ${label}`,
      plot: 'file-memory',
      size,
      unit: 'bytes',
      values: [(sample.live - base.live) / size],
      most: isLargest ? 150 : undefined,
      note: `heap and buffers after a collection, above those of an empty directory; resident ${Math.round((sample.rss - base.rss) / size)} bytes a file, peak ${Math.round(sample.peakRss / 1e6)} MB`,
    });
  }
}

async function settled(root, size) {
  const watcher = startWatcher(root);
  const isThere = async () => (await counts(root))?.files === size;
  await until(isThere, `the watcher has seen ${size} files`, 600, 500);
  await untilIdle(watcher.pid);
  return watcher;
}
