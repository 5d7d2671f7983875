import type { WatchDefinition } from '../config/schema.js';
import { LONGEST_STEM, wholeStem } from './marker-name.js';
import { STEPS_IN_WORD } from './record-bits.js';
import { textToBytes } from '../lib/text.js';

/** Of which watches files that need nothing more can be folded away (file-table.ts), and which of them. */
export interface FoldRules {
  /** the entry that is the last for most files, and the first whose records count for these */
  readonly lastStep: number;
  readonly firstStep: number;
  /** whether records alone may tell it */
  readonly byName: boolean;
  /** so many files at the beginning of the order must have objects: by their places others get their entries */
  readonly head: number;
  /** bytes; the records of longer ones do not tell the name */
  readonly longestName: number;
}

const LONGEST_HEAD = 1000;

/**
 * A file can be folded where nothing but its name, its records and itself decides over it. Where the place in the order
 * decides as well (several entries, skip, max_index), that holds behind the first places: who is not among these is
 * not, whatever else is folded. Where ages, other files or every change decide, all have objects.
 */
export function foldRules(watch: WatchDefinition): FoldRules | undefined {
  const { steps, skip, maxIndex, lists } = watch;
  const head = Math.max(skip + steps.length - 1, maxIndex === undefined ? 0 : maxIndex + 1);
  if (watch.fileset !== undefined || watch.updated || watch.maxAge !== undefined) return undefined;
  if (steps.length === 0 || steps.length > STEPS_IN_WORD || head > LONGEST_HEAD) return undefined;
  if (head > 0 && (lists.length > 1 || watch.minAge > 0)) return undefined;
  const lastStep = steps.length - 1;
  const firstStep = watch.runAll ? 0 : lastStep;
  const stem = wholeStem(textToBytes(watch.name), lastStep, '');
  return {
    lastStep,
    firstStep,
    byName: steps.slice(firstStep).every((step) => step.kind === 'lists' || step.spec !== null),
    head,
    longestName: LONGEST_STEM - 1 - stem.length,
  };
}
