import { closeSync, futimesSync, lstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { markerTime, timeMark, touchMark } from '../../../src/watch/marker-time.js';
import { resultWith, statWith, temporaryDirectory } from '../../support/watch-fixtures.js';

it('what a marker carries is what is read back, for any time, on a real file and with whole microseconds', () => {
  const path = join(temporaryDirectory(), 'marker');
  const fd = openSync(path, 'w');
  for (let i = 0; i < 3000; i++) {
    const seen = {
      ...statWith(),
      ctimeNs: BigInt(1_700_000_000 + i * 97_003) * 1_000_000_000n + BigInt(i * 331_777),
    };
    const result = resultWith('x');
    const time = markerTime({
      ...result,
      seen,
      job: { ...result.job, end_ts: 1_700_000_000 + i * 104_729.371 },
    })!;
    futimesSync(fd, time, time);
    expect(timeMark(lstatSync(path).mtimeMs)).toBe(touchMark(seen));
    expect(timeMark(Math.floor(time * 1e6) / 1000)).toBe(touchMark(seen));
  }
  closeSync(fd);
});

it('there is none for a file that is gone', () => {
  expect(markerTime(resultWith('x'))).toBeUndefined();
});
