import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  agentKillPoints,
  agentViolations,
  type AgentPlant,
  AgentWorld,
  type AgentScenario,
  type AgentStep,
} from '../simulation/agent-world.js';

async function play(
  scenario: AgentScenario,
  plant?: AgentPlant,
  prepare: (world: AgentWorld) => void = () => undefined,
): Promise<AgentWorld & { readonly wrong: string[] }> {
  const world = new AgentWorld(scenario, plant);
  try {
    prepare(world);
    await world.play();
    return Object.assign(world, { wrong: agentViolations(world) });
  } finally {
    world.end();
  }
}

const job = fc.integer({ min: 1, max: 5 });
const pool = fc.constantFrom('a' as const, 'b' as const);
const step: fc.Arbitrary<AgentStep> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      job,
      pool,
      priority: fc.integer({ min: -1, max: 1 }),
      retries: fc.integer({ min: 0, max: 2 }),
      hold: fc.oneof(
        { weight: 4, arbitrary: fc.constant(false) },
        { weight: 1, arbitrary: fc.constant(true) },
      ),
      runtime: fc.constantFrom(undefined, undefined, 1),
      again: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('kill' as const, 'free' as const), job }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('slots' as const), pool, slots: fc.constantFrom(-1, 0, 1, 3) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 30, 1100, 5000, 70_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('crash' as const), after: fc.integer({ min: 1, max: 12 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('disk full' as const), writes: fc.integer({ min: 1, max: 4 }) }),
  },
);
const scenario: fc.Arbitrary<AgentScenario> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 30, size: 'max' }),
  fates: fc.array(
    fc.record({
      begins: fc.constantFrom(0, 0, 0, 20, 900),
      lasts: fc.constantFrom(1, 50, 950, 1500, 8000, 30_000),
      code: fc.oneof(
        { weight: 6, arbitrary: fc.constantFrom<number | undefined>(0, 0, 1) },
        { weight: 1, arbitrary: fc.constant(undefined) },
      ),
    }),
    { minLength: 1, maxLength: 6, size: 'max' },
  ),
});

const submit = (job: number, retries: number): AgentStep => ({
  do: 'submit',
  job,
  pool: 'a',
  priority: 0,
  retries,
  hold: false,
  runtime: undefined,
  again: false,
});

describe('an agent that dies', () => {
  // one job fails, is retried and ends well; one is killed while it runs; one has to wait for a slot; what is not
  // acknowledged is submitted again
  const scenario: AgentScenario = {
    steps: [
      submit(1, 1),
      submit(2, 0),
      submit(3, 0),
      submit(1, 1),
      submit(2, 0),
      submit(3, 0),
      { do: 'pass', ms: 500 },
      { do: 'kill', job: 2 },
      { do: 'kill', job: 2 },
      { do: 'pass', ms: 10_000 },
    ],
    fates: [
      { lasts: 1500, code: 1 },
      { lasts: 60_000, code: 0 },
      { lasts: 1500, code: 0 },
    ],
  };
  it.for(agentKillPoints.flatMap((point) => [`before ${point}`, `after ${point}`]))(
    '%s: nothing is lost, nothing runs twice',
    async (where) => {
      const world = await play(scenario, undefined, (w) => w.dieAt(where));
      expect(world.crashes, `it passed ${[...world.passed].join()}`).toBe(1);
      expect(world.wrong).toEqual([]);
      expect([...world.promised.keys()].sort()).toEqual(['job1', 'job2', 'job3']);
    },
  );
});

describe('any agent', () => {
  it('crashes, full disks, kills, changes of slots: slots hold, kills hold, nothing is forgotten, every job ends once', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (one) => {
        expect((await play(one)).wrong).toEqual([]);
      }),
      { numRuns: Number(process.env['SIMULATIONS'] ?? 150) },
    );
  }, 600_000);
});

describe('a bug is found', () => {
  const plants: { readonly plant: AgentPlant; readonly violation: RegExp }[] = [
    { plant: 'a start is not written', violation: /started twice|two runs/ },
    { plant: 'a kill is not written', violation: /was killed and is/ },
    { plant: 'an end before a crash is not collected', violation: /never ends/ },
    { plant: 'slots are ignored', violation: /jobs in pool/ },
    { plant: 'hold is ignored', violation: /while held|never/ },
    { plant: 'retries never end', violation: /failed \d+ times/ },
    { plant: 'a killed process is left alone', violation: /outlived its kill/ },
    { plant: 'nobody is told when a program began', violation: /before its time/ },
    { plant: 'who takes over is not told that it began', violation: /outlived its runtime/ },
  ];
  it.for(plants)('$plant', { timeout: 600_000 }, async ({ plant, violation }) => {
    const property = fc.asyncProperty(scenario, async (one) => {
      expect((await play(one, plant)).wrong.filter((text) => violation.test(text))).toEqual([]);
    });
    const found = await fc.check(property, { seed: 7, numRuns: 1000, endOnFailure: true });
    expect(found.failed).toBe(true);
  });
});
