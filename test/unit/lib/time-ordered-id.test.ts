import { afterEach, expect, it, vi } from 'vitest';
import { validate, version } from 'uuid';
import { timeOrderedId } from '../../../src/lib/time-ordered-id.js';

afterEach(() => vi.useRealTimers());

it('makes UUIDs of version 7, each greater than the one before, also while the clock stands still or goes back', () => {
  vi.useFakeTimers();
  const start = Date.now();
  const ids = Array.from({ length: 5000 }, (_, i) => {
    if (i === 2000) vi.setSystemTime(start + 10);
    if (i === 4000) vi.setSystemTime(start - 1000);
    return timeOrderedId();
  });
  expect(ids.every((id) => validate(id) && version(id) === 7)).toBe(true);
  expect(ids).toEqual(ids.toSorted());
  expect(new Set(ids).size).toBe(ids.length);
});

it('tells the time it was made', () => {
  const before = Date.now();
  const made = parseInt(timeOrderedId().replaceAll('-', '').slice(0, 12), 16);
  expect(made).toBeGreaterThanOrEqual(before);
  expect(made).toBeLessThanOrEqual(Date.now() + 10);
});
