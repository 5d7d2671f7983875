import { describe, expect, it } from 'vitest';
import { ageVerdict } from '../../../src/watch/age.js';
import { NOW, statWith, type Times } from '../../support/watch-fixtures.js';

const verdict = (
  minAge: number,
  maxAge: number | undefined,
  times: Times,
  observedAt = NOW,
): ReturnType<typeof ageVerdict> => ageVerdict({ minAge, maxAge }, statWith(times), observedAt, NOW);
const ago = (seconds: number): number => NOW - seconds * 1000;

describe('min_age', () => {
  it('counts from mtime where that is the later', () => {
    expect(verdict(10, undefined, { mtime: ago(9), ctime: ago(50) })).toEqual({
      kind: 'too-young',
      at: NOW + 1000,
    });
    expect(verdict(10, undefined, { mtime: ago(10), ctime: ago(50) }).kind).toBe('eligible');
  });

  it('counts from ctime where that is the later: mv, cp -p and rsync -t keep an old mtime', () => {
    expect(verdict(10, undefined, { mtime: ago(86_400), ctime: ago(3) })).toEqual({
      kind: 'too-young',
      at: NOW + 7000,
    });
    expect(verdict(10, undefined, { mtime: ago(86_400), ctime: ago(10) }).kind).toBe('eligible');
  });

  it('counts an old file from its times, not from when it was seen', () => {
    expect(verdict(60, undefined, { mtime: ago(61) }, NOW).kind).toBe('eligible');
  });

  it.each([
    ['mtime', { mtime: NOW + 600_000 }],
    ['ctime', { mtime: ago(600), ctime: NOW + 600_000 }],
  ])('a %s in the future delays no longer than min_age of quiet', (_, times) => {
    expect(verdict(10, undefined, times, ago(4))).toEqual({ kind: 'too-young', at: NOW + 6000 });
    expect(verdict(10, undefined, times, ago(10)).kind).toBe('eligible');
  });

  it('of 0 delays nothing, though the clock was set back since', () => {
    expect(verdict(0, undefined, { mtime: NOW + 600_000 }, NOW + 300_000).kind).toBe('eligible');
    expect(verdict(0, undefined, { mtime: NOW + 600_000 })).toEqual({ kind: 'eligible', until: Infinity });
  });
});

describe('max_age', () => {
  it('counts from mtime, whatever ctime says', () => {
    expect(verdict(0, 60, { mtime: ago(61), ctime: NOW }).kind).toBe('too-old');
    expect(verdict(0, 60, { mtime: ago(59), ctime: ago(5) })).toEqual({
      kind: 'eligible',
      until: NOW + 1000,
    });
    // "must be newer than"
    expect(verdict(0, 60, { mtime: ago(60) }).kind).toBe('too-old');
  });

  it('goes before min_age: a file that would only be old enough when it is too old never is', () => {
    expect(verdict(100, 60, { mtime: ago(61), ctime: NOW }).kind).toBe('too-old');
  });
});
