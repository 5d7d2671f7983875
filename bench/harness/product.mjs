// Starts the built programs of this product, as a user would.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { until } from './processes.mjs';
import { launch } from './scratch.mjs';

/** MEESEEKS_TEST_DIST names another build, for instance while this one is being rebuilt. */
export const dist = process.env.MEESEEKS_TEST_DIST ?? resolve(import.meta.dirname, '../../dist');
export const program = (name) => join(dist, `bin/${name}.js`);

const probe = join(import.meta.dirname, 'probe.mjs');

/** BENCH_PROFILE names a directory for CPU profiles, which are written when a program ends by itself. */
const profiling = () =>
  process.env.BENCH_PROFILE === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', process.env.BENCH_PROFILE];

/** Starts a program with the probe; `sample()` gives its line, `samples()` all of them. */
function launchProbed(name, args, root, { delays = false, ...options } = {}) {
  const file = join(root, `probe-${process.hrtime.bigint()}`);
  const env = { ...process.env, BENCH_PROBE: file, BENCH_DELAYS: delays ? '1' : '0' };
  const node = ['--expose-gc', ...profiling(), '--import', probe, program(name), ...args];
  const started = launch(process.execPath, node, { cwd: root, env, ...options });
  const samples = () => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []);
  const sample = async () => {
    const before = samples().length;
    started.child.kill('SIGUSR2');
    await until(() => samples().length > before, `${name} answers the probe`, 120);
    return JSON.parse(samples().at(-1));
  };
  return { ...started, sample, last: () => JSON.parse(samples().at(-1)) };
}

/**
 * Starts meeseeks-watch on `<root>/in`.
 * @param watch keys of the watch beside path and glob; @param top keys beside state_dir and watch
 */
export function startWatcher(root, { watch = {}, top = {}, args = [], ...options } = {}) {
  const config = join(root, 'bench.cfg');
  const jobs = [{ pool: 'p', args: ['/bin/true', '%(file)s'] }];
  const w = { path: join(root, 'in'), glob: '*.txt', rescan: 3600, jobs, ...watch };
  writeFileSync(config, JSON.stringify({ state_dir: join(root, 'state'), watch: { w }, ...top }));
  return launchProbed('meeseeks-watch', ['--log-level', 'error', ...args, config], root, options);
}

/** What a running watcher says to `status` or `rescan`; undefined while it does not listen. */
export const control = (root, request) =>
  new Promise((done) => {
    const socket = connect(join(root, 'state/control.sock'), () => socket.end(`${request}\n`));
    let text = '';
    socket.on('error', () => done(undefined));
    socket.on('data', (chunk) => {
      text += chunk;
      if (text.endsWith('\n')) done(JSON.parse(text));
    });
    socket.on('close', () => done(undefined));
  });

/** The counts of the only watch. */
export const counts = async (root) => (await control(root, 'status'))?.watches?.[0];

/** Starts meeseeks-box with a free port. @returns also `port` */
export async function startBox(root, settings = [], options = {}) {
  const args = [
    'name=n1',
    `state_dir=${root}/state`,
    'listen.address=127.0.0.1',
    'listen.port=0',
    ...settings,
  ];
  const stdio = ['ignore', 'ignore', 'pipe'];
  const box = launchProbed('meeseeks-box', args, root, { stdio, ...options });
  const port = await new Promise((ready, failed) => {
    let text = '';
    box.child.stderr.on('data', (chunk) => {
      text = (text + chunk).slice(-10_000);
      const found = /"ports":\[(\d+)/.exec(text);
      if (found) ready(Number(found[1]));
    });
    box.exited.then((code) => failed(new Error(`meeseeks-box ended with ${code}: ${text}`)), failed);
  });
  return { ...box, port };
}

/** Ends a program with SIGTERM; jobs run on, `discard` ends them. */
export async function stop({ child, exited }) {
  child.kill('SIGTERM');
  return exited;
}
