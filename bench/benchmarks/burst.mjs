// 50,000 files renamed into place while the watcher is stopped: the kernel queue overflows. None may be missed, and no
// rescan is due for an hour. The reference is inotifywait, treated alike.
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { counts, startWatcher, stop } from '../harness/product.mjs';
import { sleep, until, untilIdle } from '../harness/processes.mjs';
import { isInstalled } from '../harness/reference.mjs';
import { discard, launch, scratch } from '../harness/scratch.mjs';
import { interleave } from '../harness/statistics.mjs';
import { fill } from '../harness/tree.mjs';

const PATIENCE_S = 60;
const fileName = (i) => `burst-${String(i).padStart(7, '0')}.txt`;

/** Moves files that are there already into `to`, while `pid` cannot run. */
function burst(root, to, files, pid) {
  fill(root, files, { prefix: 'burst-' });
  process.kill(pid, 'SIGSTOP');
  for (let i = 0; i < files; i++) renameSync(join(root, 'in', fileName(i)), join(to, fileName(i)));
  process.kill(pid, 'SIGCONT');
}

export async function run(bench) {
  const files = bench.quick ? 20_000 : 50_000;
  const times = [];
  const ours = async () => {
    const [root, staging] = [scratch('in'), scratch('in')];
    // no job is started: files that are too young are known, and wait
    const watcher = startWatcher(root, { watch: { min_age: 3600 } });
    await until(() => counts(root), 'the watcher listens');
    await untilIdle(watcher.pid);
    burst(staging, join(root, 'in'), files, watcher.pid);
    const begin = performance.now();
    const seen = async () => (await counts(root))?.files ?? 0;
    await until(async () => (await seen()) === files, 'all are seen', PATIENCE_S).catch(() => undefined);
    times.push((performance.now() - begin) / 1000);
    const missed = files - (await seen());
    await stop(watcher);
    discard(staging);
    discard(root);
    return missed;
  };
  const inotifywait = async () => {
    const [root, staging] = [scratch('in'), scratch('in')];
    const args = ['-qm', '-e', 'moved_to', '--format', '%f', join(root, 'in')];
    const watcher = launch('inotifywait', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let lines = 0;
    watcher.child.stdout.on('data', (chunk) => {
      for (const byte of chunk) if (byte === 10) lines++;
    });
    await sleep(500);
    burst(staging, join(root, 'in'), files, watcher.pid);
    await untilIdle(watcher.pid);
    watcher.child.kill('SIGKILL');
    await watcher.exited;
    discard(staging);
    discard(root);
    return files - lines;
  };
  const found = await interleave(Math.min(bench.rounds, 3), {
    ours,
    ...(isInstalled('inotifywait') && { inotifywait }),
  });
  bench.row({
    what: `missed of ${files.toLocaleString('en')} renames, process stopped`,
    unit: 'files',
    values: found.ours,
    reference: found.inotifywait && { name: 'inotifywait', values: found.inotifywait },
    most: 0,
    of: 'value',
  });
  bench.row({ what: 'until all are seen', unit: 's', values: times });
}
