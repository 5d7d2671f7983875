import { expect, it } from 'vitest';
import { Names } from '../../../src/agent/names.js';

it('gives a text one number for as long as it is used, and the number to another text after that', () => {
  const names = new Names();
  const [a, b] = [names.use('a'), names.use('b')];
  expect([a, b, names.use('a')]).toEqual([0, 1, 0]);
  names.drop(a);
  expect(names.text(a)).toBe('a');
  names.drop(a);
  expect([names.text(a), names.text(b)]).toEqual(['', 'b']);
  expect([names.use('c'), names.use('d'), names.use('a')]).toEqual([a, 2, 3]);
  expect([a, b, 2, 3].map((number) => names.text(number))).toEqual(['c', 'b', 'd', 'a']);
});

it('counts anew what was dropped and came back', () => {
  const names = new Names();
  const first = names.use('a');
  names.drop(first);
  names.use('a');
  names.use('a');
  names.drop(first);
  expect(names.text(first)).toBe('a');
  names.drop(first);
  expect(names.text(first)).toBe('');
});
