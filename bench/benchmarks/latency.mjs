// From the rename of a file into the directory to the start of its process, against `inotifywait -m | while read`.
// The process is a small C program that writes down when it was started.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { counts, startWatcher, stop } from '../harness/product.mjs';
import { sleep, until, untilIdle } from '../harness/processes.mjs';
import { isInstalled, reference } from '../harness/reference.mjs';
import { launch, scratch } from '../harness/scratch.mjs';
import { percentile } from '../harness/statistics.mjs';
import { fill } from '../harness/tree.mjs';

/** with this many processed files beside */
const SIZES = [0, 10_000, 100_000];

export async function run(bench) {
  const stamp = reference('stamp');
  if (stamp === undefined) return bench.skip('rename to process start', 'no C compiler');
  if (!isInstalled('inotifywait'))
    return bench.skip('rename to process start', 'inotifywait is not installed');
  for (const size of bench.sizes(SIZES)) await latency(bench, stamp, size);
}

async function latency(bench, stamp, size) {
  const events = bench.quick || size > 10_000 ? 20 : 60;
  const label = `${size.toLocaleString('en')} files beside`;
  const [ours, theirs] = [scratch('in', 'staging'), scratch('in', 'staging')];
  fill(ours, size, { marked: true });
  fill(theirs, size);
  const jobs = [{ pool: 'p', args: [stamp, join(ours, 'stamps'), '%(filename)s'] }];
  const watcher = startWatcher(ours, { watch: { jobs } });
  await until(async () => (await counts(ours))?.files === size, 'the watcher has seen all files');
  await untilIdle(watcher.pid);
  const shell =
    'inotifywait -qm -e moved_to --format %f "$1/in" | while read -r f; do "$2" "$1/stamps" "$f"; done';
  const peer = launch('sh', ['-c', shell, 'sh', theirs, stamp], { detached: true });
  await sleep(500);
  const found = { ours: [], theirs: [] };
  // the first ones only warm up
  for (let i = -5; i < events * bench.rounds; i++) {
    const [own, other] = [await drop(ours, `new-${i}.txt`), await drop(theirs, `new-${i}.txt`)];
    if (i < 0) continue;
    found.ours.push(own);
    found.theirs.push(other);
  }
  peer.end();
  await stop(watcher);
  for (const [p, most] of [
    [50, 1.4],
    [99, 2.5],
  ]) {
    const of = (values) => rounds(values, bench.rounds).map((some) => percentile(some, p));
    bench.row({
      what: `rename to process start, p${p}, ${label}`,
      plot: p === 50 ? 'latency' : undefined,
      size,
      unit: 'ms',
      values: p === 99 ? [percentile(found.ours, p)] : of(found.ours),
      reference: {
        name: 'inotifywait | while read',
        values: p === 99 ? [percentile(found.theirs, p)] : of(found.theirs),
      },
      most: size === 0 ? most : undefined,
    });
  }
}

/** @returns milliseconds */
async function drop(root, name) {
  writeFileSync(join(root, 'staging', name), 'x');
  await sleep(15 + Math.random() * 20);
  const stamps = join(root, 'stamps');
  const renamed = performance.timeOrigin + performance.now();
  renameSync(join(root, 'staging', name), join(root, 'in', name));
  const line = await until(
    () => existsSync(stamps) && readFileSync(stamps, 'utf8').match(new RegExp(`^(\\d+) ${name}$`, 'm')),
    `a process for ${name} starts`,
    30,
    2,
  );
  return Number(line[1]) / 1e6 - renamed;
}

const rounds = (values, count) =>
  Array.from({ length: count }, (_, i) => values.filter((_, j) => j % count === i));
