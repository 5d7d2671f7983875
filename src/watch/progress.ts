import type { WatchDefinition } from '../config/schema.js';
import { identityOf, isOtherFile, isUpdated, pythonMtime, type Identity } from './identity.js';
import type { StepRecord } from './record.js';
import { stepOf, workOf, type StepWork, type Unit } from './unit.js';

/** How far one step of one unit is, from its records alone. */
export type StepProgress =
  | { readonly kind: 'processed'; readonly how: 'done' | 'failed' | 'killed' | 'nothing' }
  | {
      readonly kind: 'due';
      readonly attempt: number;
      readonly reason: 'new' | 'updated' | 'replaced' | 'retry';
    }
  | { readonly kind: 'retry-later'; readonly attempt: number; readonly at: number };

/** ms before the rerun that follows the given number of failed attempts: doubled each time, capped. */
export function retryDelay(
  watch: Pick<WatchDefinition, 'retryDelay' | 'retryMaxDelay'>,
  failedAttempts: number,
): number {
  return Math.min(watch.retryDelay * 2 ** Math.min(failedAttempts - 1, 50), watch.retryMaxDelay) * 1000;
}

/**
 * Reads the records of a step: `.done`, a final `.failed` or `.killed` mean processed; otherwise it is due, now or
 * after the retry delay. A file that was replaced by another one starts anew.
 */
export function stepProgress(
  watch: WatchDefinition,
  unit: Unit,
  step: number,
  record: StepRecord,
  now: number,
): StepProgress {
  if (workOf(watch, unit, step).kind === 'nothing') return { kind: 'processed', how: 'nothing' };
  const identity = unitIdentity(unit);
  if (isReplaced(watch, unit, record, identity)) return { kind: 'due', attempt: 1, reason: 'replaced' };
  if (watch.updated && step === 0 && isChanged(record, identity))
    return { kind: 'due', attempt: 1, reason: 'updated' };
  if (record.states.has('done')) return { kind: 'processed', how: 'done' };
  if (record.states.has('killed')) return { kind: 'processed', how: 'killed' };
  if (!record.states.has('failed')) return { kind: 'due', attempt: 1, reason: 'new' };
  const failed = record.failedAttempts ?? 1;
  if (failed > watch.retries) return { kind: 'processed', how: 'failed' };
  const at = (record.failedAt ?? 0) + retryDelay(watch, failed);
  return now >= at
    ? { kind: 'due', attempt: failed + 1, reason: 'retry' }
    : { kind: 'retry-later', attempt: failed + 1, at };
}

export const unitIdentity = (unit: Unit): Identity =>
  identityOf(
    unit.file.stat,
    unit.members?.flat().map((member) => member.stat),
  );

const hasResult = (record: StepRecord): boolean =>
  record.states.has('done') || record.states.has('failed') || record.states.has('killed');

/** With cleanup off, markers are a history by name: they count even for another file of that name. */
export function isReplaced(
  watch: WatchDefinition,
  unit: Unit,
  record: StepRecord,
  identity: Identity,
): boolean {
  if (!watch.cleanup || !hasResult(record)) return false;
  if (unit.file.replaced) return true;
  const recorded = record.identityNow ?? record.identity;
  return !unit.file.overwritten && recorded !== undefined && isOtherFile(recorded, identity);
}

/** The identity in the result decides; for markers of the original the `.mtime` marker; without both it is unchanged. */
function isChanged(record: StepRecord, identity: Identity): boolean {
  if (!hasResult(record)) return false;
  if (record.identity !== undefined) return isUpdated(record.identity, identity);
  return record.mtime !== undefined && Number(record.mtime) !== Number(pythonMtime(identity.mtime_ns));
}

export type NextStep =
  | { readonly kind: 'beyond'; readonly rule: 'skip' | 'max_index' }
  | { readonly kind: 'finished'; readonly how: 'done' | 'failed' | 'killed' | 'nothing' }
  | {
      readonly kind: 'step';
      readonly step: number;
      readonly work: StepWork;
      readonly progress: Exclude<StepProgress, { kind: 'processed' }>;
    };

/**
 * The next step of a unit. With run_all the unprocessed entries from 0 to the one of its index, in sequence;
 * without, only that one. A change of an `updated` file runs the first entry again, whatever the index.
 */
export function nextStep(
  watch: WatchDefinition,
  unit: Unit,
  record: (step: number) => StepRecord,
  now: number,
): NextStep {
  const last = stepOf(watch, unit);
  if (last < 0) return { kind: 'beyond', rule: 'skip' };
  let how: 'done' | 'failed' | 'killed' | 'nothing' = 'nothing';
  for (const step of stepsToTry(watch, last)) {
    const progress = stepProgress(watch, unit, step, record(step), now);
    if (step !== last && !watch.runAll && !(progress.kind === 'due' && progress.reason === 'updated'))
      continue;
    if (progress.kind !== 'processed') {
      if (isBeyond(watch, unit)) return { kind: 'beyond', rule: 'max_index' };
      return { kind: 'step', step, work: workOf(watch, unit, step), progress };
    }
    if (progress.how !== 'nothing') how = progress.how;
  }
  return { kind: 'finished', how };
}

const isBeyond = (watch: WatchDefinition, unit: Unit): boolean => unit.index > (watch.maxIndex ?? Infinity);

/** Without run_all only the step of the index counts, and step 0 for its updates. */
function stepsToTry(watch: WatchDefinition, last: number): number[] {
  if (watch.runAll) return Array.from({ length: last + 1 }, (_, step) => step);
  return watch.updated && last > 0 ? [0, last] : [last];
}
