import type { FileStat } from './identity.js';
import type { Result } from './record.js';

const MICROSECONDS = 1_000_000;
/** Seconds since the epoch have a quarter of a microsecond in a double, and a file system may cut off what is less than one. */
const HALF = 0.5;

/**
 * The modification time of a marker: the end of the job to the second, and in the microseconds a mark of the file's
 * inode and change time. So one look tells whether the file was touched since, without opening the marker, and without trust in
 * clocks that may have been set back in between.
 * @returns seconds since the epoch
 */
export function markerTime({ job, seen }: Result): number | undefined {
  if (seen === undefined) return undefined;
  return Math.floor(job.end_ts ?? job.ts) + (touchMark(seen) + HALF) / MICROSECONDS;
}

/** The mark in a marker's modification time, ms. */
export const timeMark = (mtimeMs: number): number => Math.floor(mtimeMs * 1000 + HALF / 2) % MICROSECONDS;

/** The mark of a file as it was last touched. 999983 is a prime: changes of whole ms spread as well. */
export const touchMark = ({ ctimeNs, inode }: Pick<FileStat, 'ctimeNs' | 'inode'>): number =>
  Number((ctimeNs + inode * 7919n) % 999_983n);
