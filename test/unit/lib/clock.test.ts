import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { systemClock } from '../../../src/lib/clock.js';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it('calls back once, after the time', () => {
  let calls = 0;
  systemClock.after(1000, () => calls++);
  vi.advanceTimersByTime(999);
  expect(calls).toBe(0);
  vi.advanceTimersByTime(5000);
  expect(calls).toBe(1);
});

it('does not call back once cancelled', () => {
  let calls = 0;
  systemClock.after(1000, () => calls++)();
  vi.advanceTimersByTime(5000);
  expect(calls).toBe(0);
});

it('takes a moment of the past for at once, and a far one for far', () => {
  const calls: string[] = [];
  systemClock.after(-5, () => calls.push('past'));
  // beyond 31 bits Node would call back at once
  systemClock.after(1e12, () => calls.push('far'));
  vi.advanceTimersByTime(86_400_000);
  expect(calls).toEqual(['past']);
});

it('tells the time', () => {
  vi.setSystemTime(12_345);
  expect(systemClock.now()).toBe(12_345);
});
