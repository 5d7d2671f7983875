// From closing a dropped file to the start of its job, with 0 and 10,000 processed files beside it, compared in the
// same run with the least that Node can do: fs.watch and spawn. Run: npm run build && node bench/latency.mjs
import { spawn } from 'node:child_process';
import { readFileSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  countMarkers,
  cpuSeconds,
  fill,
  percentile,
  scratch,
  sleep,
  startWatcher,
  until,
} from './support.mjs';

const DROPS = 100;
const script = 'date +%s.%N > "$1/$2"';

async function drops(root, prefix) {
  const latencies = [];
  for (let i = 0; i < DROPS; i++) {
    const name = `${prefix}${i}.txt`;
    writeFileSync(join(root, 'in', name), 'hello');
    const closed = Date.now() / 1000;
    let started = '';
    await until(() => {
      try {
        started = readFileSync(join(root, 'out', name), 'utf8');
      } catch {
        return false;
      }
      return started.endsWith('\n');
    }, 30);
    latencies.push((Number(started) - closed) * 1000);
    await sleep(20 + Math.random() * 30);
  }
  return `p50 ${percentile(latencies, 50).toFixed(1)} ms  p99 ${percentile(latencies, 99).toFixed(1)} ms`;
}

async function reference() {
  const root = scratch();
  const seen = new Set();
  const watcher = watch(join(root, 'in'), (_, name) => {
    if (seen.has(name)) return;
    seen.add(name);
    spawn('/bin/sh', ['-c', script, 'sh', join(root, 'out'), name], { stdio: 'ignore' });
  });
  console.log(`fs.watch + spawn            ${await drops(root, 'f')}`);
  watcher.close();
}

async function watcher(processed) {
  const root = scratch();
  fill(root, processed);
  const { child, exited } = startWatcher(root, [
    '/bin/sh',
    '-c',
    script,
    'sh',
    join(root, 'out'),
    '%(filename)s',
  ]);
  await until(() => countMarkers(root) >= processed);
  await sleep(1000);
  const label = `meeseeks, ${processed.toLocaleString('en')} processed`.padEnd(28);
  console.log(`${label}${await drops(root, 'f')}`);
  await sleep(3000);
  const before = cpuSeconds(child.pid);
  await sleep(30_000);
  console.log(
    `${' '.repeat(28)}idle ${(((cpuSeconds(child.pid) - before) / 30) * 100).toFixed(2)} % of a CPU`,
  );
  child.kill('SIGTERM');
  await exited;
}

await reference();
await watcher(0);
await watcher(10_000);
