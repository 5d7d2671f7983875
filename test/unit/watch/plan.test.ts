import { describe, expect, it } from 'vitest';
import type { WatchDefinition } from '../../../src/config/schema.js';
import { identityKey } from '../../../src/watch/identity.js';
import { hasRecordIn, noCounts, plan } from '../../../src/watch/plan.js';
import { unitIdentity } from '../../../src/watch/progress.js';
import {
  actionsOf,
  fileOf,
  filesOf,
  globs,
  inOrder,
  lists,
  nastyNames,
  nothing,
  NOW,
  record,
  single,
  spec,
  submitsOf,
  watchWith,
  World,
} from '../../support/watch-fixtures.js';

const worldOf = (over: Partial<WatchDefinition>, ...paths: string[]): World => {
  const watch = watchWith(over);
  return new World(watch, filesOf(watch, ...paths));
};

describe('plan', () => {
  it('submits the job for a new file, and nothing for a processed one', () => {
    const world = worldOf({ steps: [single('cat', '%(file)s')] }, 'a', 'b').mark('a', 0, 'done');
    expect(submitsOf(world.plan())).toMatchObject([
      {
        unit: { file: { path: 'b' } },
        step: 0,
        attempt: 1,
        reason: 'new',
        spec: { pool: 'p', args: ['cat', '/data/b'] },
      },
    ]);
  });

  it("runs the document's example: each step on the file that took its place", () => {
    const steps = [single('first'), single('second')];
    const world = worldOf({ steps }, '1').mark('1', 0, 'done');
    expect(actionsOf(world.plan())).toEqual([]);
    world.files = filesOf(world.watch, '1', '2');
    expect(actionsOf(world.plan())).toEqual(['submit 2 0', 'submit 1 1']);
    world.mark('2', 0, 'done').mark('1', 1, 'done');
    world.files = filesOf(world.watch, '1', '2', '3');
    // file[2] is beyond the entries: the last one is for all others, and it has run
    expect(actionsOf(world.plan())).toEqual(['submit 3 0', 'submit 2 1']);
  });

  it('counts files that are folded away beside the others', () => {
    const world = worldOf({}, 'a', 'b').mark('a', 0, 'done');
    const folded = { done: 10, failed: 200, killed: 3000, nothing: 40_000 };
    const { counts } = plan(world.watch, { ...world.input(), folded });
    expect(counts).toMatchObject({ files: 43_212, done: 11, failed: 200, killed: 3000, ready: 1 });
  });

  it('knows the file that stands for a set by the entries of a single spec, else by any', () => {
    const known = (steps: WatchDefinition['steps'], step: number): boolean => {
      const world = worldOf({ steps }, 'a').mark('a', step, 'done');
      return hasRecordIn(world.watch, world.input())('a');
    };
    const mixed = [single('x'), lists(spec(), spec())];
    expect([known(mixed, 0), known(mixed, 1)]).toEqual([true, false]);
    expect(known([lists(spec(), spec()), lists(spec(), spec())], 1)).toBe(true);
    const flying = worldOf({ steps: mixed }, 'a', 'b').fly('a', 0).fly('b', 1);
    expect(['a', 'b', 'c'].map(hasRecordIn(flying.watch, flying.input()))).toEqual([true, false, false]);
  });

  it('does nothing for empty specs, and marks files of lists with an empty one', () => {
    expect(actionsOf(worldOf({ steps: [nothing] }, 'a').plan())).toEqual([]);
    const made = worldOf(
      { lists: globs('*.foo', '*.bar'), steps: [lists(spec(), null)] },
      '1.foo',
      '1.bar',
    ).plan();
    expect(actionsOf(made)).toEqual(['submit 1.foo 0', 'mark 1.bar 0']);
  });

  it('submits nothing for a file whose job is in flight', () => {
    const made = worldOf({}, 'a', 'b').fly('a').plan();
    expect(actionsOf(made)).toEqual(['submit b 0']);
    expect(made.running.map((unit) => unit.file.path)).toEqual(['a']);
    expect(made.counts).toMatchObject({ files: 2, running: 1, ready: 1 });
  });

  it('takes names of any bytes', () => {
    const watch = watchWith({ steps: [single('cat', '%(filename)s')] });
    const world = new World(watch, filesOf(watch, ...nastyNames));
    const made = submitsOf(world.plan());
    expect(new Set(made.map(({ spec: { args } }) => args[1]))).toEqual(new Set(nastyNames));
    for (const {
      unit,
      spec: { args },
    } of made)
      expect(args[1]).toBe(unit.file.path);
  });

  it('one file that cannot be rendered is its own problem only', () => {
    const made = worldOf({ split: '.', steps: [single('cat', '%(2)s')] }, 'a.b', 'a.b.c', 'z').plan();
    expect(actionsOf(made)).toEqual(['submit a.b.c 0']);
    expect(made.waiting.map(({ file, rule }) => [file.path, rule])).toEqual([
      ['z', 'error'],
      ['a.b', 'error'],
    ]);
    expect(made.waiting[0]!.detail).toContain('part 2');
  });

  it('counts what it found', () => {
    const world = worldOf({ retries: 0 }, 'a', 'b', 'c', 'd', 'e')
      .mark('a', 0, 'done')
      .mark('b', 0, 'failed')
      .mark('c', 0, 'killed')
      .fly('d');
    const made = world.plan();
    expect(made.counts).toEqual({
      files: 5,
      waiting: 0,
      ready: 1,
      running: 1,
      done: 1,
      failed: 1,
      killed: 1,
      nextRetry: undefined,
    });
    expect(made.finished.map(({ file, memo }) => [file.path, memo.how, memo.last])).toEqual([
      ['c', 'killed', 0],
      ['b', 'failed', 0],
      ['a', 'done', 0],
    ]);
  });
});

