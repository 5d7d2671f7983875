import { isShortened, LONGEST_STEM, markerPrefix, markerStates, parseMarkerName } from './marker-name.js';
import { startsWith } from '../lib/text.js';
import { toWordBuffer, type WordBuffer } from '../lib/word-buffer.js';
import type { MarkerState } from './marker-name.js';
import type { Placed } from './name-table.js';

/** Steps whose records are bits of a word: four states each. */
export const STEPS_IN_WORD = 8;
const STATES = markerStates.length;
const MASK = (1 << STATES) - 1;
const suffixes = markerStates.map((state) => Buffer.from(`.${state}`, 'latin1'));
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

/** The bits that are set where records say of the steps `first` to `last`, by their names alone, that they are done. */
export function doneBits(first: number, last: number): number {
  let bits = 0;
  for (let step = first; step <= last; step++) bits |= recordBit(step, 'done');
  return bits >>> 0;
}

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
 * @returns a function that hands on the name a record is kept under and its bit, and says whether a name is one at all
 */
export function recordReader(
  watch: string,
): (name: WordBuffer, from: number, to: number, placed: Placed) => boolean {
  const prefix = Buffer.from(markerPrefix(watch), 'latin1');
  return (name, from, to, placed) => {
    const { bytes } = name;
    if (to - from < prefix.length || !startsWith(bytes, from, prefix)) return false;
    const at = from + prefix.length;
    const step = bytes[at]! - ZERO;
    const isEarly = step >= 0 && step < STEPS_IN_WORD && bytes[at + 1] === UNDERSCORE;
    const state = stateAtEnd(bytes, from, to);
    if (isEarly && state >= 0) {
      const end = to - suffixes[state]!.length;
      if (end > at + 2 && end - from < LONGEST_STEM && bytes[at + 2] !== DOT) {
        placed(name, at + 2, end, (1 << (step * STATES + state)) >>> 0);
        return true;
      }
    }
    return readSlowly(watch, bytes.toString('latin1', from, to), placed);
  };
}

function readSlowly(watch: string, name: string, placed: Placed): boolean {
  const marker = parseMarkerName(watch, name);
  if (marker === undefined) return false;
  const { key, slot } = placeOf(marker.step, marker.file, marker.stem);
  placed(toWordBuffer(key), 0, key.length, recordBit(slot, marker.state));
  return true;
}

/** Index of the state a name ends with; -1 for none. */
function stateAtEnd(bytes: Buffer, from: number, to: number): number {
  for (let state = 0; state < STATES; state++) {
    const suffix = suffixes[state]!;
    if (to - from >= suffix.length && startsWith(bytes, to - suffix.length, suffix)) return state;
  }
  return -1;
}
