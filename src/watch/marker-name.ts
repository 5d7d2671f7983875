import { createHash } from 'node:crypto';

/**
 * Names of markers: `._<name>_<n>_<filename>.<state>` (the document, "meeseeks-watch"). All names here are latin1
 * byte strings (lib/text.ts), so lengths are bytes.
 */
export const markerStates = ['done', 'failed', 'killed', 'mtime'] as const;
export type MarkerState = (typeof markerStates)[number];

const LONGEST_NAME = 255;
/** room for the longest suffix, and for the `.tmp` of an atomic write */
export const LONGEST_STEM = LONGEST_NAME - '.killed'.length - '.tmp'.length;
const DIGEST_MARK = '~';

export const markerPrefix = (watch: string): string => `._${watch}_`;

/** The name without `.state`, however long: as the Python original wrote it. */
export const wholeStem = (watch: string, step: number, file: string): string =>
  `${markerPrefix(watch)}${step}_${file}`;

/** The name without `.state`. One that would grow too long is cut and ends in a digest of the file name. */
export function markerStem(watch: string, step: number, file: string): string {
  const stem = wholeStem(watch, step, file);
  if (stem.length <= LONGEST_STEM) return stem;
  const tail = DIGEST_MARK + createHash('sha256').update(file, 'latin1').digest('hex').slice(0, 32);
  return stem.slice(0, LONGEST_STEM - tail.length) + tail;
}

export const isShortened = (stem: string): boolean =>
  stem.length === LONGEST_STEM && /~[0-9a-f]{32}$/.test(stem);

export interface MarkerName {
  readonly stem: string;
  readonly step: number;
  /** the file's name; of a shortened marker only its beginning */
  readonly file: string;
  readonly state: MarkerState;
}

/** Reads a marker's name as one of `watch`; undefined when it is not. Total, never throws. */
export function parseMarkerName(watch: string, name: string): MarkerName | undefined {
  const prefix = markerPrefix(watch);
  if (!name.startsWith(prefix)) return undefined;
  const dot = name.lastIndexOf('.');
  const state = markerStates.find((s) => s === name.slice(dot + 1));
  const stem = name.slice(0, dot);
  const rest = /^(0|[1-9]\d*)_([^]+)$/.exec(stem.slice(prefix.length));
  if (state === undefined || rest === null) return undefined;
  return { stem, step: Number(rest[1]), file: rest[2]!, state };
}