describe('max_jobs', () => {
  it('bounds the jobs in flight; the first of the order come first', () => {
    const world = worldOf({ maxJobs: 3 }, 'a', 'b', 'c', 'd', 'e').fly('e');
    const made = world.plan();
    expect(actionsOf(made)).toEqual(['submit d 0', 'submit c 0']);
    expect(made.held).toBe(2);
    // all that could run now, with a place or without
    expect(made.counts).toMatchObject({ ready: 4, running: 1, waiting: 0 });
  });

  it('submits nothing when more are in flight than allowed (it was lowered)', () => {
    const world = worldOf({ maxJobs: 2 }, 'a');
    world.inFlightCount = 5;
    expect(actionsOf(world.plan())).toEqual([]);
  });

  it('counts submits of files that need no look before', () => {
    const closed = { ...watchWith().ready, closed: true };
    const world = worldOf({ maxJobs: 1, ready: closed }, 'a', 'b');
    // looks are cheap together, and are no jobs
    expect(actionsOf(world.plan())).toEqual(['probe closed b 0', 'probe closed a 0']);
    for (const file of world.files) {
      const identity = identityKey(unitIdentity({ file, list: 0, index: 0 }));
      world.evidence.set(file.path, { identity, openUntil: null });
    }
    expect(actionsOf(world.plan())).toEqual(['submit b 0']);
    world.inFlightCount = 1;
    world.evidence.clear();
    expect(actionsOf(world.plan())).toEqual([]);
  });

  it('is not used up by files that wait', () => {
    const world = worldOf({ maxJobs: 1 }, 'a', 'b').set('b', 0, {
      ...record('failed'),
      failedAttempts: 1,
      failedAt: NOW,
    });
    expect(actionsOf(world.plan())).toEqual(['submit a 0']);
  });
});

