import { describe, expect, it } from 'vitest';
import {
  digest,
  identityKey,
  identityOf,
  isOtherFile,
  isUpdated,
  jobId,
  milliseconds,
  pythonMtime,
  submissionKey,
  type Attempt,
} from '../../../src/watch/identity.js';
import { identityWith, statWith } from '../../support/watch-fixtures.js';

describe('isOtherFile', () => {
  const before = identityWith({ inode: 1, birth: 1, mtime: 1, size: 1 });
  it.each([
    ['nothing', {}, false],
    ['an edit in place', { mtime: 2, size: 2 }, false],
    ['a mount with unstable inodes', { inode: 2 }, false],
    ['a restored copy: other birth, same content', { birth: 2, inode: 2 }, false],
    ['another inode and mtime', { inode: 2, mtime: 2 }, true],
    ['another inode and size, mtime kept', { inode: 2, size: 2 }, true],
    ['a reused inode: birth and mtime', { birth: 2, mtime: 2 }, true],
  ])('%s', (_, change, other) => {
    const now = identityWith({ inode: 1, birth: 1, mtime: 1, size: 1, ...change });
    expect(isOtherFile(before, now)).toBe(other);
    expect(isOtherFile(now, before)).toBe(other);
  });
});

describe('isUpdated', () => {
  it('goes by the mtime alone, and by the members of a set', () => {
    const before = identityWith({ mtime: 1 });
    expect(isUpdated(before, identityWith({ mtime: 1, size: 99, inode: 3, birth: 3 }))).toBe(false);
    expect(isUpdated(before, identityWith({ mtime: 2 }))).toBe(true);
    const [stat, other] = [statWith({ mtime: 1 }), statWith({ mtime: 2 })];
    expect(isUpdated(identityOf(stat, [stat, stat]), identityOf(stat, [stat, stat]))).toBe(false);
    expect(isUpdated(identityOf(stat, [stat, stat]), identityOf(stat, [stat, other]))).toBe(true);
    expect(isUpdated(identityOf(stat, [stat]), identityOf(stat, [stat, stat]))).toBe(true);
  });
});

describe('identityKey', () => {
  it('differs with every part of the identity', () => {
    const keys = [
      identityWith(),
      identityWith({ mtime: 1 }),
      identityWith({ size: 1 }),
      identityWith({ inode: 1 }),
      identityWith({ birth: 1 }),
      identityOf(statWith(), [statWith()]),
    ].map(identityKey);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('pythonMtime', () => {
  // golden/*-markers: what the original wrote for files of these times
  it.each([
    ['1795211610.7217646', 1_795_211_610_721_764_600n],
    ['1795211610.7218797', 1_795_211_610_721_879_700n],
    ['1795211610.7217257', 1_795_211_610_721_725_700n],
    ['1795211610.7219071', 1_795_211_610_721_907_100n],
    ['1795214457.356803', 1_795_214_457_356_803_000n],
    ['1795214457.356826', 1_795_214_457_356_826_000n],
    ['1795214457.356769', 1_795_214_457_356_769_000n],
    ['1795214457.3568475', 1_795_214_457_356_847_500n],
    // computed by CPython: str(seconds + 1e-9 * nanoseconds)
    ['1795211610.7217646', 1_795_211_610_721_764_612n],
    ['1700000000.0', 1_700_000_000_000_000_000n],
    ['0.0', 0n],
    ['1700000001.0', 1_700_000_000_999_999_999n],
    ['1700000000.1', 1_700_000_000_100_000_000n],
    ['1577836800.1234567', 1_577_836_800_123_456_789n],
  ])('writes %s', (text, ns) => {
    expect(pythonMtime(ns)).toBe(text);
    expect(pythonMtime(String(ns))).toBe(text);
  });
});

describe('job ids', () => {
  const attempt: Attempt = {
    watch: 'w',
    step: 0,
    path: 'x.nc',
    identity: identityWith(),
    attempt: 1,
    generation: 0,
  };

  it('are a function of the identity and the attempt', () => {
    expect(jobId({ ...attempt, identity: { ...attempt.identity } })).toBe(jobId(attempt));
    const others: Attempt[] = [
      { ...attempt, watch: 'v' },
      { ...attempt, step: 1 },
      { ...attempt, path: 'y.nc' },
      { ...attempt, identity: identityWith({ mtime: 1 }) },
      { ...attempt, attempt: 2 },
      { ...attempt, generation: 1 },
    ];
    const all = [attempt, ...others];
    expect(new Set(all.map(jobId)).size).toBe(all.length);
    expect(new Set(all.map(submissionKey)).size).toBe(all.length);
  });

  it('stay apart where the readable part is cut or replaced', () => {
    const long = 'x'.repeat(255);
    const paths = ['a b', 'a-b', 'a\nb', 'a\udc80b', `${long}1`, `${long}2`];
    const ids = paths.map((path) => jobId({ ...attempt, path }));
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[\w.+-]{1,100}$/);
  });

  it('does not let the watch name run into the step or the path', () => {
    expect(submissionKey({ ...attempt, watch: 'w_0', path: 'x' })).not.toBe(
      submissionKey({ ...attempt, watch: 'w', path: '0_x' }),
    );
    expect(digest('ab', 'c')).not.toBe(digest('a', 'bc'));
    expect(digest('1:a,', 'b')).not.toBe(digest('1:a,1:b,'));
  });
});

it('counts milliseconds with the fraction that a double can hold', () => {
  expect(milliseconds(1_234_567_890n)).toBe(1234.567);
});
