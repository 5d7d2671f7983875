import { expect, it } from 'vitest';
import { HintBuffer } from '../../../src/watch/hint-buffer.js';

it('tells each name once a turn, with the renames it was part of', () => {
  const hints = new HintBuffer();
  hints.add('', 'a', 'rename');
  hints.add('', 'a', 'change');
  hints.add('', 'a', 'rename');
  hints.add('', 'b', 'change');
  hints.add('sub', 'a', 'rename');
  expect(hints.take()).toEqual([
    { folder: '', name: 'a', renames: 2 },
    { folder: '', name: 'b', renames: 0 },
    { folder: 'sub', name: 'a', renames: 1 },
  ]);
  expect(hints.take()).toEqual([]);
});

it('takes every name for renamed more than once when events were lost, until the next turn', () => {
  const hints = new HintBuffer();
  for (let i = 0; i < 3; i++) hints.add('', 'often', 'rename');
  hints.add('', 'a', 'change');
  hints.overflow();
  expect(hints.take().map(({ name, renames }) => [name, renames])).toEqual([
    ['often', 3],
    ['a', 2],
  ]);
  hints.add('', 'a', 'rename');
  expect(hints.take()).toMatchObject([{ renames: 1 }]);
});