describe('looks', () => {
  const ready = watchWith().ready;
  const judged = (world: World, path: string): World =>
    world.evidence.set(path, {
      identity: identityKey(
        unitIdentity({ file: world.files.find((f) => f.path === path)!, list: 0, index: 0 }),
      ),
      openUntil: null,
    }) && world;

  it('go on for the next files when those before have taken every place', () => {
    const world = judged(worldOf({ maxJobs: 1, ready: { ...ready, closed: true } }, 'a', 'b'), 'b');
    expect(actionsOf(world.plan())).toEqual(['submit b 0', 'probe closed a 0']);
  });

  it('are bounded; the rest waits for its turn', () => {
    const names = Array.from({ length: 2001 }, (_, i) => `f${i}`);
    const made = worldOf({ ready: { ...ready, closed: true } }, ...names).plan();
    expect([made.actions.length, made.held]).toEqual([2000, 1]);
  });

  it('by a check command take a place of max_jobs each: it is a process', () => {
    const made = worldOf({ maxJobs: 2, ready: { ...ready, check: ['true'] } }, 'a', 'b', 'c').plan();
    expect(actionsOf(made)).toEqual(['probe check c 0', 'probe check b 0']);
    expect(made.held).toBe(1);
  });

  it('are not even considered while no job could be submitted', () => {
    const world = worldOf({ maxJobs: 1, ready: { ...ready, closed: true, stable: 5 } }, 'a');
    const evidence = (): never => {
      throw new Error('nobody should ask');
    };
    const made = plan(world.watch, { ...world.input(), inFlightCount: 1, evidence });
    expect([made.actions, made.held, made.waiting]).toEqual([[], 1, []]);
  });
});

describe('what waits', () => {
  const waiting = (over: Partial<WatchDefinition>, ...files: string[]) =>
    worldOf(over, ...files)
      .plan()
      .waiting.map(({ file, rule, detail }) => [file.path, rule, detail]);

  it('says which of the first are left alone, and what is beyond the last', () => {
    expect(waiting({ skip: 2 }, 'a', 'b', 'c')).toEqual([
      ['c', 'skip', 'index 0: the first 2 are left alone'],
      ['b', 'skip', 'index 1: the first 2 are left alone'],
    ]);
    expect(waiting({ maxIndex: 0 }, 'a', 'b')).toEqual([['a', 'max_index', 'index 1 is beyond 0']]);
  });

  it('has no time where only something else than time can change it', () => {
    const [beyond] = worldOf({ maxIndex: 0 }, 'a', 'b').plan().waiting;
    expect(beyond).not.toHaveProperty('until');
  });

  it('is left alone for a moment after its marker vanished: it may be about to be deleted', () => {
    const watch = watchWith();
    const world = new World(watch, [fileOf(watch, 'a', { quietUntil: NOW + 1 })]);
    expect(world.plan()).toMatchObject({
      actions: [],
      waiting: [{ rule: 'marker', detail: 'its marker was just removed', until: NOW + 1 }],
      wakeAt: NOW + 1,
    });
    world.now = NOW + 1;
    expect(actionsOf(world.plan())).toEqual(['submit a 0']);
  });

  it('counts as failed before its next attempt, and as waiting otherwise', () => {
    const failedAt = (seconds: number) => ({
      ...record('failed'),
      failedAttempts: 1,
      failedAt: NOW - seconds * 1000,
    });
    const world = worldOf({ maxIndex: 2 }, 'a', 'b', 'c', 'd')
      .set('d', 0, failedAt(10))
      .set('c', 0, failedAt(25))
      .set('b', 0, failedAt(5));
    const made = world.plan();
    expect(made.counts).toMatchObject({ waiting: 1, failed: 3, nextRetry: NOW + 5000 });
    expect(made.waiting[0]).toMatchObject({ rule: 'retry', detail: 'failed, attempt 2 follows' });
  });
});

it('the counts of no files are those of nothing', () => {
  expect(worldOf({}).plan().counts).toEqual(noCounts);
});

