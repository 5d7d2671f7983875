// A directory full of files, a shell a file, four at a time, until each has its durable marker: the watcher with its
// own agent and with a box over TCP, against `find | xargs -P4 sh -c` that writes one marker, and what else is installed.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { startBox, startWatcher, stop } from '../harness/product.mjs';
import { isInstalled } from '../harness/reference.mjs';
import { discard, scratch } from '../harness/scratch.mjs';
import { interleave, median, seconds } from '../harness/statistics.mjs';
import { fill } from '../harness/tree.mjs';

const SLOTS = 4;
const MARK = ': > "${1%/*}/._w_0_${1##*/}.done"';
const peers = {
  'find | xargs -P4': `find "$1/in" -name '*.txt' -print0 | xargs -0 -n1 -P${SLOTS} sh -c '${MARK}' sh`,
  'GNU parallel': `find "$1/in" -name '*.txt' -print0 | parallel -0 -q -j${SLOTS} -n1 sh -c '${MARK}' sh`,
  // a server of its own; others may end after the last job
  'task-spooler': `export TS_SOCKET="$1/tsp"; tsp -S ${SLOTS}
    for f in "$1"/in/*.txt; do tsp -n sh -c '${MARK}' sh "$f"; done >"$1/ids"
    tsp -w; while tsp | grep -qE '^[0-9]+ +(running|queued)'; do sleep 0.01; done; tsp -K`,
};
const needs = { 'GNU parallel': 'parallel', 'task-spooler': 'tsp' };
const jobs = [{ pool: 'p', args: ['/bin/sh', '-c', ':', 'sh', '%(file)s'] }];

const markers = (root) => readdirSync(join(root, 'in')).filter((name) => name.endsWith('.done')).length;

export async function run(bench) {
  const files = bench.quick ? 200 : 2000;
  const home = scratch();
  const box = await startBox(home, [`pools.p.slots=${SLOTS}`]);
  const timed = async (count, work) => {
    const root = scratch('in');
    fill(root, count);
    const time = await seconds(() => work(root));
    if (markers(root) !== count) throw new Error(`${markers(root)} of ${count} files were marked`);
    discard(root);
    return time;
  };
  const ours = (top) => async (root) => {
    const code = await startWatcher(root, { watch: { jobs }, top, args: ['--once'] }).exited;
    if (code !== 0) throw new Error(`meeseeks-watch --once ended with ${code}`);
  };
  const embedded = ours({ pools: { p: { slots: SLOTS } } });
  const remote = ours({ client: { address: '127.0.0.1', port: box.port } });
  const shell = (script) => (root) => spawnSync('sh', ['-c', script, 'sh', root], { stdio: 'ignore' });
  const installed = Object.entries(peers).filter(([name]) => !needs[name] || isInstalled(needs[name]));
  const found = await interleave(bench.rounds, {
    embedded: () => timed(files, embedded),
    box: () => timed(files, remote),
    ...Object.fromEntries(installed.map(([name, script]) => [name, () => timed(files, shell(script))])),
    nothing: () => timed(0, embedded),
    nothingRemote: () => timed(0, remote),
  });
  await stop(box);
  discard(home);
  const rate = (values) => values.map((s) => files / s);
  const [[name]] = installed;
  const reference = { name, values: rate(found[name]) };
  const row = (what, values, figure) => bench.row({ what, unit: 'files/s', values, reference, ...figure });
  const net = (values, start) => rate(values.map((s) => s - median(start)));
  row(`${files} files, embedded agent`, net(found.embedded, found.nothing), { least: 1.0 });
  row('the same with start and end of the program', rate(found.embedded));
  row(`${files} files, box over TCP`, net(found.box, found.nothingRemote), { least: 0.9 });
  row('the same with start and end of the program', rate(found.box));
  for (const [peer] of installed.slice(1)) row(peer, rate(found[peer]));
  for (const [peer, program] of Object.entries(needs))
    if (!isInstalled(program)) bench.skip(peer, 'not installed');
}
