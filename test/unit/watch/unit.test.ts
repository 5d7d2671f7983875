import { describe, expect, it } from 'vitest';
import type { WatchDefinition } from '../../../src/config/schema.js';
import { findUnits, stepOf, workOf, type Units } from '../../../src/watch/unit.js';
import {
  fileOf,
  filesOf,
  globs,
  inOrder,
  lists,
  nothing,
  NOW,
  single,
  spec,
  unitsOf,
  watchWith,
} from '../../support/watch-fixtures.js';

const found = (over: Partial<WatchDefinition>, ...paths: string[]): string[] =>
  unitsOf(watchWith(over), ...paths).map(({ file, list, index }) => `${file.path} ${list} ${index}`);

describe('the index', () => {
  it('is the position in the order: newest first, in byte order', () => {
    expect(found({}, '20200101', '20200103', '20200102')).toEqual([
      '20200103 0 0',
      '20200102 0 1',
      '20200101 0 2',
    ]);
    expect(found({}, 'ü', '\udcff', 'Z', 'a')).toEqual(['\udcff 0 0', 'ü 0 1', 'a 0 2', 'Z 0 3']);
  });

  it('is the other way round with reverse', () => {
    expect(found({ reverse: true }, '20200101', '20200102')).toEqual(['20200101 0 0', '20200102 0 1']);
  });

  it('counts each list by itself', () => {
    expect(found({ lists: globs('*.foo', '*.bar') }, '1.foo', '2.foo', '2.bar', '1.bar')).toEqual([
      '2.foo 0 0',
      '2.bar 1 0',
      '1.foo 0 1',
      '1.bar 1 1',
    ]);
  });

  it('counts a file of two lists in both, and processes it with the first', () => {
    expect(found({ lists: globs('a*', '*.bar') }, 'c.bar', 'a.bar', 'b.bar', 'Z.bar', 'a.foo')).toEqual([
      'c.bar 1 0',
      'b.bar 1 1',
      'a.foo 0 0',
      'a.bar 0 1',
      'Z.bar 1 3',
    ]);
  });

  it('counts only files that the age rules let through', () => {
    const watch = watchWith({ minAge: 10, maxAge: 100 });
    const file = (path: string, age: number) => fileOf(watch, path, { times: { mtime: NOW - age * 1000 } });
    const files = inOrder(watch, [file('d', 5), file('c', 50), file('b', 500), file('a', 20)]);
    const made = findUnits(watch, files, NOW);
    expect(made.units.map(({ file: { path }, index }) => [path, index])).toEqual([
      ['c', 0],
      ['a', 1],
    ]);
    expect(made.waiting.map(({ file: { path }, rule, until }) => [path, rule, until])).toEqual([
      ['d', 'min_age', NOW + 5000],
      ['b', 'max_age', undefined],
    ]);
    // the first to change: d becomes old enough
    expect(made.changesAt).toBe(NOW + 5000);
    expect(findUnits(watch, inOrder(watch, [file('c', 50)]), NOW).changesAt).toBe(NOW + 50_000);
  });

  it('says what is too young and what too old', () => {
    const watch = watchWith({ minAge: 10, maxAge: 100 });
    const file = (path: string, age: number) => fileOf(watch, path, { times: { mtime: NOW - age * 1000 } });
    expect(findUnits(watch, [file('a', 5), file('b', 500)], NOW).waiting.map(({ detail }) => detail)).toEqual(
      ['younger than 10 s', 'mtime is older than 100 s'],
    );
  });

  it('leaves out what is too old also without min_age', () => {
    const watch = watchWith({ maxAge: 100 });
    const old = fileOf(watch, 'a', { times: { mtime: NOW - 101_000 } });
    expect(findUnits(watch, [old], NOW)).toMatchObject({ units: [], waiting: [{ rule: 'max_age' }] });
  });

  it('counts files that a memo says need nothing more', () => {
    const watch = watchWith();
    const memo = { finished: { last: 0, how: 'failed' } } as const;
    const files = inOrder(watch, [fileOf(watch, 'b', memo), fileOf(watch, 'a')]);
    const made: Units = findUnits(watch, files, NOW);
    expect(made.units).toMatchObject([{ file: { path: 'a' }, index: 1 }]);
    expect(made.finished).toEqual({ done: 0, failed: 1, killed: 0, nothing: 0 });
  });

  it('does not believe a memo of another step', () => {
    const watch = watchWith({ steps: [single(), single()] });
    const memo = { finished: { last: 0, how: 'done' } } as const;
    const files = inOrder(watch, [fileOf(watch, 'b'), fileOf(watch, 'a', memo)]);
    expect(findUnits(watch, files, NOW).units).toHaveLength(2);
  });
});