describe('live arrivals', () => {
  const watch = watchWith({ maxJobs: 10 });
  const backlog = Array.from({ length: 30 }, (_, i) => fileOf(watch, `z${i}`, { backlog: true }));

  it('go before the backlog, whatever the order', () => {
    const world = new World(watch, inOrder(watch, [...backlog, fileOf(watch, 'a')]));
    expect(actionsOf(world.plan())[0]).toBe('submit a 0');
  });

  it('find a free place though the backlog has taken all it can', () => {
    const world = new World(watch, inOrder(watch, backlog));
    const first = submitsOf(world.plan()).length;
    expect(first).toBe(9);
    world.inFlightCount = first;
    world.backlogInFlight = first;
    world.files = inOrder(watch, [...backlog, fileOf(watch, 'a')]);
    expect(actionsOf(world.plan())).toEqual(['submit a 0']);
  });

  it('keep their part of the places when the backlog could take it', () => {
    const world = new World(watch, inOrder(watch, backlog));
    world.inFlightCount = 9;
    world.backlogInFlight = 9;
    expect(actionsOf(world.plan())).toEqual([]);
  });

  it('take nothing from the part of the backlog', () => {
    const live = Array.from({ length: 5 }, (_, i) => fileOf(watch, `a${i}`));
    const made = submitsOf(new World(watch, inOrder(watch, [...backlog, ...live])).plan());
    expect(made.filter(({ unit }) => unit.file.backlog)).toHaveLength(5);
  });

  it('keep the index of the whole order', () => {
    const two = watchWith({ steps: [single(), single()], runAll: false });
    const files = inOrder(two, [fileOf(two, 'b', { backlog: true }), fileOf(two, 'a')]);
    expect(actionsOf(new World(two, files).plan())).toEqual(['submit a 1', 'submit b 0']);
  });

  it('may use every place that max_jobs 1 leaves', () => {
    const one = watchWith({ maxJobs: 1 });
    expect(actionsOf(new World(one, [fileOf(one, 'a', { backlog: true })]).plan())).toEqual(['submit a 0']);
  });
});

describe('wakeAt', () => {
  it('is never for a watch that waits for nothing', () => {
    expect(worldOf({}, 'a').mark('a', 0, 'done').plan().wakeAt).toBe(Infinity);
  });

  it('is the first of all moments at which time alone changes something', () => {
    const watch = watchWith({ minAge: 10, maxAge: 7200, ready: { ...watchWith().ready, stable: 4 } });
    const young = fileOf(watch, 'young', { times: { mtime: NOW - 3000 } });
    const unstable = fileOf(watch, 'unstable', { observedAt: NOW - 1000 });
    const failed = fileOf(watch, 'failed');
    const world = new World(watch, inOrder(watch, [young, unstable, failed])).set('failed', 0, {
      ...record('failed'),
      failedAttempts: 1,
      failedAt: NOW - 28_000,
    });
    const made = world.plan();
    expect(made.wakeAt).toBe(NOW + 2000);
    expect(made.counts.nextRetry).toBe(NOW + 2000);
    world.mark('failed', 0, 'done');
    expect(world.plan().wakeAt).toBe(NOW + 3000);
    world.files = [young];
    expect(world.plan().wakeAt).toBe(NOW + 7000);
    world.files = [failed];
    expect(world.plan().wakeAt).toBe(NOW + 3_600_000);
  });

  it('is exact: nothing happens a millisecond before, and something at it', () => {
    const watch = watchWith({ minAge: 10 });
    const world = new World(watch, [fileOf(watch, 'a', { times: { mtime: NOW - 1000 } })]);
    const at = world.plan().wakeAt;
    world.now = at - 1;
    expect(actionsOf(world.plan())).toEqual([]);
    world.now = at;
    expect(actionsOf(world.plan())).toEqual(['submit a 0']);
  });
});

