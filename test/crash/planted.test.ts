import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { violationKinds } from './checker.js';
import { plants, type Plant } from './plants.js';
import { torture } from './torture.js';

const root = resolve(import.meta.dirname, '../..');
/** What chance must bring about may take more than one try. */
const MOST_EPISODES = 12;

/** The kinds of violation that episodes find, until the expected one is among them. */
async function findings(plant: Plant): Promise<Set<string>> {
  const found = new Set<string>();
  for (let seed = 1; seed <= MOST_EPISODES && !found.has(plant.expected); seed++) {
    const { watches, faults, mode = 'embedded', patches } = plant;
    const { violations } = await torture({ root, seed, mode, watches, faults, patches, seconds: 3, rate: 15, haste: 1.5, patience: 8000, waitsFor: 10_000, keep: false, ...plant.more }); // prettier-ignore
    for (const { kind } of violations) found.add(kind);
  }
  return found;
}

describe('the torture finds', () => {
  it.concurrent.each(plants)('$expected, when $name', { timeout: 900_000 }, async (plant) => {
    expect([...(await findings(plant))]).toContain(plant.expected);
  });

  it('each kind of violation in one of them', () => {
    expect(new Set(plants.map(({ expected }) => expected))).toEqual(new Set(violationKinds));
  });
});
