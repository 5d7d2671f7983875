// Why a directory of data gets a bare fs.watch: until ready, memory, kernel watches and CPU an event of the libraries.
import { createRequire } from 'node:module';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpuSeconds, kernelWatches, residentBytes, sleep, until, untilIdle } from '../harness/processes.mjs';
import { discard, launch, scratch } from '../harness/scratch.mjs';
import { interleave, median } from '../harness/statistics.mjs';
import { fill } from '../harness/tree.mjs';

const peer = join(import.meta.dirname, '../harness/watcher-peer.mjs');
const libraries = ['fs.watch', 'chokidar', 'chokidar, files ignored', '@parcel/watcher'];
const EVENTS = 20;

const isThere = (library) => {
  const name = library.split(',')[0];
  if (name === 'fs.watch') return true;
  try {
    return createRequire(import.meta.url).resolve(name) !== '';
  } catch {
    return false;
  }
};

export async function run(bench) {
  for (const library of libraries.filter((one) => !isThere(one))) bench.skip(library, 'not installed');
  for (const size of bench.quick ? [1000] : [10_000, 100_000]) await compare(bench, size);
}

async function compare(bench, size) {
  const root = scratch('in', 'staging');
  fill(root, size, { marked: true });
  const label = `${size.toLocaleString('en')} files + markers`;
  const some = libraries.filter(isThere);
  const all = Object.fromEntries(some.map((library) => [library, { cpu: [], rss: [], watches: [] }]));
  const tasks = some.map((library) => [library, () => look(library, root, all[library])]);
  const ready = await interleave(Math.min(3, bench.rounds), Object.fromEntries(tasks));
  discard(root);
  const reference = { name: 'fs.watch', values: ready['fs.watch'] };
  for (const library of some) {
    const { cpu, rss, watches } = all[library];
    const values = ready[library];
    if (values.some(Number.isNaN)) {
      bench.skip(`${library}, ${label}`, 'it gave up, out of kernel watches');
      continue;
    }
    const note = `${Math.round(median(rss) / 1e6)} MB, ${median(watches)} kernel watches, ${median(cpu).toFixed(1)} ms CPU an event`;
    bench.row({ what: `${library}: until ready, ${label}`, unit: 'ms', values, reference, note });
  }
}

/** @returns ms until ready; NaN when it gave up */
async function look(library, root, { cpu, rss, watches }) {
  const stdio = ['ignore', 'pipe', 'ignore'];
  const { child, pid, exited, end } = launch(process.execPath, [peer, library, join(root, 'in')], { stdio });
  let text = '';
  child.stdout.on('data', (chunk) => (text += chunk));
  let isOver = false;
  void exited.then(() => (isOver = true));
  await until(() => text.includes('\n') || isOver, `${library} is ready`, 300);
  if (isOver) return NaN;
  await sleep(300);
  await untilIdle(pid);
  rss.push(residentBytes(pid));
  watches.push(kernelWatches(pid));
  const before = cpuSeconds(pid);
  for (let i = 0; i < EVENTS; i++) await drop(root, `event-${process.hrtime.bigint()}.txt`);
  await untilIdle(pid);
  cpu.push(((cpuSeconds(pid) - before) / EVENTS) * 1000);
  end();
  await exited;
  return Number(text.split('\n')[0]);
}

async function drop(root, name) {
  writeFileSync(join(root, 'staging', name), '');
  renameSync(join(root, 'staging', name), join(root, 'in', name));
  await sleep(50);
}
