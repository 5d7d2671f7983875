import { expect, it } from 'vitest';
import { keepCompiledCode } from '../../../src/bin/compile-cache.js';

it.each([
  [{ HOME: '/home/a' }, '/home/a/.cache/meeseeks'],
  [{ HOME: '/home/a', XDG_CACHE_HOME: '/cache' }, '/cache/meeseeks'],
  [{ HOME: '/home/a', XDG_CACHE_HOME: '' }, '/home/a/.cache/meeseeks'],
  [{ HOME: '/home/a', XDG_CACHE_HOME: 'here' }, undefined],
  [{ HOME: '' }, undefined],
  [{}, undefined],
])('with %j compiled code is kept in %s', (env, directory) => {
  const asked: string[] = [];
  expect(keepCompiledCode(env, { enableCompileCache: (wanted) => asked.push(wanted) })).toBe(directory);
  expect(asked).toEqual(directory === undefined ? [] : [directory]);
});

it('is nothing to a Node that cannot', () => {
  expect(keepCompiledCode({ HOME: '/home/a' }, {})).toBeUndefined();
});
