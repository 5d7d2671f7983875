// A directory full of files, each with a job /bin/true: files a second until all are marked, relative to
// `find | xargs -P` that writes one marker a file, in the same run. Run: npm run build && node bench/backlog.mjs [files]
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { countMarkers, fill, scratch, startWatcher } from './support.mjs';

const files = Number(process.argv[2] ?? 2000);
const seconds = async (work) => {
  const begin = performance.now();
  await work();
  return (performance.now() - begin) / 1000;
};

const plain = scratch();
fill(plain, files);
const marker = '/bin/true "$1" && : > "$(dirname "$1")/._$(basename "$1").done"';
const reference = await seconds(() => {
  const find = `find ${join(plain, 'in')} -name '*.txt' -print0 | xargs -0 -n1 -P${availableParallelism()} sh -c '${marker}' sh`;
  spawnSync('/bin/sh', ['-c', find]);
});

const root = scratch();
fill(root, files);
const ours = await seconds(async () => {
  await startWatcher(root, ['/bin/true', '%(file)s'], ['--once']).exited;
});
if (countMarkers(root) !== files) throw new Error(`${countMarkers(root)} of ${files} files were marked`);

console.log(`find | xargs: ${(files / reference).toFixed(0)} files/s`);
console.log(
  `meeseeks:     ${(files / ours).toFixed(0)} files/s, ${(reference / ours).toFixed(2)} of the reference`,
);
