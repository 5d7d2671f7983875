import { describe, expect, it } from 'vitest';
import { QuietTime } from '../../../src/watch/quiet-time.js';

const NOW = 1_800_000_000_000;
const file = () => ({ quietUntil: 0 });

describe('a file whose marker somebody removed', () => {
  it('is given a second', () => {
    const one = file();
    new QuietTime().begin(one, NOW);
    expect(one.quietUntil).toBe(NOW + 1000);
  });

  it('waits for as long as markers of others go', () => {
    const quiet = new QuietTime();
    const files = Array.from({ length: 40 }, file);
    files.forEach((one, i) => quiet.begin(one, NOW + i * 150));
    expect(new Set(files.map(({ quietUntil }) => quietUntil))).toEqual(new Set([NOW + 39 * 150 + 1000]));
  });

  it('waits for others only to a tenth of a second: that is dear', () => {
    const quiet = new QuietTime();
    const [first, second] = [file(), file()];
    quiet.begin(first, NOW);
    quiet.begin(second, NOW + 99);
    expect([first.quietUntil, second.quietUntil]).toEqual([NOW + 1000, NOW + 1099]);
    quiet.begin(file(), NOW + 100);
    expect([first.quietUntil, second.quietUntil]).toEqual([NOW + 1100, NOW + 1100]);
  });

  it('is left alone once it has had its moment', () => {
    const quiet = new QuietTime();
    const [early, late] = [file(), file()];
    quiet.begin(early, NOW);
    quiet.begin(late, NOW + 2000);
    expect([early.quietUntil, late.quietUntil]).toEqual([NOW + 1000, NOW + 3000]);
    quiet.begin(file(), NOW + 2500);
    expect([early.quietUntil, late.quietUntil]).toEqual([NOW + 1000, NOW + 3500]);
  });

  it('does not wait for a clock that was set back', () => {
    const quiet = new QuietTime();
    const [early, late] = [file(), file()];
    quiet.begin(early, NOW);
    quiet.begin(late, NOW - 600_000);
    expect([early.quietUntil, late.quietUntil]).toEqual([NOW - 599_000, NOW - 599_000]);
  });

  it('does not wait when it was a command of ours', () => {
    const quiet = new QuietTime();
    const [before, after, later] = [file(), file(), file()];
    quiet.begin(before, NOW);
    quiet.end(NOW + 1);
    quiet.begin(after, NOW + 1000);
    quiet.begin(later, NOW + 1001);
    expect([before, after, later].map(({ quietUntil }) => quietUntil)).toEqual([0, 0, NOW + 2001]);
  });
});