describe('filesets', () => {
  const over = { lists: globs('*.foo', '*.bar'), split: '.', fileset: 1 };

  it('index complete sets only', () => {
    const watch = watchWith(over);
    const made = findUnits(watch, filesOf(watch, 'c.foo', 'b.foo', 'b.bar', 'a.foo', 'a.bar'), NOW);
    expect(made.units.map(({ file, index }) => [file.path, index])).toEqual([
      ['b.foo', 0],
      ['a.foo', 1],
    ]);
    expect(made.waiting).toMatchObject([
      { file: { path: 'c.foo' }, rule: 'fileset', detail: expect.stringContaining('*.bar') as string },
    ]);
  });

  it('are not processed until they are complete, unless partial says how many lists are enough', () => {
    const watch = watchWith({ ...over, lists: globs('*.foo', '*.bar', '*.baz') });
    const files = filesOf(watch, 'a.foo', 'a.baz');
    expect(findUnits(watch, files, NOW).units).toEqual([]);
    expect(findUnits({ ...watch, leastLists: 2 }, files, NOW).units).toHaveLength(1);
  });

  it('say of a file whose name cannot be joined that it waits', () => {
    const watch = watchWith({ ...over, fileset: 3 });
    expect(findUnits(watch, filesOf(watch, 'a.foo'), NOW).waiting).toMatchObject([{ rule: 'fileset' }]);
  });

  it('say which lists they lack, and which names cannot be joined', () => {
    const watch = watchWith({ ...over, fileset: 2, lists: globs('*.foo', '*.bar', '*.baz') });
    expect(findUnits(watch, filesOf(watch, 'a.1.foo', 'foo.'), NOW).waiting).toMatchObject([
      { detail: 'set "a.1" is missing *.bar, *.baz', missing: ['*.bar', '*.baz'] },
    ]);
    const three = watchWith({ ...over, fileset: 3 });
    expect(findUnits(three, filesOf(three, 'a.foo'), NOW).waiting).toMatchObject([
      { detail: 'its name has too few parts to join a set' },
    ]);
  });

  it('are judged by the age of every member', () => {
    const watch = watchWith({ ...over, minAge: 10 });
    const young = fileOf(watch, 'a.bar', { times: { mtime: NOW - 1000 } });
    expect(findUnits(watch, [fileOf(watch, 'a.foo'), young], NOW).units).toEqual([]);
    expect(findUnits(watch, [fileOf(watch, 'a.foo'), young], NOW + 10_000).units).toHaveLength(1);
  });

  it('with a spec for each list give the members jobs of their own, once', () => {
    const steps = [lists(spec('foo'), spec('bar'))];
    expect(found({ ...over, steps }, 'a.foo', 'a.bar')).toEqual(['a.foo 0 0', 'a.bar 1 0']);
    // two sets share the member
    expect(found({ ...over, steps }, 'a.1.foo', 'a.2.foo', 'a.bar')).toEqual([
      'a.2.foo 0 0',
      'a.bar 1 0',
      'a.1.foo 0 1',
    ]);
    expect(found({ ...over, steps: [single()] }, 'a.foo', 'a.bar')).toEqual(['a.foo 0 0']);
  });

  it('with a spec for each list and without the first list give each file of the others the spec of its list', () => {
    const three = { ...over, lists: globs('*.foo', '*.bar', '*.baz'), leastLists: 1 };
    const steps = [lists(spec('foo'), spec('bar'), spec('baz'))];
    expect(found({ ...three, steps }, 'a.1.bar', 'a.2.bar', 'a.1.baz', 'a.2.baz')).toEqual([
      'a.2.bar 1 0',
      'a.1.bar 1 0',
      'a.2.baz 2 0',
      'a.1.baz 2 0',
    ]);
    expect(found({ ...three, steps }, 'a.1.baz', 'a.2.baz')).toEqual(['a.2.baz 2 0', 'a.1.baz 2 0']);
    // one spec is for the set
    expect(found({ ...three, steps: [single()] }, 'a.1.bar', 'a.2.bar')).toEqual(['a.2.bar 1 0']);
  });
});

