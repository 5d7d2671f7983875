// Start-up time of each command, against a Node that does nothing.
import { spawnSync } from 'node:child_process';
import { discard, scratch } from '../harness/scratch.mjs';
import { program, startBox } from '../harness/product.mjs';
import { reference } from '../harness/reference.mjs';
import { interleave } from '../harness/statistics.mjs';

const FIGURE = 1.6;

const calls = (port, root) => [
  { bin: 'meeseeks-watch', words: ['--help'], most: FIGURE },
  { bin: 'meeseeks-client', words: ['stat'], port, most: FIGURE },
  { bin: 'meeseeks-box', words: ['--help'], most: FIGURE },
  { bin: 'meeseeks-client', words: ['--help'] },
  { bin: 'meeseeks-client', words: ['ls'], port },
  { bin: 'meeseeks-client', words: ['sub', 'p', 'true'], port },
  { bin: 'meeseeks-watch', words: ['--version'] },
  { bin: 'meeseeks-watch', words: ['validate'], more: emptyWatch(root) },
  { bin: 'meeseeks-watch', words: ['plan'], more: emptyWatch(root) },
  { bin: 'meeseeks-watch', words: ['--once'], more: ['--log-level', 'error', ...emptyWatch(root)] },
  { bin: 'meeseeks-box', words: ['--check'], more: ['pools.p.slots=1'] },
];

const emptyWatch = (root) => [
  `state_dir=${root}/watch-state`,
  `watch.w.path=${root}/in`,
  'watch.w.glob=*.txt',
  'watch.w.jobs:=[{"pool":"p","args":["true"]}]',
];

export async function run(bench) {
  const root = scratch('in');
  const box = await startBox(root, ['pools.p.slots=1']);
  const all = calls(box.port, root).map(({ bin, words, port, more = [], most }) => ({
    what: [bin, ...words].join(' '),
    args: [program(bin), ...(port === undefined ? [] : [`port=${port}`]), ...words, ...more],
    most,
  }));
  const cpu = {};
  const timed = (what, args) => () => {
    const times = milliseconds(args, root);
    (cpu[what] ??= []).push(times.cpu);
    return times.wall;
  };
  const found = await interleave(bench.quick ? bench.rounds : bench.rounds * 3, {
    node: timed('node', ['-e', '0']),
    ...Object.fromEntries(all.map(({ what, args }) => [what, timed(what, args)])),
  });
  const row = (what, unit, values, node, most) =>
    bench.row({ what, unit, values, reference: { name: 'node -e 0', values: node }, most });
  for (const { what, most } of all) {
    row(what, 'ms', found[what], found.node, most);
    // what else the machine does counts less in these
    if (most !== undefined && cpu.node.every(Boolean)) row('the same', 'ms CPU', cpu[what], cpu.node);
  }
  discard(root);
}

/** CPU time is known where there is a C compiler. */
function milliseconds(args, cwd) {
  const wrapper = reference('rusage');
  const [command, ...words] = [...(wrapper === undefined ? [] : [wrapper]), process.execPath, ...args];
  const begin = performance.now();
  const { status, stdout, stderr } = spawnSync(command, words, { cwd, encoding: 'utf8' });
  const took = performance.now() - begin;
  if (status !== 0) throw new Error(`${args.join(' ')}: exit code ${status}\n${stderr}`);
  const [wall, cpu] = wrapper === undefined ? [took, undefined] : stdout.split(' ').map(Number);
  return { wall, cpu };
}
