// Load on a box over loopback: node bench/box-load.mjs  (after npm run build; MEESEEKS_TEST_DIST names another build)
// Prints submits/s over one pipelined connection, empty and with 100,000 queued; memory; the cost of 1,000 idle clients.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { cpuSeconds, sleep } from './support.mjs';

const dist = process.env.MEESEEKS_TEST_DIST ?? resolve(import.meta.dirname, '../dist');
const QUEUED = Number(process.env.QUEUED ?? 100_000);
const BURST = 10_000;
const directory = mkdtempSync(join(tmpdir(), 'meeseeks-box-load-'));

const box = spawn(
  process.execPath,
  [
    join(dist, 'bin/meeseeks-box.js'),
    'name=n1',
    'listen.address=127.0.0.1',
    'listen.port=0',
    'pools.q.hold=true',
    `state_dir=${directory}/state`,
  ],
  { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env.PATH, HOME: directory } },
);
const port = await new Promise((ready, failed) => {
  let text = '';
  box.stderr.on('data', (chunk) => {
    text += chunk;
    const found = /"ports":\[(\d+)/.exec(text);
    if (found) ready(Number(found[1]));
  });
  box.on('exit', () => failed(new Error(text)));
});

const rss = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
const env = Object.fromEntries(Object.entries(process.env).slice(0, 30));
const open = () =>
  new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => done(socket));
  });

/** Seconds for `count` submits, one a line, all sent at once, until the last answer. */
async function submits(count, withEnv = true) {
  const socket = await open();
  const job = { pool: 'q', args: ['/bin/echo', 'some', 'file'], tags: ['w1'], ...(withEnv && { env }) };
  const line = `${JSON.stringify([{ submit: job }])}\n`;
  const started = performance.now();
  let left = count;
  const done = new Promise((resolved) =>
    socket.on('data', (chunk) => {
      for (const byte of chunk) if (byte === 10) left--;
      if (left === 0) resolved();
    }),
  );
  for (let sent = 0; sent < count; sent += 1000) socket.write(line.repeat(Math.min(1000, count - sent)));
  await done;
  socket.destroy();
  return (performance.now() - started) / 1000;
}

async function ask(request) {
  const socket = await open();
  let text = '';
  const started = performance.now();
  socket.end(`${JSON.stringify([request])}\n`);
  for await (const chunk of socket) text += chunk;
  return { ms: performance.now() - started, bytes: text.length };
}

const rate = (seconds, count = BURST) => Math.round(count / seconds);
try {
  await submits(2000);
  const empty = [await submits(BURST), await submits(BURST), await submits(BURST)];
  console.log(`submits/s, few queued: ${empty.map((s) => rate(s)).join(' ')}`);
  const before = rss(box.pid);
  const filled = await submits(QUEUED - 3 * BURST);
  console.log(`filled up to ${QUEUED}: ${rate(filled, QUEUED - 3 * BURST)}/s`);
  await sleep(500);
  console.log(
    `memory with ${QUEUED} queued: ${Math.round(rss(box.pid))} MB (${Math.round(before)} MB with ${3 * BURST})`,
  );
  const full = [await submits(BURST), await submits(BURST), await submits(BURST)];
  console.log(`submits/s, ${QUEUED} queued: ${full.map((s) => rate(s)).join(' ')}`);
  console.log(`ratio: ${(Math.min(...full) / Math.min(...empty)).toFixed(2)}`);
  for (const request of [{ pools: {} }, { get: { seq: 1e12 } }, { ls: {} }, { get: { tag: 'none' } }])
    console.log(JSON.stringify(request), await ask(request));
  const idle = await Promise.all(Array.from({ length: 1000 }, open));
  await sleep(500);
  const memory = rss(box.pid);
  const cpu = cpuSeconds(box.pid);
  await sleep(5000);
  console.log(
    `1000 idle connections: ${Math.round(memory)} MB, ${(cpuSeconds(box.pid) - cpu).toFixed(2)} s CPU in 5 s`,
  );
  for (const socket of idle) socket.destroy();
} finally {
  box.kill('SIGTERM');
  await new Promise((done) => box.once('exit', done));
  rmSync(directory, { recursive: true, force: true });
}
