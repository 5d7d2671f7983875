// Shared by the benchmarks: a scratch directory, a running watcher, and medians.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function percentile(values, p) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((p / 100) * sorted.length))];
}

export function scratch() {
  const root = mkdtempSync(join(tmpdir(), 'meeseeks-bench-'));
  for (const name of ['in', 'out']) mkdirSync(join(root, name));
  process.on('exit', () => rmSync(root, { recursive: true, force: true }));
  return root;
}

export function fill(root, count, name = (i) => `old${i}.txt`) {
  for (let i = 0; i < count; i++) writeFileSync(join(root, 'in', name(i)), 'x');
}

/** Starts the built watcher on `<root>/in`. */
export function startWatcher(root, args, options = []) {
  const config = {
    state_dir: join(root, 'state'),
    watch: { w: { path: join(root, 'in'), glob: '*.txt', jobs: [{ pool: 'p', args }] } },
  };
  writeFileSync(join(root, 'bench.cfg'), JSON.stringify(config));
  const bin = new URL('../dist/bin/meeseeks-watch.js', import.meta.url).pathname;
  const child = spawn(process.execPath, [bin, '--log-level', 'error', ...options, join(root, 'bench.cfg')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  return { child, exited };
}

export const countMarkers = (root) =>
  readdirSync(join(root, 'in')).filter((name) => name.endsWith('.done')).length;

/** CPU seconds a process has used so far; proc(5), 100 ticks a second. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export async function until(condition, seconds = 600) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(20)) if (condition()) return;
  throw new Error('the benchmark waited too long');
}