describe('stepOf', () => {
  it('is the index, at most the last entry', () => {
    const watch = watchWith({ steps: [single(), single(), single()] });
    expect([0, 1, 2, 3, 9].map((index) => stepOf(watch, { index }))).toEqual([0, 1, 2, 2, 2]);
  });

  it('starts after the skipped ones', () => {
    const watch = watchWith({ steps: [single(), single()], skip: 2 });
    expect([2, 3, 4].map((index) => stepOf(watch, { index }))).toEqual([0, 1, 1]);
    expect(stepOf(watch, { index: 1 })).toBeLessThan(0);
  });
});

describe('workOf', () => {
  const watch = watchWith({
    lists: globs('*.foo', '*.bar', '*.baz'),
    steps: [single('a'), nothing, lists(spec('foo'), spec('bar')), lists(spec('foo'), null)],
  });
  const work = (path: string, step: number) => {
    const [unit] = unitsOf(watch, path);
    return workOf(watch, unit!, step);
  };

  it('a single spec is for the files of every list', () => {
    for (const path of ['a.foo', 'a.bar', 'a.baz'])
      expect(work(path, 0)).toEqual({ kind: 'job', spec: spec('a') });
  });

  it('an empty spec means nothing to do', () => {
    expect(work('a.foo', 1)).toEqual({ kind: 'nothing' });
  });

  it('a list of specs has one for each list, the last for any further', () => {
    expect(work('a.foo', 2)).toEqual({ kind: 'job', spec: spec('foo') });
    expect(work('a.bar', 2)).toEqual({ kind: 'job', spec: spec('bar') });
    expect(work('a.baz', 2)).toEqual({ kind: 'job', spec: spec('bar') });
  });

  it('an empty spec in a list marks the files as processed', () => {
    expect(work('a.foo', 3)).toMatchObject({ kind: 'job' });
    expect(work('a.bar', 3)).toEqual({ kind: 'mark' });
    expect(work('a.baz', 3)).toEqual({ kind: 'mark' });
  });

  it('in a set, a shorter list of specs has none for the members of further lists', () => {
    const steps = [lists(spec('foo'), spec('bar')), lists(spec('only'))];
    const sets = watchWith({ lists: globs('*.foo', '*.bar'), split: '.', fileset: 1, steps });
    const [foo, bar] = unitsOf(sets, 'a.foo', 'a.bar');
    expect([workOf(sets, foo!, 1), workOf(sets, bar!, 1)]).toEqual([
      { kind: 'job', spec: spec('only') },
      { kind: 'nothing' },
    ]);
  });

  it('in a set, a single spec runs once, for the file that stands for it', () => {
    const sets = watchWith({
      lists: globs('*.foo', '*.bar'),
      split: '.',
      fileset: 1,
      steps: [single('a'), lists(spec('foo'), spec('bar'))],
    });
    const [foo, bar] = unitsOf(sets, 'a.foo', 'a.bar');
    expect(workOf(sets, foo!, 0).kind).toBe('job');
    expect(workOf(sets, bar!, 0).kind).toBe('nothing');
    expect(workOf(sets, bar!, 1)).toEqual({ kind: 'job', spec: spec('bar') });
  });
});
