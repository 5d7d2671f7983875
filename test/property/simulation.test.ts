import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { violations } from '../simulation/judge.js';
import type { Fate } from '../simulation/reference-agent.js';
import { killPoints, SENTINEL, World, type Plant, type Scenario, type Step } from '../simulation/world.js';
import { globs, single } from '../support/watch-fixtures.js';

/** Planning is paced by how long it took: time is virtual here. */
beforeAll(() => void vi.spyOn(performance, 'now').mockReturnValue(0));
afterAll(() => void vi.restoreAllMocks());

const job = single('%(filename)s', '%(index)s', '%(mtime)s', '%(attempt)s');
const jobs = (count: number): Scenario['watch'] => ({ steps: Array.from({ length: count }, () => job) });

const calm: Scenario = {
  watch: jobs(1),
  slots: 2,
  steps: [],
  fates: ['arrives'],
  lasts: [100],
  failures: {},
};

async function play(
  scenario: Scenario,
  prepare: (world: World) => void = () => undefined,
  plant?: Plant,
): Promise<World> {
  const world = new World(scenario, plant);
  try {
    prepare(world);
    await world.play();
    return world;
  } finally {
    await world.end();
  }
}

async function holds(scenario: Scenario): Promise<World> {
  const world = await play(scenario);
  expect(violations(world), JSON.stringify({ deaths: world.deaths, said: world.said.slice(-5) })).toEqual([]);
  return world;
}

const drop = (name: string, skew = 0): Step => ({ do: 'drop', name, skew });
const pass = (ms: number): Step => ({ do: 'pass', ms });

describe('a simulated world', () => {
  it('at peace: every file runs once', async () => {
    const world = await holds({ ...calm, steps: [drop('a'), pass(500), drop('b'), pass(20_000), drop('c')] });
    expect(world.agent.runs.map((run) => run.file)).toEqual(['a', 'b', 'c']);
    expect(world.files.names().filter((name) => name.startsWith('._'))).toHaveLength(3);
  });
});

const journey: Scenario = {
  ...calm,
  watch: { ...jobs(2), updated: true },
  failures: { b: 1 },
  steps: [
    drop('a'),
    pass(15_000),
    drop('b'),
    pass(15_000),
    { do: 'rewrite', name: 'a', skew: 0 },
    pass(15_000),
    { do: 'delete', name: 'a' },
    drop('c'),
    pass(30_000),
  ],
};

describe('a watcher that dies', () => {
  it.for(killPoints.flatMap((point) => [`before ${point}`, `after ${point}`]))(
    '%s: nothing is lost, nothing runs twice',
    async (where) => {
      // an intent is withdrawn when the start after a death finds that the agent never heard of it
      const first = where.endsWith('ledger.withdraw') ? ['after ledger.intend'] : [];
      const world = await play(journey, (w) => [...first, where].forEach((death) => w.dieAt(death)));
      expect(world.deaths, `it passed ${[...world.passed].join()}`).toEqual([...first, where]);
      expect(violations(world)).toEqual([]);
    },
  );

  it('at each of its durable steps, one by one', async () => {
    for (let after = 1; ; after++) {
      const world = await play({
        ...journey,
        steps: [{ do: 'crash', after, downFor: 2000 }, ...journey.steps],
      });
      if (world.deaths.length === 0) return expect(after).toBeGreaterThan(60);
      expect(violations(world), `dies ${world.deaths.join()}, step ${after}`).toEqual([]);
    }
  });
});

const skew = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: -600_000, max: 600_000 }) },
);
const fate = fc.oneof(
  { weight: 12, arbitrary: fc.constant<Fate>('arrives') },
  { weight: 4, arbitrary: fc.constantFrom<Fate>('is lost', 'answer is lost', 'is late', 'comes twice') },
);
type Names = fc.Arbitrary<string>;
const steps = (names: Names): fc.Arbitrary<Step> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('drop' as const), name: names, skew }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('rewrite' as const), name: names, skew }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), name: names }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('sign' as const), name: names }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('unsign' as const), name: names }) },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('pass' as const),
        ms: fc.constantFrom(1, 50, 120, 1000, 5000, 12_000, 40_000),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('crash' as const),
        after: fc.integer({ min: 1, max: 40 }),
        downFor: fc.constantFrom(1, 3000, 30_000),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('power cut' as const),
        kept: fc.double({ min: 0, max: 1, noNaN: true }),
        downFor: fc.constantFrom(1, 30_000),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('overflow' as const), count: fc.integer({ min: 1, max: 8 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('set clock' as const),
        by: fc.integer({ min: -600_000, max: 600_000 }),
      }),
    },
  );
