import type { WatchDefinition } from '../config/schema.js';
import { milliseconds, type FileStat } from './identity.js';

/** The verdict of the age rules at a moment; `at` is when it changes by itself, ms since the epoch. */
export type AgeVerdict =
  | { readonly kind: 'eligible'; readonly until: number }
  | { readonly kind: 'too-young'; readonly at: number }
  | { readonly kind: 'too-old' };

/**
 * min_age counts from the later of mtime and ctime, because mv, cp -p, rsync -t and tar -x keep an old mtime.
 * A time in the future (a file server's clock) cannot be counted from: then it counts from when the file was first
 * observed as it is. max_age counts from mtime (contract, "When is a file ready").
 * @param observedAt ms when this size, mtime and ctime were first seen
 */
export function ageVerdict(
  watch: Pick<WatchDefinition, 'minAge' | 'maxAge'>,
  stat: FileStat,
  observedAt: number,
  now: number,
): AgeVerdict {
  const mtime = milliseconds(stat.mtimeNs);
  const expiry = watch.maxAge === undefined ? Infinity : mtime + watch.maxAge * 1000;
  if (now >= expiry) return { kind: 'too-old' };
  if (watch.minAge === 0) return { kind: 'eligible', until: expiry };
  const touched = Math.max(mtime, milliseconds(stat.ctimeNs));
  const at = Math.min(touched, observedAt) + watch.minAge * 1000;
  return now >= at ? { kind: 'eligible', until: expiry } : { kind: 'too-young', at };
}