describe('filesets', () => {
  const over = {
    lists: globs('*.foo', '*.bar'),
    split: '.',
    fileset: 1,
    steps: [single('cat', '%(fileset)s')],
  };

  it('get one job for the set, with the names of all', () => {
    const made = submitsOf(worldOf(over, 'a.foo', 'a.bar', 'b.foo').plan());
    expect(made).toMatchObject([
      { unit: { file: { path: 'a.foo' } }, spec: { args: ['cat', 'a.foo', 'a.bar'] } },
    ]);
  });

  it('are remembered as finished only where no other member can change that', () => {
    const memos = (more: Partial<WatchDefinition>) =>
      worldOf({ ...over, ...more }, 'a.foo', 'a.bar')
        .mark('a.foo', 0, 'done')
        .mark('a.bar', 0, 'done')
        .plan()
        .finished.map(({ file }) => file.path);
    expect(memos({})).toEqual(['a.foo']);
    expect(memos({ updated: true })).toEqual([]);
    expect(memos({ steps: [lists(spec(), spec())] })).toEqual(['a.foo']);
  });

  it('keep the file that stands for them when they ran before all were there', () => {
    const partial = { ...over, leastLists: 1 };
    expect(actionsOf(worldOf(partial, 'a.foo', 'a.bar').plan())).toEqual(['submit a.foo 0']);
    expect(actionsOf(worldOf(partial, 'a.foo', 'a.bar').mark('a.bar', 0, 'done').plan())).toEqual([]);
    expect(actionsOf(worldOf(partial, 'a.foo', 'a.bar').fly('a.bar').plan())).toEqual([]);
    const two = { ...partial, steps: [single(), single()] };
    const world = worldOf(two, 'a.foo', 'a.bar').mark('a.bar', 0, 'done');
    world.mark('a.bar', 1, 'done');
    expect(actionsOf(world.plan())).toEqual([]);
    expect(actionsOf(worldOf(two, 'a.foo', 'a.bar').mark('a.bar', 1, 'done').plan())).toEqual([
      'submit a.bar 0',
    ]);
  });

  it('with a spec for each list keep it, whichever members have run', () => {
    const partial = { ...over, leastLists: 1 };
    const own = { ...partial, steps: [lists(spec('foo'), spec('bar'))] };
    const names = ['a.1.foo', 'a.2.foo', 'a.1.bar', 'a.2.bar', 'b.foo'];
    const all = ['b.foo', 'a.2.foo', 'a.2.bar', 'a.1.bar', 'a.1.foo'].map((name) => `submit ${name} 0`);
    expect(actionsOf(worldOf(own, ...names).plan())).toEqual(all);
    for (const done of names) {
      const world = worldOf(own, ...names).mark(done, 0, 'done');
      expect(actionsOf(world.plan()).toSorted()).toEqual(
        all.filter((action) => !action.includes(done)).toSorted(),
      );
    }
    // the first list comes late
    const late = worldOf(own, 'a.foo', 'a.1.bar', 'a.2.bar')
      .mark('a.1.bar', 0, 'done')
      .mark('a.2.bar', 0, 'done');
    expect(actionsOf(late.plan())).toEqual(['submit a.foo 0']);
    expect(actionsOf(late.mark('a.foo', 0, 'done').plan())).toEqual([]);
  });

  it('keep the file that stands for them though another member has had a job of its own', () => {
    const steps = [single(), lists(spec('foo'), spec('bar'))];
    const world = worldOf({ ...over, leastLists: 1, steps }, 'a.foo', 'a.bar', 'b.foo');
    world.mark('a.foo', 0, 'done').mark('a.foo', 1, 'done').mark('a.bar', 1, 'done').mark('b.foo', 0, 'done');
    expect(actionsOf(world.plan())).toEqual([]);
    const flying = worldOf({ ...over, leastLists: 1, steps }, 'a.foo', 'a.bar', 'b.foo');
    flying.mark('a.foo', 0, 'done').mark('b.foo', 0, 'done').fly('a.bar', 1);
    expect(actionsOf(flying.plan())).toEqual(['submit a.foo 1']);
  });

  it('that wait say which list is missing', () => {
    const made = worldOf(over, 'b.foo').plan();
    expect(made.waiting).toMatchObject([{ rule: 'fileset', detail: 'set "b" is missing *.bar' }]);
  });
});
