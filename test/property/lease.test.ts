import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  LeaseWorld,
  type LeasePlant,
  type LeaseScenario,
  type LeaseStep,
} from '../simulation/lease-world.js';

const actor = fc.integer({ min: 0, max: 2 });
const step: fc.Arbitrary<LeaseStep> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('start' as const), actor }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('stop' as const, 'crash' as const), actor }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('pause' as const),
      actor,
      operation: fc.integer({ min: 1, max: 25 }),
      ms: fc.constantFrom(10, 900, 2500, 4100, 8000, 30_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('disk full' as const),
      actor,
      operations: fc.integer({ min: 1, max: 20 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 3000, max: 20_000 })),
    }),
  },
);
const scenario: fc.Arbitrary<LeaseScenario> = fc.record({
  steps: fc.array(step, { minLength: 3, maxLength: 40, size: 'max' }),
  ttls: fc.array(fc.constantFrom(2, 4, 7), { minLength: 1, maxLength: 3 }),
  // far worse than any clock: the margin is a quarter
  rates: fc.array(fc.double({ min: 0.9, max: 1.1, noNaN: true }), { minLength: 1, maxLength: 3 }),
});

const begin: LeaseStep[] = [0, 1, 2].map((one) => ({ do: 'start', actor: one }));

function play(one: LeaseScenario, plant?: LeasePlant): LeaseWorld {
  const world = new LeaseWorld({ ...one, steps: [...begin, ...one.steps] }, plant);
  world.play();
  return world;
}

const runs = { numRuns: Number(process.env['LEASES'] ?? 2000) };

describe('watchers on machines of their own', () => {
  it('never act in turns: who acted before another does not act after it', () => {
    let takeOvers = 0;
    fc.assert(
      fc.property(scenario, (one) => {
        const world = play(one);
        takeOvers += world.takeOvers;
        expect(world.returns()).toEqual([]);
      }),
      runs,
    );
    expect(takeOvers).toBeGreaterThan(runs.numRuns);
  }, 600_000);

  it('one works again within the longest lease and a few looks, whatever went before', () => {
    fc.assert(
      fc.property(scenario, (one) => {
        const world = play(one);
        // a pause that is still to come is none of these
        for (const each of world.actors) each.pauseIn = Infinity;
        world.start(world.actors[0]!);
        const begins = world.now;
        world.pass(7000 / 0.9 + 7000);
        expect(world.acts.at(-1)?.at ?? -1).toBeGreaterThan(begins);
      }),
      runs,
    );
  }, 600_000);

  it('nothing is left but the file of the one that works', () => {
    const world = play({
      steps: [
        { do: 'pass', ms: 5000 },
        { do: 'crash', actor: 0 },
        { do: 'pass', ms: 9000 },
      ],
      ttls: [4],
      rates: [1],
    });
    expect([...world.files.keys()]).toEqual(['/data/._w.lease.2']);
    for (const each of world.actors) each.keeper?.stop();
    expect([...world.files.keys()]).toEqual([]);
  });

  it('after an orderly stop the next one works at its next look', () => {
    const world = play({
      steps: [
        { do: 'pass', ms: 5000 },
        { do: 'stop', actor: 0 },
      ],
      ttls: [7],
      rates: [1],
    });
    const stopped = world.now;
    world.pass(1300);
    expect(world.acts.filter(({ at }) => at > stopped)).not.toEqual([]);
  });

  it.for<LeasePlant>([
    'files are not made exclusively',
    'the clock stops with the process',
    'everybody looks dead',
  ])('a bug is found: %s', (plant) => {
    const property = fc.property(scenario, (one) => expect(play(one, plant).returns()).toEqual([]));
    expect(fc.check(property, { seed: 7, numRuns: 3000, endOnFailure: true }).failed).toBe(true);
  });
});
