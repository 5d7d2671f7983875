import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const [directory = '', ...wanted] = process.argv.slice(2);
const original = resolve(directory);
const library = ['lib', '.']
  .map((dir) => join(original, dir))
  .find((dir) => existsSync(join(dir, 'meeseeks', 'state.py')));
export const programs = join(original, 'bin');
export const python = process.env.PYTHON ?? 'python3';
export const dist = resolve(import.meta.dirname, '../../dist/bin');
export const home = mkdtempSync(join(tmpdir(), 'meeseeks-compat-'));
const started = new Set();
let failed = 0;

/** Why nothing can be checked. */
export function problem() {
  if (directory === '') return 'usage: scripts/compat-original DIR [PART]...';
  if (library !== undefined && existsSync(join(programs, 'meeseeks-client'))) return undefined;
  return `${original} is no checkout of the original: expected bin/meeseeks-client and [lib/]meeseeks/state.py`;
}

/** Ends what was started. @returns how many checks failed */
export async function finish() {
  for (const one of started) await one.stop('SIGKILL');
  if (process.env.KEEP === undefined) rmSync(home, { recursive: true, force: true });
  else console.log(home);
  return failed;
}

export async function check(what, body) {
  const at = Date.now();
  try {
    await body();
    console.log(`ok      ${what} (${((Date.now() - at) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${what}\n        ${String(error?.message ?? error).replaceAll('\n', '\n        ')}`);
  }
}

export function expect(isTrue, ...facts) {
  if (!isTrue)
    throw new Error(
      facts
        .map((one) => (typeof one === 'string' ? one : JSON.stringify(one, null, 1)))
        .join(' ')
        .slice(0, 3000),
    );
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export async function until(what, condition, seconds = 30) {
  for (const end = Date.now() + seconds * 1000; ; await pause(100)) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

export const environment = {
  ...process.env,
  PYTHONPATH: library,
  PYTHONDONTWRITEBYTECODE: '1',
  MEESEEKS_CONF: '',
};

export function run(file, args, options = {}) {
  return new Promise((done) => {
    execFile(
      file,
      args,
      { env: environment, timeout: 60_000, maxBuffer: 64 << 20, ...options },
      (error, stdout, stderr) => done({ code: error === null ? 0 : (error.code ?? 1), stdout, stderr }),
    );
  });
}

export function service(name, file, args) {
  const child = spawn(file, args, {
    env: environment,
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const self = { name, child, log: '' };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (self.log += data));
  self.gone = once(child, 'close');
  // the original's jobs are of its process group, and hold its port open
  const end = (signal) => {
    if (file !== python) child.kill(signal);
    else if (child.pid !== undefined) process.kill(-child.pid, signal);
  };
  self.stop = async (signal = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) {
      if (signal === 'SIGKILL') end(signal);
      else child.kill(signal);
    }
    await Promise.race([self.gone, pause(10_000)]);
    if (child.exitCode === null && child.signalCode === null) end('SIGKILL');
    started.delete(self);
  };
  started.add(self);
  return self;
}

export const config = (name, content) => {
  const path = join(home, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
};

export async function ourBox(name, more = {}) {
  const port = more.port ?? (await freePort());
  const file = config(`${name}.json`, {
    name: 'n1',
    listen: { address: '127.0.0.1', port },
    state_dir: join(home, `${name}-state`),
    pools: { q1: { slots: 4 }, free: {} },
  });
  const box = service(name, process.execPath, [join(dist, 'meeseeks-box.js'), file]);
  await until('our box listens', () => box.log.includes('"ready') || box.log.includes('ready, listening'));
  return Object.assign(box, { port });
}

export async function theirBox(name, more = {}) {
  const port = more.port ?? (await freePort());
  const file = config(`${name}.json`, {
    name: 'n1',
    listen: { address: '127.0.0.1', port },
    pools: { q1: { slots: 4 }, free: {} },
    ...more.config,
  });
  const box = service(name, python, [join(programs, 'meeseeks-box'), file]);
  await until('their box listens', () => box.log.includes('listening on'));
  await pause(1500);
  return Object.assign(box, { port });
}

export const theirClient = (port, ...words) =>
  run(python, [join(programs, 'meeseeks-client'), 'address=127.0.0.1', `port=${port}`, ...words]);
export const ourClient = (port, ...words) =>
  run(process.execPath, [join(dist, 'meeseeks-client.js'), 'address=127.0.0.1', `port=${port}`, ...words]);

export async function json(ran) {
  const { code, stdout, stderr } = await ran;
  expect(code === 0, `exit code ${code}:`, stdout, stderr);
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`no JSON: ${stdout}${stderr}`);
  }
}

export const theirJob = async (port, id) => (await json(theirClient(port, 'get', id)))[id];
