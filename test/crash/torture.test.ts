import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { freePort } from '../support/free-port.js';
import { makeScenario } from './scenario.js';
import { historyOf } from './story.js';
import { torture, type TortureResult } from './torture.js';

const root = resolve(import.meta.dirname, '../..');

/** Short of what `npm run torture` does, and the same every time as far as processes allow. */
it.concurrent.each([
  ['embedded, and a second watcher', 4, { mode: 'embedded', standby: true }],
  ['box, over TLS', 6, { mode: 'box', tls: true }],
] as const)(
  'keeps the promise through kills, stops and reloads: %s, seed %i',
  { timeout: 600_000 },
  async (_, seed, how) => {
    const tlsPort = 'tls' in how ? await freePort() : undefined;
    const result = await torture({ root, seed, ...how, tlsPort, seconds: 9, rate: 20 });
    expect(result.violations, story(result)).toEqual([]);
    const { figures } = result;
    expect(figures.files).toBeGreaterThan(100);
    expect(figures.faults.kill).toBeGreaterThan(0);
    expect(figures.starts).toBeGreaterThan(3);
    expect(figures.resets).toBeGreaterThan(0);
  },
);

const story = (result: TortureResult): string =>
  [...result.violations.flatMap((violation) => historyOf(result, violation)), result.directory].join('\n');

it('a seed determines files and faults', () => {
  const options = { seed: 7, seconds: 20, rate: 25, mode: 'box' } as const;
  expect(makeScenario(options)).toEqual(makeScenario(options));
  expect(makeScenario({ ...options, seed: 8 })).not.toEqual(makeScenario(options));
});
