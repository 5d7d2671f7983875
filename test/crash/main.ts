import { parseArgs } from 'node:util';
import { addFigures, type Figures } from './figures.js';
import { historyOf } from './story.js';
import { freePort } from '../support/free-port.js';
import { torture } from './torture.js';

/** `yes`, `no`, or as the seed has it. */
const isWanted = (word: string, bySeed: boolean): boolean => (word === 'seed' ? bySeed : word === 'yes');

const { values } = parseArgs({
  options: {
    root: { type: 'string', default: process.cwd() },
    minutes: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    mode: { type: 'string', default: 'embedded' },
    rate: { type: 'string', default: '25' },
    episodes: { type: 'string', default: 'Infinity' },
    standby: { type: 'string', default: 'seed' },
    tls: { type: 'string', default: 'seed' },
  },
});
const mode = values.mode === 'box' ? 'box' : 'embedded';
let end = Date.now() + Number(values.minutes) * 60_000;
// asked to stop: after this episode
process.on('SIGINT', () => (end = 0)).on('SIGTERM', () => (end = 0));
let total: Figures | undefined;
let violations = 0;

for (let i = 0; i < Number(values.episodes) && Date.now() < end; i++) {
  const seed = Number(values.seed) + i;
  const options = {
    root: values.root,
    seed,
    mode,
    seconds: Number(values.seconds),
    rate: Number(values.rate),
    standby: isWanted(values.standby, seed % 2 === 0),
    tlsPort: mode === 'box' && isWanted(values.tls, seed % 3 === 0) ? await freePort() : undefined,
  } as const;
  const begin = Date.now();
  const result = await torture(options);
  total = addFigures(total, result.figures);
  violations += result.violations.length;
  const took = ((Date.now() - begin) / 1000).toFixed(0);
  console.log(
    `seed ${seed} (${took} s): ${result.violations.length} violations; ${JSON.stringify(result.figures)}`,
  );
  for (const violation of result.violations.slice(0, 20)) {
    console.log(`  VIOLATION ${violation.kind} ${violation.key ?? ''}: ${violation.detail}`);
    for (const line of historyOf(result, violation)) console.log(`    ${line}`);
  }
  if (result.violations.length > 0) {
    console.log(`  kept: ${result.directory}`);
    console.log(`  again: npm run torture -- --seed ${seed} --episodes 1 --mode ${mode} --seconds ${values.seconds} --rate ${values.rate} --standby ${values.standby} --tls ${values.tls}`); // prettier-ignore
  }
}

console.log(`total: ${violations} violations; ${JSON.stringify(total)}`);
process.exitCode = violations > 0 ? 1 : 0;