/** Without size fast-check would hardly make more than ten of anything. */
const upTo = <T>(maxLength: number, items: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.array(items, { minLength: 1, maxLength, size: 'max' });
const readiness = fc.record({
  stable: fc.constantFrom(undefined, undefined, 3),
  sentinel: fc.constantFrom(undefined, undefined, SENTINEL),
  check: fc.constant(undefined),
  closed: fc.constantFrom(false, false, false, true),
});
const watches = {
  steps: fc.integer({ min: 1, max: 3 }).map((count) => jobs(count).steps),
  events: fc.boolean(),
  updated: fc.boolean(),
  reverse: fc.boolean(),
  minAge: fc.constantFrom(0, 2),
  retries: fc.constantFrom(Infinity, 0, 2),
  maxJobs: fc.constantFrom(1, 2, 1000),
  maxIndex: fc.constantFrom(undefined, undefined, 1),
  ready: readiness,
};
const scenarios = (watch: fc.Arbitrary<Scenario['watch']>, names: Names): fc.Arbitrary<Scenario> =>
  fc.record({
    watch,
    slots: fc.integer({ min: 1, max: 3 }),
    lookAtOnce: fc.constantFrom(0, 1000),
    steps: upTo(25, steps(names)),
    fates: upTo(15, fate),
    lasts: upTo(4, fc.constantFrom(1, 100, 3000, 20_000)),
    failures: fc.dictionary(names, fc.integer({ min: 0, max: 3 })),
  });
const ofFiles = scenarios(fc.record(watches), fc.constantFrom('a', 'b', 'c', 'd', 'e'));
const ofSets = scenarios(
  fc.record({
    ...watches,
    updated: fc.constant(false),
    lists: fc.constant(globs('*.x', '*.y')),
    split: fc.constant('.'),
    fileset: fc.constant(1),
  }),
  fc.constantFrom('a.x', 'a.y', 'b.x', 'b.y', 'c.x', 'c.y'),
);
const scenario = fc.oneof({ weight: 3, arbitrary: ofFiles }, { weight: 1, arbitrary: ofSets });

describe('worlds that once went wrong', () => {
  it('the agent cannot be asked for the jobs of the last run at first, and never heard of one', async () => {
    const steps: Step[] = [drop('a'), { do: 'restart' }, { do: 'power cut', kept: 0, downFor: 1 }, pass(50)];
    await holds({ ...calm, steps, fates: ['is lost'] });
  });

  it('a job ends while the agent cannot be asked for the jobs of the last run', async () => {
    const steps: Step[] = [drop('a'), { do: 'restart' }, { do: 'restart' }, drop('a')];
    const watch = { ...jobs(1), events: false, maxJobs: 1 };
    await holds({ ...calm, watch, slots: 1, steps, fates: ['arrives', 'is lost', 'is lost'], lasts: [1] });
  });

  it('an overflow hides that a name was away before another file came', async () => {
    const steps: Step[] = [
      drop('e'),
      pass(50),
      { do: 'delete', name: 'e' },
      { do: 'overflow', count: 1 },
      drop('e'),
    ];
    await holds({ ...calm, watch: { steps: calm.watch.steps }, steps, fates: ['is lost'] });
  });

  it('a power cut brings back the markers of the file before, beside one of the file that is there', async () => {
    const steps: Step[] = [
      drop('e'),
      drop('c'),
      pass(40_000),
      drop('c'),
      { do: 'restart' },
      { do: 'power cut', kept: 0, downFor: 1 },
      { do: 'restart' },
    ];
    await holds({
      ...calm,
      watch: { ...jobs(2), events: false },
      steps,
      fates: ['arrives', 'is lost'],
      lasts: [1],
    });
  });

  it('the clock is set back, and a file is dropped again while the watcher is down', async () => {
    const steps: Step[] = [
      drop('b'),
      pass(40_000),
      { do: 'power cut', kept: 0, downFor: 1 },
      { do: 'set clock', by: -24_998 },
      drop('b'),
    ];
    await holds({ ...calm, watch: { ...calm.watch, events: false }, steps });
  });
});

describe('any world', () => {
  it('crashes, power cuts, lost and repeated messages, clocks set back: one successful run each', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (one) => {
        const world = await play(one);
        expect(violations(world)).toEqual([]);
      }),
      { numRuns: Number(process.env['SIMULATIONS'] ?? 150) },
    );
  }, 600_000);
});

describe('a bug is found', () => {
  const plants: { readonly plant: Plant; readonly violation: RegExp }[] = [
    { plant: 'nothing is flushed', violation: /torn|twice|never done/ },
    { plant: 'every submit has a new id', violation: /twice|overlap/ },
    { plant: 'jobs count as done when they start', violation: /never done|overlap/ },
    { plant: 'jobs count as failed when they start', violation: /overlap/ },
    { plant: 'the agent forgets results at once', violation: /twice/ },
    { plant: 'markers are never removed', violation: /marker of a file that is gone/ },
    { plant: 'max_jobs is ignored', violation: /jobs in flight/ },
    { plant: 'retries never end', violation: /failures/ },
    { plant: 'quiet is not waited for', violation: /early: .*after/ },
    { plant: 'sentinels are not looked for', violation: /no sentinel/ },
    { plant: 'any set is complete', violation: /set is not complete/ },
  ];
  it('no intent is written', async () => {
    // ids are a function of the identity: only a file that changed while nobody knew of its job tells
    const forgetful: Scenario = {
      ...calm,
      watch: { ...jobs(1), updated: true },
      lasts: [20_000],
      steps: [drop('a'), pass(100), { do: 'rewrite', name: 'a', skew: 0 }, pass(60_000)],
    };
    const die = (world: World): void => world.dieAt('after agent.submit');
    expect(violations(await play(forgetful, die))).toEqual([]);
    expect(violations(await play(forgetful, die, 'no intent is written')).join()).toMatch(/overlap/);
  });

  it.for(plants)('$plant', { timeout: 600_000 }, async ({ plant, violation }) => {
    const property = fc.asyncProperty(scenario, async (one) => {
      const world = await play(one, undefined, plant);
      expect(violations(world).filter((text) => violation.test(text))).toEqual([]);
    });
    const found = await fc.check(property, { seed: 7, numRuns: 1000, endOnFailure: true });
    expect(found.failed).toBe(true);
  });
});
