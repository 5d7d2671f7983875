// The first list of unprocessed files in a directory where all are processed: until a watcher has it, without the same in
// an empty directory, against getdents64 in C; and until `--once` ends there, which also looks at every processed file, since
// any may have become another one while nobody watched. And how long the event loop waits meanwhile.
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { counts, startWatcher, stop } from '../harness/product.mjs';
import { measured } from '../harness/reference.mjs';
import { until, untilIdle } from '../harness/processes.mjs';
import { discard, scratch } from '../harness/scratch.mjs';
import { interleave, median, seconds } from '../harness/statistics.mjs';
import { processedTree } from '../harness/tree.mjs';

const MB = 1e6;
const figures = (size) => (size === 1_000_000 ? { most: 2.5, memory: 200 } : {});

export async function run(bench) {
  for (const size of bench.sizes([10_000, 100_000, 1_000_000])) await scan(bench, size);
}

async function scan(bench, size) {
  const root = processedTree(size);
  const empty = scratch('in');
  const label = `${size.toLocaleString('en')} files + markers`;
  const peaks = { full: [], empty: [] };
  const cpus = { full: [], empty: [], limit: [] };
  const first = (at, name, files) => async () => {
    const begin = performance.now();
    const watcher = startWatcher(at);
    await until(async () => (await counts(at))?.files === files, 'the watcher has its list', 600, 5);
    const time = (performance.now() - begin) / 1000;
    const { peakRss, cpu } = await watcher.sample();
    peaks[name].push(peakRss / MB);
    cpus[name].push(cpu);
    await stop(watcher);
    return time;
  };
  const once = () =>
    seconds(async () => {
      const code = await startWatcher(root, { args: ['--once'] }).exited;
      if (code !== 0) throw new Error(`meeseeks-watch --once ended with ${code}`);
    });
  const found = await interleave(size > 100_000 ? Math.min(3, bench.rounds) : bench.rounds, {
    full: first(root, 'full', size),
    empty: first(empty, 'empty', 0),
    once,
    limit: () => {
      const [wall = NaN, cpu] = measured('listdir', [join(root, 'in')]);
      cpus.limit.push(cpu);
      return wall;
    },
  });
  const { most, memory } = figures(size);
  if (found.limit.some(Number.isNaN)) bench.skip(`first list, ${label}`, 'no C compiler');
  else {
    bench.row({
      what: `first list, ${label}`,
      plot: 'scan',
      size,
      unit: 's',
      values: found.full.map((s) => s - median(found.empty)),
      reference: { name: 'getdents64', values: found.limit },
      most,
    });
    bench.row({
      what: 'the same',
      unit: 's CPU',
      values: cpus.full.map((s) => s - median(cpus.empty)),
      reference: { name: 'getdents64', values: cpus.limit },
    });
    bench.row({ what: `--once, ${label}`, unit: 's', values: found.once });
  }
  bench.row({
    what: `first list, ${label}: memory`,
    plot: 'scan-memory',
    size,
    unit: 'MB',
    values: peaks.full.map((peak) => peak - median(peaks.empty)),
    reference: { name: 'above an idle watcher of', values: peaks.empty },
    most: memory,
    of: 'value',
  });
  discard(empty);
  await delays(bench, size, root, label);
}

/** The directory is renamed into place under a running watcher, so that the start of the program is not counted. */
async function delays(bench, size, root, label) {
  const home = scratch();
  const values = { p99: [], max: [] };
  for (let round = 0; round < Math.min(3, bench.rounds); round++) {
    const watcher = startWatcher(home, { delays: true });
    await until(() => counts(home), 'the watcher listens');
    await untilIdle(watcher.pid);
    await watcher.sample();
    renameSync(join(root, 'in'), join(home, 'in'));
    await until(async () => (await counts(home))?.files === size, 'the watcher has seen all files', 600, 500);
    await untilIdle(watcher.pid);
    const { delays: seen } = await watcher.sample();
    values.p99.push(seen.p99);
    values.max.push(seen.max);
    await stop(watcher);
    renameSync(join(home, 'in'), join(root, 'in'));
    if (existsSync(join(home, 'probe'))) writeFileSync(join(home, 'probe'), '');
  }
  const most = size === 1_000_000 ? 10 : undefined;
  bench.row({
    what: `event loop delay, p99, ${label}`,
    plot: 'delay',
    size,
    unit: 'ms',
    values: values.p99,
    most,
  });
  bench.row({ what: `event loop delay, longest, ${label}`, unit: 'ms', values: values.max });
  discard(home);
}
