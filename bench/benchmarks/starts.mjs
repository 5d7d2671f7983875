// Starting jobs in the embedded agent alone, without files and markers, against `xargs -P` with as many at a time; with a
// small heap and with a large one, which a forking parent would copy the page tables of. And one job at a time, from
// `submit` to its first write, against a shell that starts what it reads from a pipe.
import { execFileSync, spawnSync } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sleep } from '../harness/processes.mjs';
import { dist } from '../harness/product.mjs';
import { discard, launch, scratch } from '../harness/scratch.mjs';
import { interleave, percentile } from '../harness/statistics.mjs';

const SLOTS = 4;
const LARGE_HEAP_MB = 500;
const module = (path) => import(pathToFileURL(join(dist, path)).href);

export async function run(bench) {
  const root = scratch();
  const jobs = bench.quick ? 100 : 1000;
  await throughput(bench, root, jobs, '');
  const ballast = Array.from({ length: bench.quick ? 1 : LARGE_HEAP_MB * 1024 }, (_, i) =>
    Array.from({ length: 128 }, (__, k) => i * 128 + k + 0.5),
  );
  await throughput(bench, root, jobs, `, ${LARGE_HEAP_MB} MB of heap`);
  ballast.length = 0;
  await latency(bench, root);
  discard(root);
}

async function throughput(bench, root, jobs, label) {
  const found = await interleave(bench.rounds, {
    agent: () => withAgent(root, SLOTS, (agent, ended) => agentRate(agent, ended, jobs)),
    xargs: () => xargsRate(jobs),
  });
  bench.row({
    what: `/bin/true, ${SLOTS} slots${label}`,
    unit: 'jobs/s',
    values: found.agent,
    reference: { name: `xargs -P${SLOTS}`, values: found.xargs },
  });
}

/** @param use is given the agent and a function that calls back with every job that ends */
async function withAgent(root, slots, use) {
  const [{ createAgent }, { systemClock }] = [await module('agent/agent.js'), await module('lib/clock.js')];
  const directory = join(root, `agent-${process.hrtime.bigint()}`);
  const silent = () => undefined;
  const agent = await createAgent({
    directory,
    node: 'n',
    pools: { p: { slots } },
    defaultSlots: slots,
    expire: 1000,
    clock: systemClock,
    log: { debug: silent, info: silent, warn: silent, error: console.error },
    env: { PATH: process.env.PATH, HOME: '/', LANG: 'C.UTF-8' },
  });
  const listeners = new Set();
  agent.onJob((job) => {
    if (job.state !== 'new' && job.state !== 'running') for (const listener of listeners) listener(job);
  });
  try {
    return await use(agent, (listener) => listeners.clear() ?? listeners.add(listener));
  } finally {
    await agent.stop('drain');
  }
}

const request = (id, args) => ({ key: id, spec: { id, pool: 'p', cwd: '/', args } });

/** Jobs a second; the guardians are there before, as in a service that has been at work. */
async function agentRate(agent, onEnd, jobs) {
  const finish = (requests) =>
    new Promise((done, failed) => {
      let left = requests.length;
      onEnd((job) => {
        if (job.state !== 'done') failed(new Error(JSON.stringify(job)));
        if (--left === 0) done();
      });
      agent.submit(requests).catch(failed);
    });
  const some = (name, count) =>
    Array.from({ length: count }, (_, i) => request(`${name}${i}`, ['/bin/true']));
  await finish(some('warm', SLOTS * 2));
  const begin = performance.now();
  await finish(some('job', jobs));
  return (jobs / (performance.now() - begin)) * 1000;
}

function xargsRate(jobs) {
  const input = Array.from({ length: jobs }, (_, i) => `${i}\0`).join('');
  const begin = performance.now();
  execFileSync('xargs', ['-0', `-P${SLOTS}`, '-n1', '/bin/true'], { input, cwd: '/' });
  return (jobs / (performance.now() - begin)) * 1000;
}

async function latency(bench, root) {
  const path = join(root, 'fifo');
  spawnSync('mkfifo', [path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const socket = new Socket({ fd, readable: true, writable: false });
  const heard = () => new Promise((done) => socket.once('data', () => done(performance.now())));
  const loop = 'while read -r path; do /bin/sh -c \'echo >"$1"\' sh "$path" & wait; done';
  const shell = launch('/bin/bash', ['-c', loop], { stdio: ['pipe', 'ignore', 'inherit'] });
  const found = await withAgent(root, 1, (agent) => {
    const timed = (begin) => async (round) => {
      const began = performance.now();
      const written = heard();
      begin(round);
      const took = (await written) - began;
      await sleep(10);
      return took;
    };
    const write = ['/bin/sh', '-c', 'echo >"$1"', 'sh', path];
    return interleave((bench.quick ? 4 : 40) * bench.rounds, {
      agent: timed((round) => void agent.submit([request(`one${round}`, write)])),
      shell: timed(() => shell.child.stdin.write(`${path}\n`)),
    });
  });
  shell.end();
  socket.destroy();
  for (const p of [50, 99])
    bench.row({
      what: `submit to the first write of the job, p${p}`,
      unit: 'ms',
      values: [percentile(found.agent, p)],
      reference: { name: 'shell that reads a pipe', values: [percentile(found.shell, p)] },
    });
}
