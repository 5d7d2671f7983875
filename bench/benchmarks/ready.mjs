// How soon events are received, and how many kernel watches that takes, in a directory of processed files: from the start
// of the program, against a bare fs.watch in Node, which shows how much of it is the start of Node; and in a watcher that
// runs, from the request to take up the directory. The reference of both is inotifywait.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { control, startWatcher, stop } from '../harness/product.mjs';
import { kernelWatches, sleep, until, untilIdle } from '../harness/processes.mjs';
import { isInstalled } from '../harness/reference.mjs';
import { launch, scratch } from '../harness/scratch.mjs';
import { interleave } from '../harness/statistics.mjs';
import { processedTree } from '../harness/tree.mjs';

const WATCH = 'require("fs").watch(process.argv[1], () => {})';
const job = { pool: 'p', args: ['true'] };

export async function run(bench) {
  for (const size of bench.sizes([10_000, 100_000, 1_000_000])) await ready(bench, size);
}

async function ready(bench, size) {
  const root = processedTree(size);
  const directory = join(root, 'in');
  const label = `${size.toLocaleString('en')} files + markers`;
  const watches = [];
  const started = (start) => async () => {
    const begin = performance.now();
    const { pid, exited, end } = start();
    const time = await watched(pid, 1, begin);
    end();
    await exited;
    return time;
  };
  const found = await interleave(bench.rounds, {
    ours: started(() => startWatcher(root, { stdio: 'ignore' })),
    added: () => added(directory, watches),
    node: started(() => launch(process.execPath, ['-e', WATCH, directory])),
    inotifywait: isInstalled('inotifywait')
      ? started(() => launch('inotifywait', ['-qm', directory], { stdio: 'ignore' }))
      : () => NaN,
  });
  const inotifywait = { name: 'inotifywait', values: found.inotifywait };
  const row = (what, values, reference, most) =>
    bench.row({ what: `${what}, ${label}`, unit: 'ms', values, reference, most });
  row('from start to first watch', found.ours, { name: 'fs.watch in bare Node', values: found.node });
  if (found.inotifywait.some(Number.isNaN)) bench.skip('ready', 'inotifywait is not installed');
  else {
    row('from start to first watch', found.ours, inotifywait);
    row('from request to watch', found.added, inotifywait, size === 1_000_000 ? 1.5 : undefined);
  }
  bench.row({ what: `kernel watches, ${label}`, unit: '', values: watches, most: 1 });
}

/** @returns milliseconds until a process has more than `count - 1` kernel watches */
async function watched(pid, count, begin) {
  await until(() => kernelWatches(pid) >= count, `there are ${count} kernel watches`, 120, 0.5);
  return performance.now() - begin;
}

/** The directory is added to the configuration of a watcher that runs. */
async function added(directory, watches) {
  const home = scratch('in');
  const watcher = startWatcher(home);
  await until(() => control(home, 'status'), 'the watcher listens');
  await untilIdle(watcher.pid);
  const before = kernelWatches(watcher.pid);
  const watch = { glob: '*.txt', rescan: 3600, jobs: [job] };
  const both = { w: { ...watch, path: directory }, old: { ...watch, path: join(home, 'in') } };
  writeFileSync(join(home, 'bench.cfg'), JSON.stringify({ state_dir: join(home, 'state'), watch: both }));
  watcher.child.kill('SIGHUP');
  const time = await watched(watcher.pid, before + 1, performance.now());
  await sleep(500);
  await untilIdle(watcher.pid);
  watches.push(kernelWatches(watcher.pid) - before);
  await stop(watcher);
  return time;
}
