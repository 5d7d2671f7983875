import { describe, expect, it } from 'vitest';
import { editDistance, nearest } from '../../../src/config/nearest.js';
import { mergeMappings, resolve, splitKey } from '../../../src/config/merge.js';
import { parse } from '../../../src/config/parse.js';
import { formatProblem, type Problem } from '../../../src/config/problem.js';
import { locate, toPlain } from '../../../src/config/tree.js';

const tree = (value: unknown, file = 'a.json') => parse(Buffer.from(JSON.stringify(value)), file).tree!;

function merged(...values: unknown[]) {
  const problems: Problem[] = [];
  const all = values.map((value, i) => tree(value, `${i}.json`)).reduce(mergeMappings);
  return { value: toPlain(resolve(all, [], problems)), problems: problems.map(formatProblem) };
}

describe('merge', () => {
  it.each([
    ['mappings key by key', [{ a: { b: 1, c: 2 } }, { a: { c: 3 } }], { a: { b: 1, c: 3 } }],
    [
      'lists and values replace',
      [
        { a: [1, 2], b: 1 },
        { a: [3], b: [4] },
      ],
      { a: [3], b: [4] },
    ],
    ['!key deletes', [{ a: 1, b: 2 }, { '!a': null }], { b: 2 }],
    [
      '!key with the key beside it replaces a mapping',
      [{ a: { b: 1 } }, { '!a': 0, a: { c: 2 } }],
      { a: { c: 2 } },
    ],
    ['+key appends', [{ a: [1] }, { '+a': [2] }], { a: [1, 2] }],
    ['key+ prepends', [{ a: [1] }, { 'a+': [2] }], { a: [2, 1] }],
    ['-key removes items', [{ a: [1, { b: 1 }, 3] }, { '-a': [{ b: 1 }, 3] }], { a: [1] }],
    ['-key removes keys of a mapping', [{ a: { b: 1, c: 2 } }, { '-a': 'b' }], { a: { c: 2 } }],
    ['a single value is a list of one', [{ a: 1 }, { '+a': 2 }], { a: [1, 2] }],
    ['operators compose', [{ a: 1 }, { '+a': 2 }, { 'a+': 0 }, { '-a': 1 }], { a: [0, 2] }],
    ['in one mapping the order of keys is nothing', [{ a: 1 }, { '+a': 3, a: 2 }], { a: [2, 3] }],
    ['+key without a base', [{ '+a': 'x' }], { a: ['x'] }],
    ['+key on a mapping merges', [{ a: { b: 1 } }, { '+a': { c: 2 } }], { a: { b: 1, c: 2 } }],
    ['a later value ends what came before', [{ a: 1 }, { '+a': 2 }, { a: 3 }], { a: 3 }],
    [
      'operators inside deleted things are gone',
      [{ a: { b: 1 } }, { '!a': 1 }, { a: { '+b': 2 } }],
      { a: { b: [2] } },
    ],
    ['a lone operator is a key', [{ '+': 1, '!': 2, '-': 3 }], { '+': 1, '!': 2, '-': 3 }],
  ])('%s', (_, values, expected) => {
    expect(merged(...values)).toEqual({ value: expected, problems: [] });
  });

  it('keeps an operator until its base comes under it', () => {
    const over = mergeMappings(tree({ '+a': [2] }), tree({ '+a': [3] }));
    expect(toPlain(resolve(mergeMappings(tree({ a: [1] }), over)))).toEqual({ a: [1, 2, 3] });
  });

  it('keeps the location of what remains', () => {
    const both = resolve(mergeMappings(tree({ a: { b: 1 } }, 'x'), tree({ a: { c: 1 } }, 'y')));
    expect(locate(both, ['a', 'b']).at.file).toBe('x');
    expect(locate(both, ['a', 'c']).at.file).toBe('y');
  });

  it('reports operators that cannot work, with their place', () => {
    expect(merged({ a: { b: 1 } }, { '+a': 2 }).problems).toEqual([
      '1.json:1:2: error: a: cannot add a single value to a mapping; use the key without + to replace it',
    ]);
    expect(merged({ a: ['x'] }, { '-a': 'y', '-b': 1 }).problems).toEqual([
      '1.json:1:2: warning: a: "y" is to be removed but is not there',
      '1.json:1:11: warning: b: there is nothing to remove from',
    ]);
  });

  it('does not change its arguments', () => {
    const base = tree({ a: [1] });
    mergeMappings(base, tree({ '+a': [2] }));
    expect(toPlain(resolve(base))).toEqual({ a: [1] });
  });
});

it('splits operators from keys', () => {
  expect(splitKey('+a').operation).toBe('append');
  expect(splitKey('a+')).toEqual({ key: 'a', operation: 'prepend' });
  expect(splitKey('a-b')).toEqual({ key: 'a-b', operation: 'set' });
});

describe('nearest', () => {
  it('counts a swap of neighbours as one error', () => expect(editDistance('pool', 'polo')).toBe(1));
  it.each([
    ['globs', 'glob'],
    ['refesh', 'refresh'],
    ['min_aeg', 'min_age'],
    ['rec', 'recursive'],
    ['xyz', undefined],
  ])('%s -> %s', (word, expected) => {
    expect(nearest(word, ['glob', 'refresh', 'min_age', 'recursive', 'max_age'])).toBe(expected);
  });
});
