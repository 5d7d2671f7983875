// Writes the figures of a run into docs/performance.md, and its curves into docs/images/performance:
// `npm run bench:document` after `npm run bench -- --json bench/results/record.json`. With --check it only tells whether they are
// there already, by its exit code.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { plot } from './harness/plot.mjs';
import { short } from './harness/report.mjs';

const root = join(import.meta.dirname, '..');
const images = 'images/performance';
const record = JSON.parse(readFileSync(join(import.meta.dirname, 'results/record.json'), 'utf8'));

const curves = {
  scan: ['First list of a directory', 'files, as many markers'],
  rescan: ['Rescan with nothing new', 'files, as many markers'],
  delay: ['Event loop delay of a first list, p99', 'files, as many markers'],
  'scan-memory': ['Memory of a first list, above an idle watcher', 'files, as many markers'],
  'file-memory': ['Live memory a processed file', 'files'],
  latency: ['Rename to process start, p50', 'processed files beside'],
  submits: ['Submits over one connection', 'jobs queued'],
  jobs: ['Jobs started and ended', 'jobs queued'],
  'job-memory': ['Live memory a queued job', 'jobs queued'],
  stat: ['meeseeks-client stat', 'jobs'],
  recovery: ['Start after kill -9', 'jobs in the state'],
};
/** a memory of its own is no reference to be drawn */
const alone = new Set(['scan-memory']);

/** what is to be written: path to text */
const files = new Map();

const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
const code = (text) =>
  text.replace(/(meeseeks-\w+( --?[a-z]+| stat| ls| sub p true| plan| validate)?)/, '`$1`');
const value = ({ value: number, unit }) => `${short(number)} ${unit}`.trim();
const beside = ({ reference, unit }) =>
  reference === undefined ? '' : `${reference.name}: ${short(reference.value)} ${unit}`;
const ratio = (row) => (row.ratio === undefined ? '' : `${short(row.ratio)} ×`);

function figures() {
  const rows = record.rows.filter((row) => row.figure !== undefined);
  return table(
    ['what', 'measured', 'reference in the same run', 'ratio', 'to reach', 'reached'],
    rows.map((row) => [
      code(row.what),
      value(row),
      beside(row),
      ratio(row),
      row.figure,
      row.ok ? 'yes' : '**no**',
    ]),
  );
}

function everything() {
  return table(
    ['benchmark', 'what', 'measured', 'reference in the same run', 'ratio', 'load'],
    record.rows.map((row) =>
      row.skipped === undefined
        ? [row.benchmark, code(row.what), value(row), beside(row), ratio(row), row.load.toFixed(0)]
        : [row.benchmark, row.what, `skipped: ${row.skipped}`, '', '', ''],
    ),
  );
}

function about() {
  const runs = record.runs.map(
    ({ date, commit, rounds, benchmarks }) =>
      `${date.slice(0, 16).replace('T', ' ')} at commit ${commit}, ${rounds} rounds: ${benchmarks.join(', ')}`,
  );
  const { node, kernel, cpu, memory } = record.runs.at(-1);
  const where = `On ${cpu}, ${memory}, ext4, Linux ${kernel}, Node ${node}.`;
  return `${where}\n\n${runs.map((run) => `- ${run}`).join('\n')}`;
}

/** @returns the SVG of a curve; undefined when the run has fewer than two sizes of it */
function drawn(name) {
  const rows = record.rows.filter((row) => row.plot === name);
  if (rows.length < 2) return undefined;
  const [title, over] = curves[name];
  const ours = { name: 'meeseeks', points: rows.map((row) => [row.size, row.value]) };
  const others = rows.filter((row) => row.reference !== undefined && !alone.has(name));
  const reference = {
    name: others[0]?.reference.name,
    points: others.map((row) => [row.size, row.reference.value]),
  };
  return plot({ title, over, unit: rows[0].unit, lines: others.length > 0 ? [ours, reference] : [ours] });
}

function plots() {
  return Object.entries(curves)
    .flatMap(([name, [title]]) => {
      const svg = drawn(name);
      if (svg === undefined) return [];
      files.set(`docs/${images}/${name}.svg`, svg);
      return [`![${title}](${images}/${name}.svg)`];
    })
    .join('\n');
}

const parts = { about: about(), figures: figures(), plots: plots(), everything: everything() };
const page = 'docs/performance.md';
const there = (file) => (existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '');
const text = Object.entries(parts).reduce(
  (all, [name, part]) =>
    all.replace(
      new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- end -->)`),
      (_, open, close) => `${open}${part}\n${close}`,
    ),
  there(page),
);
files.set(page, text);

const isCheck = process.argv.includes('--check');
const old = [...files].filter(([file, wanted]) => there(file) !== wanted).map(([file]) => file);
if (isCheck && old.length > 0) console.error(`not those of the record: ${old.join(', ')}`);
if (isCheck) process.exitCode = old.length > 0 ? 1 : 0;
else {
  mkdirSync(join(root, 'docs', images), { recursive: true });
  for (const [file, wanted] of files) writeFileSync(join(root, file), wanted);
}
