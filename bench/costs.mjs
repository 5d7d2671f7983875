// The functions that took most of the CPU in the profiles of a run: `npm run bench -- --profile DIR scan`, then
// `node bench/costs.mjs DIR`. Milliseconds in the function itself, its share of what was not idle, and where it is.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const MOST = 12;
const [, , directory] = process.argv;
if (directory === undefined) throw new Error('which directory? node bench/costs.mjs DIR');

const place = ({ functionName, url, lineNumber }) =>
  `${functionName || '(top level)'} ${url.replace(/^.*\/(?=dist\/|node_modules\/)/, '')}:${lineNumber + 1}`;

/** @returns function to ms in it, of one profile */
function costs(file) {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'));
  const names = new Map(nodes.map(({ id, callFrame }) => [id, place(callFrame)]));
  const found = new Map();
  for (const [i, id] of samples.entries()) {
    const name = names.get(id);
    if (!name.startsWith('(idle)')) found.set(name, (found.get(name) ?? 0) + timeDeltas[i] / 1000);
  }
  return found;
}

for (const benchmark of readdirSync(directory)) {
  const files = readdirSync(join(directory, benchmark)).filter((file) => file.endsWith('.cpuprofile'));
  const sum = new Map();
  for (const file of files)
    for (const [name, ms] of costs(join(directory, benchmark, file)))
      sum.set(name, (sum.get(name) ?? 0) + ms);
  const total = [...sum.values()].reduce((a, b) => a + b, 0);
  console.log(`\n${benchmark}: ${files.length} processes, ${(total / 1000).toFixed(1)} s of CPU`);
  for (const [name, ms] of [...sum].toSorted(([, a], [, b]) => b - a).slice(0, MOST))
    console.log(`${ms.toFixed(0).padStart(8)} ms ${((ms / total) * 100).toFixed(1).padStart(5)} %  ${name}`);
}
