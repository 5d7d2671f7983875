import type { JobTemplate, WatchDefinition } from '../config/schema.js';
import { ageVerdict } from './age.js';
import { joinFilesets, type Fileset } from './fileset.js';
import type { Finished, ObservedFile } from './observation.js';

/** What gets jobs: a file of a list, or the key file of a fileset. */
export interface Unit {
  readonly file: ObservedFile;
  readonly list: number;
  /** position in the ordered list of eligible files (or of complete sets) */
  readonly index: number;
  /** members a list, for filesets */
  readonly members?: readonly (readonly ObservedFile[])[];
  /** a member of a set other than its key file: it has jobs only where a list of specs gives it one */
  readonly follows?: true;
}

/** Why a file that belongs to a list is no unit now. */
export interface Waiting {
  readonly file: ObservedFile;
  readonly rule:
    | 'min_age'
    | 'max_age'
    | 'fileset'
    | 'skip'
    | 'max_index'
    | 'ready.closed'
    | 'ready.stable'
    | 'ready.sentinel'
    | 'ready.check'
    | 'retry'
    | 'marker'
    | 'error';
  readonly detail: string;
  /** ms since the epoch when time alone may change it */
  readonly until?: number;
  /** patterns of the lists a fileset lacks */
  readonly missing?: readonly string[];
}

export interface Units {
  /** units that may need something; those with a valid memo are only counted */
  readonly units: readonly Unit[];
  readonly finished: Readonly<Record<Finished['how'], number>>;
  readonly waiting: readonly Waiting[];
  /** earliest moment at which time alone changes this result, ms; Infinity for never */
  readonly changesAt: number;
}

/** Turns the files of a watch into units: age rules, filesets, index. */
export function findUnits(
  watch: WatchDefinition,
  files: readonly ObservedFile[],
  now: number,
  hasRecord?: (path: string) => boolean,
): Units {
  const waiting: Waiting[] = [];
  const aged = byAge(watch, files, now, waiting);
  const finished = { done: 0, failed: 0, killed: 0, nothing: 0 };
  const units: Unit[] = [];
  const add = (unit: Unit): void => {
    const memo = unit.file.finished;
    if (memo !== undefined && memo.last === stepOf(watch, unit)) finished[memo.how]++;
    else units.push(unit);
  };
  if (watch.fileset === undefined) listUnits(watch, aged.eligible, add);
  else setUnits(watch, joinFilesets(watch, aged.eligible, hasRecord), aged.eligible, waiting, add);
  return { units, finished, waiting, changesAt: aged.changesAt };
}

function byAge(watch: WatchDefinition, files: readonly ObservedFile[], now: number, waiting: Waiting[]) {
  if (watch.minAge === 0 && watch.maxAge === undefined) return { eligible: files, changesAt: Infinity };
  const eligible: ObservedFile[] = [];
  let changesAt = Infinity;
  for (const file of files) {
    const verdict = ageVerdict(watch, file.stat, file.observedAt, now);
    if (verdict.kind === 'eligible') {
      eligible.push(file);
      changesAt = Math.min(changesAt, verdict.until);
    } else if (verdict.kind === 'too-young') {
      waiting.push({ file, rule: 'min_age', detail: `younger than ${watch.minAge} s`, until: verdict.at });
      changesAt = Math.min(changesAt, verdict.at);
    } else {
      waiting.push({ file, rule: 'max_age', detail: `mtime is older than ${watch.maxAge} s` });
    }
  }
  return { eligible, changesAt };
}

/** A file that belongs to several lists counts in each for the index, and is processed with the first. */
function listUnits(watch: WatchDefinition, files: readonly ObservedFile[], add: (unit: Unit) => void): void {
  const next = watch.lists.map(() => 0);
  for (const file of files) {
    const { lists } = file.selection;
    add({ file, list: lists[0]!, index: next[lists[0]!]! });
    for (const list of lists) next[list]!++;
  }
}

function setUnits(
  watch: WatchDefinition,
  sets: readonly Fileset[],
  files: readonly ObservedFile[],
  waiting: Waiting[],
  add: (unit: Unit) => void,
): void {
  const joined = new Set<ObservedFile>();
  const taken = new Set<ObservedFile>();
  let index = 0;
  for (const set of sets) {
    for (const file of set.members.flat()) joined.add(file);
    if (watch.lists.length - set.missing.length < watch.leastLists) {
      const missing = missingPatterns(watch, set);
      const detail = `set "${set.key}" is missing ${missing.join(', ')}`;
      waiting.push({ file: set.keyFile, rule: 'fileset', detail, missing });
      continue;
    }
    for (const unit of unitsOfSet(watch, set, index)) {
      if (!taken.has(unit.file)) add(unit);
      taken.add(unit.file);
    }
    index++;
  }
  for (const file of files) {
    if (!joined.has(file))
      waiting.push({ file, rule: 'fileset', detail: 'its name has too few parts to join a set' });
  }
}

/** The key file stands for the set; a list of specs gives the members of further lists their own jobs. */
function unitsOfSet(watch: WatchDefinition, set: Fileset, index: number): Unit[] {
  const lists = Math.max(1, ...watch.steps.map((step) => (step.kind === 'lists' ? step.specs.length : 1)));
  const keyList = set.members.findIndex((members) => members.includes(set.keyFile));
  const others = set.members
    .slice(0, lists)
    .flatMap((members, list) => members.map((file) => ({ file, list, follows: true as const })))
    .filter(({ file }) => file !== set.keyFile);
  return [{ file: set.keyFile, list: keyList }, ...others].map((unit) => ({
    ...unit,
    index,
    members: set.members,
  }));
}

const missingPatterns = (watch: WatchDefinition, set: Fileset): string[] =>
  set.missing.map((list) => watch.lists[list]!.glob ?? watch.lists[list]!.pattern ?? `list ${list}`);

/** All files of a unit: those of its set, or its only one. */
export const membersOf = (unit: Unit): readonly ObservedFile[] => unit.members?.flat() ?? [unit.file];

/** The index of the job entry that a position in the order calls for. */
export const stepOf = (watch: WatchDefinition, unit: Pick<Unit, 'index'>): number =>
  Math.min(unit.index - watch.skip, watch.steps.length - 1);

/** What a step means for a unit: a job, nothing to do, or an empty spec that marks the file as processed. */
export type StepWork =
  | { readonly kind: 'job'; readonly spec: JobTemplate }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'mark' };

/** Which spec of a step is the unit's own (the document: list of specs for the list of globs). */
export function workOf(watch: WatchDefinition, unit: Unit, step: number): StepWork {
  const entry = watch.steps[step]!;
  if (entry.kind === 'single') {
    return entry.spec === null || unit.follows ? { kind: 'nothing' } : { kind: 'job', spec: entry.spec };
  }
  const last = entry.specs.length - 1;
  if (unit.list > last && unit.follows) return { kind: 'nothing' };
  const spec = entry.specs[Math.min(unit.list, last)]!;
  return spec === null ? { kind: 'mark' } : { kind: 'job', spec };
}
