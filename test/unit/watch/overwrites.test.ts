import { expect, it } from 'vitest';
import { Overwrites } from '../../../src/watch/overwrites.js';

it('waits for a moment and for a turn more before a file counts as renamed over, and tells each once', () => {
  const overwrites = new Overwrites();
  expect(overwrites.nextAt).toBe(Infinity);
  overwrites.add('x', 5000);
  overwrites.add('y', 5500);
  expect(overwrites.nextAt).toBe(6000);
  expect(overwrites.isUncertain('x')).toBe(true);
  expect(overwrites.takeCertain(5999)).toEqual([]);
  expect(overwrites.takeCertain(6000)).toEqual([]);
  expect(overwrites.nextAt).toBe(0);
  expect(overwrites.isUncertain('x')).toBe(true);
  expect(overwrites.takeCertain(6001)).toEqual(['x']);
  expect(overwrites.isUncertain('x')).toBe(false);
  expect(overwrites.takeCertain(6002)).toEqual([]);
  expect(overwrites.nextAt).toBe(6500);
});

it('waits for the whole moment, though asked at once', () => {
  const overwrites = new Overwrites();
  overwrites.add('x', 5000);
  expect(overwrites.takeCertain(5000)).toEqual([]);
  expect(overwrites.nextAt).toBe(6000);
});

it('does not wait for ever when the clock was set back', () => {
  const overwrites = new Overwrites();
  overwrites.add('x', 5000);
  expect(overwrites.takeCertain(1000)).toEqual([]);
  expect(overwrites.takeCertain(1001)).toEqual(['x']);
});
