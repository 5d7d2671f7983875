import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JobStep, WatchDefinition } from '../../src/config/schema.js';
import { joinFilesets } from '../../src/watch/fileset.js';
import { markerStates, markerStem, parseMarkerName } from '../../src/watch/marker-name.js';
import type { Finished, ObservedFile } from '../../src/watch/observation.js';
import { unitIdentity } from '../../src/watch/progress.js';
import type { StepRecord } from '../../src/watch/record.js';
import { findUnits } from '../../src/watch/unit.js';
import {
  actionsOf,
  fileOf,
  filesOf,
  globs,
  identityWith,
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
} from '../support/watch-fixtures.js';

const fileName = fc
  .array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 255 })
  .map((bytes) => String.fromCharCode(...bytes).replaceAll('/', '_'));

describe('marker names', () => {
  const watchName = fc.oneof(
    fc.constantFrom('w', 'a', 'a_0', 'a.b', 'x_1_2', 'done'),
    fc.string({ minLength: 1, maxLength: 30 }).map((name) => name.replaceAll('/', '_')),
  );

  it('parsing undoes writing', () => {
    fc.assert(
      fc.property(
        watchName.filter((name) => /^[\u0001-\u00ff]*$/.test(name)),
        fc.nat({ max: 1000 }),
        fileName,
        fc.constantFrom(...markerStates),
        (watch, step, file, state) => {
          const stem = markerStem(watch, step, file);
          const name = `${stem}.${state}`;
          expect(`${name}.tmp`.length).toBeLessThanOrEqual(255);
          const parsed = parseMarkerName(watch, name);
          expect(parsed).toMatchObject({ stem, step, state });
          if (`${watch}${step}${file}`.length < 200) expect(parsed!.file).toBe(file);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('different files and steps have different markers', () => {
    fc.assert(
      fc.property(fileName, fileName, fc.nat({ max: 3 }), fc.nat({ max: 3 }), (a, b, i, j) => {
        expect(markerStem('w', i, a) === markerStem('w', j, b)).toBe(a === b && i === j);
      }),
    );
  });

  it('parsing is total', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((tail) => `._w_${tail}`),
          fileName.map((tail) => `._w_0_${tail}`),
        ),
        (name) => {
          const parsed = parseMarkerName('w', name);
          if (parsed !== undefined) expect(name).toBe(`._w_${parsed.step}_${parsed.file}.${parsed.state}`);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

const step: fc.Arbitrary<JobStep> = fc.constantFrom(
  single('one'),
  single('one', '%(filename)s'),
  single('cat', '%(1)s'),
  nothing,
  lists(spec('foo'), spec('bar')),
  lists(spec('foo'), null),
  lists(null),
);
const sometimes = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });

const anyWatch = (filesets: boolean): fc.Arbitrary<WatchDefinition> =>
  fc
    .record({
      globs: fc.constantFrom(['*'], ['*.foo', '*.bar'], ['*.foo', '*.bar', '*'], ['a*', '*.bar']),
      reverse: fc.boolean(),
      skip: fc.constantFrom(0, 0, 0, 1, 2),
      updated: fc.boolean(),
      retries: fc.constantFrom(0, 1, Infinity),
      runAll: fc.boolean(),
      minAge: fc.constantFrom(0, 0, 10),
      maxAge: sometimes(fc.constant(5000)),
      maxIndex: sometimes(fc.nat({ max: 3 })),
      maxJobs: fc.constantFrom(1, 2, 3, 1000),
      cleanup: fc.boolean(),
      steps: fc.array(step, { minLength: 1, maxLength: 4 }),
      fileset: filesets ? sometimes(fc.integer({ min: 1, max: 2 })) : fc.constant(undefined),
      partial: fc.boolean(),
      closed: fc.constantFrom(false, false, true),
    })
    .map(({ globs: patterns, partial, closed, ...rest }) =>
      watchWith({
        ...rest,
        lists: globs(...patterns),
        split: '.',
        leastLists: partial ? 1 : patterns.length,
        ready: { stable: undefined, sentinel: undefined, check: undefined, closed },
      }),
    );

const name = fc.oneof(
  fc.constantFrom(...nastyNames),
  fc
    .tuple(fc.constantFrom('a', 'a.1', 'a.10', 'b', 'b.1', 'c'), fc.constantFrom('foo', 'bar', 'baz'))
    .map((parts) => parts.join('.')),
);
const age = fc.constantFrom(1, 5, 20, 3600, 6000, -100);
const known: fc.Arbitrary<StepRecord> = fc
  .record({
    states: fc.subarray([...markerStates]),
    failedAttempts: fc.integer({ min: 1, max: 3 }),
    ago: fc.constantFrom(0, 20, 100, 10_000),
    mtime: sometimes(fc.constantFrom(1, 5, 3600)),
    inode: fc.constantFrom(7, 7, 8),
  })
  .map(({ states, failedAttempts, ago, mtime, inode }) => ({
    states: new Set(states),
    ...(states.includes('failed') && { failedAttempts, failedAt: NOW - ago * 1000 }),
    ...(mtime !== undefined && { identity: identityWith({ mtime: NOW - mtime * 1000, inode }) }),
  }));

interface Situation {
  readonly world: World;
  readonly all: readonly ObservedFile[];
}
const situation: fc.Arbitrary<Situation> = anyWatch(true).chain((watch) =>
  fc
    .record({
      names: fc.uniqueArray(
        fc.record({
          name,
          age,
          backlog: fc.boolean(),
          replaced: fc.boolean(),
          flying: fc.constantFrom(0, 0, 0, 1),
        }),
        { selector: (file) => file.name, maxLength: 14 },
      ),
      records: fc.array(known, { maxLength: 20 }),
      inFlightElsewhere: fc.nat({ max: 3 }),
    })
    .map(({ names, records, inFlightElsewhere }) => {
      const all = names.map((file) =>
        fileOf(watch, file.name, {
          times: { mtime: NOW - file.age * 1000 },
          observedAt: NOW,
          backlog: file.backlog,
          replaced: file.replaced,
        }),
      );
      const world = new World(watch, inOrder(watch, all));
      records.forEach((state, i) => {
        const file = names[i % Math.max(names.length, 1)];
        if (file !== undefined) world.set(file.name, i % watch.steps.length, state);
      });
      for (const file of names) if (file.flying === 1) world.fly(file.name);
      world.inFlightCount = world.flying.size + inFlightElsewhere;
      return { world, all };
    }),
);

describe('the planner, in any situation', () => {
  it('never submits twice for one path, never beyond max_jobs, never for a job in flight', () => {
    fc.assert(
      fc.property(situation, ({ world }) => {
        const made = world.plan();
        const submits = submitsOf(made);
        const paths = made.actions.map((action) => action.unit.file.path);
        expect(new Set(paths).size).toBe(paths.length);
        expect(submits.length).toBeLessThanOrEqual(
          Math.max(0, world.watch.maxJobs - world.input().inFlightCount),
        );
        for (const path of paths) expect(world.flying.has(path)).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  it('never submits a processed file, but as updated or replaced', () => {
    fc.assert(
      fc.property(situation, ({ world }) => {
        for (const { unit, step: n, reason, attempt } of submitsOf(world.plan())) {
          const { states, failedAttempts } = world.recordOf(unit.file.path, n);
          const final =
            states.has('done') ||
            states.has('killed') ||
            (states.has('failed') && (failedAttempts ?? 1) > world.watch.retries);
          if (final) expect(['updated', 'replaced']).toContain(reason);
          if (reason === 'updated') expect([world.watch.updated, n]).toEqual([true, 0]);
          if (reason === 'replaced') expect(world.watch.cleanup).toBe(true);
          expect(attempt > 1).toBe(reason === 'retry');
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('obeys skip, max_index and the step of the index', () => {
    fc.assert(
      fc.property(situation, ({ world }) => {
        const { watch } = world;
        for (const { unit, step: n, reason } of submitsOf(world.plan())) {
          expect(unit.index).toBeGreaterThanOrEqual(watch.skip);
          expect(n).toBeLessThanOrEqual(Math.min(unit.index - watch.skip, watch.steps.length - 1));
          expect(unit.index).toBeLessThanOrEqual(watch.maxIndex ?? Infinity);
          if (!watch.runAll && reason !== 'updated')
            expect(n).toBe(Math.min(unit.index - watch.skip, watch.steps.length - 1));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('comes in the order of the watch, live files before the backlog', () => {
    fc.assert(
      fc.property(situation, ({ world }) => {
        const submitted = submitsOf(world.plan()).map(({ unit }) => unit);
        submitted.slice(1).forEach((unit, i) => {
          const before = submitted[i]!;
          expect(Number(before.file.backlog)).toBeLessThanOrEqual(Number(unit.file.backlog));
          if (before.file.backlog === unit.file.backlog && before.list === unit.list)
            expect(before.index).toBeLessThanOrEqual(unit.index);
        });
      }),
    );
  });

  it('is a function of its input, and changes nothing of it', () => {
    fc.assert(
      fc.property(situation, ({ world }) => {
        const before = JSON.stringify([...world.records].map(([key, value]) => [key, [...value.states]]));
        const first = world.plan();
        expect(world.plan()).toEqual(first);
        expect(JSON.stringify([...world.records].map(([key, value]) => [key, [...value.states]]))).toBe(
          before,
        );
      }),
    );
  });

  it('leaves no file of a watch without filesets unaccounted for', () => {
    fc.assert(
      fc.property(situation, ({ world }) => {
        const made = world.plan();
        if (world.watch.fileset !== undefined) return;
        const acted = made.actions.length + made.running.length + made.held;
        // what waits for its next attempt counts as failed
        const { files, waiting, done, failed, killed } = made.counts;
        const nothingToDo = made.finished.filter(({ memo }) => memo.how === 'nothing').length;
        expect(acted + waiting + done + failed + killed + nothingToDo).toBe(files);
      }),
      { numRuns: 2000 },
    );
  });

  it('wakes up no later than the first change that time alone brings', () => {
    fc.assert(
      fc.property(situation, fc.integer({ min: 1, max: 7200 }), ({ world }, seconds) => {
        const made = world.plan();
        world.now = NOW + seconds * 1000;
        if (made.wakeAt <= world.now) return;
        expect(actionsOf(world.plan())).toEqual(actionsOf(made));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the fixpoint of instant jobs', () => {
  const plain = fc.record({
    names: fc.uniqueArray(name, { maxLength: 12 }),
    steps: fc.integer({ min: 1, max: 4 }),
    skip: fc.constantFrom(0, 0, 1),
    maxJobs: fc.constantFrom(1, 2, 1000),
    maxIndex: sometimes(fc.nat({ max: 5 })),
    reverse: fc.boolean(),
    backlog: fc.boolean(),
  });

  it('has run steps 0 to the index of every eligible file exactly once, in sequence', () => {
    fc.assert(
      fc.property(plain, ({ names, steps, backlog, ...over }) => {
        const watch = watchWith({
          ...over,
          steps: Array.from({ length: steps }, (_, n) => single(String(n))),
        });
        const files = inOrder(
          watch,
          names.map((path) => fileOf(watch, path, { backlog })),
        );
        const world = new World(watch, files);
        const ran = runAll(world);
        files.forEach(({ path }, index) => {
          const last = Math.min(index - watch.skip, steps - 1);
          const expected = index > (watch.maxIndex ?? Infinity) ? -1 : last;
          expect(ran.get(path) ?? [], path).toEqual(Array.from({ length: expected + 1 }, (_, n) => n));
        });
      }),
      { numRuns: 500 },
    );
  });

  it('is the same when the files arrive one by one, newest last', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 4 }), (count, steps) => {
        const watch = watchWith({ steps: Array.from({ length: steps }, (_, n) => single(String(n))) });
        const world = new World(watch, []);
        const names = Array.from({ length: count }, (_, i) => `f${String(i).padStart(3, '0')}`);
        const total = new Map<string, number[]>();
        names.forEach((_, i) => {
          world.files = filesOf(watch, ...names.slice(0, i + 1));
          for (const [path, ran] of runAll(world)) total.set(path, [...(total.get(path) ?? []), ...ran]);
        });
        names.forEach((path, i) => {
          const last = Math.min(count - 1 - i, steps - 1);
          expect(total.get(path)).toEqual(Array.from({ length: last + 1 }, (__, n) => n));
        });
      }),
      { numRuns: 200 },
    );
  });

  /** Makes plans and takes every submit as done at once, until none is left. @returns the steps that ran, by path */
  function runAll(world: World): Map<string, number[]> {
    const ran = new Map<string, number[]>();
    for (let round = 0; round < 1000; round++) {
      const submits = submitsOf(world.plan());
      if (submits.length === 0) return ran;
      for (const { unit, step: n, identity } of submits) {
        ran.set(unit.file.path, [...(ran.get(unit.file.path) ?? []), n]);
        world.set(unit.file.path, n, { ...record('done'), identity });
      }
    }
    throw new Error('no fixpoint');
  }
});

type Event =
  | { readonly kind: 'drop' | 'delete' | 'touch' | 'replace'; readonly name: string }
  | { readonly kind: 'end'; readonly pick: number; readonly state: 'done' | 'failed' | 'killed' }
  | { readonly kind: 'unmark'; readonly name: string }
  | { readonly kind: 'wait'; readonly seconds: number };
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('drop' as const), name }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('delete', 'touch', 'replace'), name }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      pick: fc.nat(),
      state: fc.constantFrom('done', 'done', 'failed', 'killed'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unmark' as const), name }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 4000 }) }),
  },
);

/** Files with memos, kept as the observer keeps them: until the file or its records change. */
class Life {
  readonly #files = new Map<string, ObservedFile>();
  readonly #world: World;
  #inode = 100;

  constructor(readonly watch: WatchDefinition) {
    this.#world = new World(watch, []);
  }

  /** The plan of files with memos and of the same files without. */
  plans(): { withMemos: string[]; without: string[] } {
    const files = inOrder(this.watch, [...this.#files.values()]);
    this.#world.files = files.map((file) => ({ ...file, finished: undefined }));
    const without = actionsOf(this.#world.plan());
    this.#world.files = files;
    const made = this.#world.plan();
    for (const { file, memo } of made.finished) this.#finish(file.path, memo);
    for (const action of submitsOf(made)) {
      const { unit, step: n, identity, attempt, reason } = action;
      if (reason === 'replaced') this.#forget(unit.file.path);
      this.#world.flying.set(unit.file.path, { step: n, identity, attempt, jobId: '' });
    }
    for (const action of made.actions)
      if (action.kind === 'mark')
        this.#write(action.unit.file.path, action.step, {
          ...record('done'),
          identity: unitIdentity(action.unit),
        });
    return { withMemos: actionsOf(made), without };
  }

  apply(happened: Event): void {
    const { flying } = this.#world;
    if (happened.kind === 'wait') this.#world.now += happened.seconds * 1000;
    else if (happened.kind === 'end') {
      const [path, job] = [...flying][happened.pick % Math.max(flying.size, 1)] ?? [];
      if (path === undefined || job === undefined) return;
      flying.delete(path);
      this.#write(path, job.step, {
        ...record(happened.state),
        identity: job.identity,
        ...(happened.state === 'failed' && { failedAttempts: job.attempt, failedAt: this.#world.now }),
      });
    } else this.#change(happened.kind, happened.name);
  }

  #change(kind: 'drop' | 'delete' | 'touch' | 'replace' | 'unmark', path: string): void {
    const before = this.#files.get(path);
    const times = { mtime: this.#world.now - 20_000 - this.#inode, inode: ++this.#inode };
    if (kind === 'drop' && before === undefined)
      this.#files.set(path, fileOf(this.watch, path, { times, observedAt: times.mtime }));
    if (before === undefined) return;
    const inode = Number(before.stat.inode);
    if (kind === 'delete') {
      this.#files.delete(path);
      this.#forget(path);
    }
    if (kind === 'touch' || kind === 'replace')
      this.#files.set(
        path,
        fileOf(this.watch, path, {
          times: kind === 'touch' ? { ...times, inode } : times,
          replaced: before.replaced || kind === 'replace',
        }),
      );
    if (kind === 'unmark') {
      this.#world.records.delete(`${path}\u00000`);
      this.#finish(path, undefined);
    }
  }

  #forget(path: string): void {
    this.watch.steps.forEach((_, n) => this.#world.records.delete(`${path}\0${n}`));
    const file = this.#files.get(path);
    if (file !== undefined) this.#files.set(path, { ...file, replaced: false, finished: undefined });
  }

  #write(path: string, n: number, result: StepRecord): void {
    this.#world.set(path, n, result);
  }

  #finish(path: string, finished: Finished | undefined): void {
    const file = this.#files.get(path);
    if (file !== undefined) this.#files.set(path, { ...file, finished });
  }
}

describe('memos', () => {
  const live = (watch: WatchDefinition, events: readonly Event[]): void => {
    const life = new Life(watch);
    for (const happened of events) {
      life.apply(happened);
      const { withMemos, without } = life.plans();
      expect(withMemos).toEqual(without);
    }
  };

  it('never change what is done', () => {
    fc.assert(fc.property(anyWatch(false), fc.array(event, { maxLength: 60, size: 'max' }), live), {
      numRuns: 1500,
    });
  });

  it('never change what is done with sets', () => {
    // `updated` sets: observer.test.ts, with real files, since there a change of a member concerns its key file
    const watch = anyWatch(true).map((any) => ({ ...any, fileset: 1, updated: false }));
    fc.assert(fc.property(watch, fc.array(event, { maxLength: 60, size: 'max' }), live), { numRuns: 1500 });
  });
});

describe('filesets', () => {
  const names = fc.uniqueArray(name, { maxLength: 14 });
  const watch = fc
    .record({
      globs: fc.constantFrom(['*.foo', '*.bar'], ['*.foo', '*.bar', '*.baz'], ['*', '*.bar']),
      fileset: fc.integer({ min: 1, max: 3 }),
      reverse: fc.boolean(),
    })
    .map(({ globs: patterns, ...rest }) => watchWith({ ...rest, lists: globs(...patterns), split: '.' }));

  it('are what comparing every file with every other gives', () => {
    fc.assert(
      fc.property(watch, names, (w, paths) => {
        const files = filesOf(w, ...paths);
        const sets = joinFilesets(w, files).map(({ keyFile, members }) => ({
          key: keyFile.path,
          members: members.map((list) => list.map((file) => file.path)),
        }));
        expect(sets).toEqual(bruteForce(w, files));
      }),
      { numRuns: 1000 },
    );
  });

  it('index complete sets in the order of their key files', () => {
    fc.assert(
      fc.property(watch, names, (w, paths) => {
        const files = filesOf(w, ...paths);
        const complete = bruteForce(w, files).filter(({ members }) =>
          members.every((list) => list.length > 0),
        );
        const { units } = findUnits(w, files, NOW);
        expect(units.map(({ file, index }) => [file.path, index])).toEqual(
          complete.map(({ key }, index) => [key, index]),
        );
      }),
    );
  });

  function bruteForce(w: WatchDefinition, files: readonly ObservedFile[]) {
    const parts = w.fileset as number;
    const joins = (a: ObservedFile, b: ObservedFile): boolean => {
      const [x, y] = [a.selection.parts, b.selection.parts];
      return x.length >= parts && y.length >= parts && x.slice(0, parts).every((part, i) => part === y[i]);
    };
    return files.flatMap((file) => {
      if (file.selection.parts.length < parts) return [];
      const members = w.lists.map((_, list) =>
        files.filter((other) => other.selection.lists.includes(list) && joins(file, other)),
      );
      const isFirst = file.selection.lists.includes(0);
      if (!isFirst && (members[0]!.length > 0 || members.find((list) => list.length > 0)![0] !== file))
        return [];
      if (isFirst) members[0] = [file];
      return [{ key: file.path, members: members.map((list) => list.map((member) => member.path)) }];
    });
  }
});
