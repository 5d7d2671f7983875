import { isShortened, LONGEST_STEM, markerPrefix, markerStates, parseMarkerName } from './marker-name.js';
import type { MarkerState } from './marker-name.js';

/** Steps whose records are bits of a word: four states each. */
export const STEPS_IN_WORD = 8;
const STATES = markerStates.length;
const MASK = (1 << STATES) - 1;
const UNDERSCORE = 95;
const ZERO = 48;
const DOT = 46;

export const recordBit = (slot: number, state: MarkerState): number =>
  (1 << (slot * STATES + markerStates.indexOf(state))) >>> 0;

/** Every set of states there can be. They are shared: nobody may change them. */
const sets: readonly ReadonlySet<MarkerState>[] = Array.from(
  { length: MASK + 1 },
  (_, bits) => new Set(markerStates.filter((__, i) => (bits & (1 << i)) !== 0)),
);

/** The states of one step. */
export const statesIn = (bits: number, slot: number): ReadonlySet<MarkerState> =>
  sets[(bits >>> (slot * STATES)) & MASK]!;

/** The steps that have records. */
export const slotsIn = (bits: number): number[] =>
  Array.from({ length: STEPS_IN_WORD }, (_, slot) => slot).filter((slot) => statesIn(bits, slot).size > 0);

/** Whether a step had records before that has none now. */
export function hasLost(before: number, now: number): boolean {
  for (let slot = 0; slot < STEPS_IN_WORD; slot++)
    if (statesIn(before, slot).size > 0 && statesIn(now, slot).size === 0) return true;
  return false;
}

/** Whether the records say of the steps `first` to `last`, by their names alone, that they are done. */
export function areDone(bits: number, first: number, last: number): boolean {
  for (let step = first; step <= last; step++) if (!statesIn(bits, step).has('done')) return false;
  return true;
}

/** Called with a name, which is a part of `text`, and the bit of a record of it. */
export type Placed = (text: string, from: number, to: number, bit: number) => void;

/**
 * Under which name the record of a file's step is kept: its own, or the stem of the marker where that does not tell the
 * name whole, or the step is a late one. Only stems begin with a dot: data never does.
 */
export const placeOf = (step: number, file: string, stem: string): { key: string; slot: number } =>
  step < STEPS_IN_WORD && stem.length <= LONGEST_STEM && !isShortened(stem) && !file.startsWith('.')
    ? { key: file, slot: step }
    : { key: stem, slot: 0 };

/**
 * Reads marker names of a watch, as parseMarkerName does, but without an object for each of a million.
 * @returns a function that says whether a name is one
 */
export function recordReader(watch: string): (name: string, placed: Placed) => boolean {
  const prefix = markerPrefix(watch);
  const at = prefix.length;
  return (name, placed) => {
    if (!name.startsWith(prefix)) return false;
    const step = name.charCodeAt(at) - ZERO;
    const state = stateAtEnd(name);
    const isEarly = step >= 0 && step < STEPS_IN_WORD && name.charCodeAt(at + 1) === UNDERSCORE;
    if (isEarly && state >= 0) {
      const to = name.length - markerStates[state]!.length - 1;
      if (to > at + 2 && to < LONGEST_STEM && name.charCodeAt(at + 2) !== DOT) {
        placed(name, at + 2, to, (1 << (step * STATES + state)) >>> 0);
        return true;
      }
    }
    const marker = parseMarkerName(watch, name);
    if (marker === undefined) return false;
    const { key, slot } = placeOf(marker.step, marker.file, marker.stem);
    placed(key, 0, key.length, recordBit(slot, marker.state));
    return true;
  };
}

/** Index of the state a name ends with; -1 for none. */
function stateAtEnd(name: string): number {
  if (name.endsWith('.done')) return 0;
  if (name.endsWith('.failed')) return 1;
  if (name.endsWith('.killed')) return 2;
  return name.endsWith('.mtime') ? 3 : -1;
}
