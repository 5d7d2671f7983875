// All benchmarks, or those named: `npm run bench -- scan latency`. Prints a table; writes all figures as JSON.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { load, machine } from './harness/machine.mjs';
import { program } from './harness/product.mjs';
import { Report } from './harness/report.mjs';
import { cleanUp } from './harness/scratch.mjs';

/** Those that need a directory of the same size stand side by side: it is made once. */
const benchmarks = [
  ['startup', 'start-up time of each command'],
  ['latency', 'from the rename of a file to the start of its process'],
  ['throughput', 'jobs a second, with the embedded agent and with a box'],
  ['starts', 'jobs a second of the agent alone, and how soon one starts'],
  ['burst', 'renames while the watcher is stopped'],
  ['wire', 'submits and queries a second over TCP'],
  ['stat', '`meeseeks-client stat` with many jobs'],
  ['recovery', 'start after kill -9 with many jobs'],
  ['queue', 'what it costs that many jobs are queued'],
  ['ready', 'until events are received, and kernel watches'],
  ['watchers', 'what libraries that watch directories cost'],
  ['scan', 'the first list of a directory'],
  ['rescan', 'the next ones'],
  ['idle', 'CPU and memory with nothing to do'],
];

const usage = `npm run bench -- [options] [name]...

  --quick       small sizes and two rounds: do they work at all?
  --rounds N    rounds of each measurement, default 5; what takes minutes has 3 at most
  --json FILE   where the figures go, default bench/results/DATE.json; those of other benchmarks that
                are there already are kept
  --profile DIR CPU profiles, a directory each benchmark; "node bench/costs.mjs DIR" sums them up
  -h, --help    this

Names, default all of them:
${benchmarks.map(([name, what]) => `  ${name.padEnd(12)}  ${what}\n`).join('')}
BENCH_DIR is where directories are made, default the system's place for temporary files.`;

/** @returns the exit code */
async function main() {
  const { values: options, positionals: wanted } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      json: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const unknown = wanted.filter((word) => !benchmarks.some(([name]) => name === word));
  if (options.help || unknown.length > 0) {
    console.log(options.help ? usage : `no such benchmark: ${unknown.join(', ')}\n\n${usage}`);
    return options.help ? 0 : 2;
  }
  if (!existsSync(program('meeseeks-watch'))) throw new Error('there is no build; run npm run build first');
  const names = benchmarks.map(([name]) => name);
  const quick = options.quick;
  const rounds = Number(options.rounds ?? (quick ? 2 : 5));
  const about = { ...machine(), quick, rounds };
  const at = about.date.slice(0, 19).replaceAll(':', '-');
  const file = options.json ?? join(import.meta.dirname, `results/${at}.json`);
  mkdirSync(dirname(file), { recursive: true });
  const old = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { rows: [], runs: [] };
  const chosen = wanted.length === 0 ? names : names.filter((one) => wanted.includes(one));
  const found = { rows: [], failures: [] };
  for (const name of chosen) {
    if (options.profile !== undefined) process.env.BENCH_PROFILE = resolve(options.profile, name);
    await measure(name, { quick, rounds }, found);
    // after each, for all together take an hour
    writeFileSync(file, `${JSON.stringify(withKept(about, found, old), null, 2)}\n`);
  }
  const judged = found.rows.filter((row) => row.ok !== undefined);
  console.log(
    `\n${judged.filter((row) => row.ok).length} of ${judged.length} figures reached; all in ${file}`,
  );
  return found.failures.length > 0 ? 1 : 0;
}

/** @returns what is new in the order of the benchmarks, beside what the file had of others */
function withKept(about, { rows, failures }, old) {
  const measured = new Set(rows.map((row) => row.benchmark));
  const isKept = (name) => !measured.has(name);
  const order = benchmarks.map(([name]) => name);
  const all = [...old.rows.filter((row) => isKept(row.benchmark)), ...rows];
  const runs = old.runs.map((run) => ({ ...run, benchmarks: run.benchmarks.filter(isKept) }));
  return {
    runs: [...runs, { ...about, benchmarks: [...measured] }].filter((run) => run.benchmarks.length > 0),
    rows: all.toSorted((a, b) => order.indexOf(a.benchmark) - order.indexOf(b.benchmark)),
    failures,
  };
}

const report = new Report();

/** Adds the rows of a benchmark; one that fails is no reason not to run the next. */
async function measure(name, { quick, rounds }, { rows, failures }) {
  const { run } = await import(`./benchmarks/${name}.mjs`);
  try {
    await run({
      quick,
      rounds,
      sizes: (all) => (quick ? all.slice(0, 1) : all),
      row: (row) => rows.push(report.add({ benchmark: name, load: load(), ...row })),
      skip: (what, why) => rows.push(report.skip(name, what, why)),
    });
  } catch (error) {
    failures.push({ benchmark: name, error: error.message });
    cleanUp(); // what it has started would keep this from ending
    console.error(`${name} failed: ${error.stack}`);
  }
}

const endBy = (code) => () => {
  // eslint-disable-next-line no-process-exit -- a measurement cannot be asked to stop; `exit` removes what it made
  process.exit(code);
};
process.on('SIGINT', endBy(130));
process.on('SIGTERM', endBy(143));
process.on('exit', cleanUp);

process.exitCode = await main();
