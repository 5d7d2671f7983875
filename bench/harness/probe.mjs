// Loaded into a measured Node process before its program (`node --import`). A SIGUSR2 makes it append a line of JSON
// to BENCH_PROBE: memory after a garbage collection, CPU seconds before and after that, delays of the event loop since the last
// line.
// With BENCH_DELAYS=1 it looks at the event loop every millisecond.
import { appendFileSync, readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const TICK_MS = 1;
let gaps = [];
let last = performance.now();

/**
 * Delays as somebody saw them who asks every millisecond: who waits 5 ms also makes those wait who ask 1, 2, 3 and 4 ms
 * later. Without them a long delay would count as little as a short one.
 */
function delays() {
  const seen = gaps.flatMap((gap) =>
    Array.from({ length: Math.max(1, Math.round(gap)) }, (_, i) => Math.max(0, gap - i)),
  );
  const sorted = Float64Array.from(seen).sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  gaps = [];
  return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}

function cpuSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Not ru_maxrss: that starts with what the parent had when it forked. */
function peakBytes() {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
}

function sample() {
  const cpu = cpuSeconds();
  const seen = delays();
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  const line = {
    at: performance.now(),
    live: heapUsed + external,
    rss,
    peakRss: peakBytes(),
    cpu,
    cpuAfterwards: cpuSeconds(),
    delays: seen,
  };
  appendFileSync(process.env.BENCH_PROBE, `${JSON.stringify(line)}\n`);
  last = performance.now();
}

if (isMainThread) {
  process.on('SIGUSR2', sample);
  process.on('exit', sample);
  if (process.env.BENCH_DELAYS === '1')
    setInterval(() => {
      const now = performance.now();
      gaps.push(Math.max(0, now - last - TICK_MS));
      last = now;
    }, TICK_MS).unref();
}
