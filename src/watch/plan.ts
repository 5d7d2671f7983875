import type { JobTemplate, WatchDefinition } from '../config/schema.js';
import type { JobSpec } from '../protocol/job.js';
import type { Identity } from './identity.js';
import { identityKey } from './identity.js';
import type { Finished, ObservedFile, PlanInput } from './observation.js';
import { nextStep, unitIdentity, type StepProgress } from './progress.js';
import { readiness } from './readiness.js';
import { renderUnit } from './render.js';
import { findUnits, stepOf, type Unit, type Waiting } from './unit.js';

/** What to do, as data; watch/apply.ts does it. */
export type Action =
  | {
      readonly kind: 'submit';
      readonly unit: Unit;
      readonly step: number;
      readonly attempt: number;
      readonly reason: string;
      readonly identity: Identity;
      readonly spec: JobSpec;
    }
  /** an empty spec in a list: the file counts as processed */
  | { readonly kind: 'mark'; readonly unit: Unit; readonly step: number; readonly identity: Identity }
  /** evidence is needed before the unit can be judged */
  | {
      readonly kind: 'probe';
      readonly unit: Unit;
      readonly step: number;
      readonly what: 'closed' | 'sentinel' | 'check';
      readonly identity: string;
    };

export interface Plan {
  readonly actions: readonly Action[];
  /** units whose job is in flight */
  readonly running: readonly Unit[];
  readonly waiting: readonly Waiting[];
  /** units that wait for a free place among `max_jobs` */
  readonly held: number;
  /** units newly found to need nothing more, as memos for the next plan */
  readonly finished: readonly { readonly file: ObservedFile; readonly memo: Finished }[];
  readonly counts: PlanCounts;
  /** ms since the epoch when the plan must be made again though nothing changed; Infinity for never */
  readonly wakeAt: number;
}

export interface PlanCounts {
  readonly files: number;
  /** not eligible or not ready yet */
  readonly waiting: number;
  /** could run: queued for a slot, or about to be submitted */
  readonly ready: number;
  readonly running: number;
  /** units processed */
  readonly done: number;
  /** finally, or until their next attempt */
  readonly failed: number;
  readonly killed: number;
  /** ms since the epoch of the next rerun, if any */
  readonly nextRetry: number | undefined;
}

export const noCounts: PlanCounts = {
  files: 0,
  waiting: 0,
  ready: 0,
  running: 0,
  done: 0,
  failed: 0,
  killed: 0,
  nextRetry: undefined,
};

type Verdict =
  | { readonly kind: 'finished'; readonly how: Finished['how'] }
  | { readonly kind: 'running' }
  | { readonly kind: 'held' }
  | { readonly kind: 'waiting'; readonly waiting: Waiting }
  | { readonly kind: 'act'; readonly action: Action };

/** Free places for new jobs; a part is kept for live arrivals so that a backlog cannot hold them up. */
interface Capacity {
  free: number;
  freeForBacklog: number;
  /** looks that are cheap together: one pass over /proc serves all; none while no job could be submitted anyway */
  looks: number;
}

/** The share of max_jobs that files of the first backlog may fill. */
const BACKLOG_SHARE = 0.9;
/** How many files one round of looks may cover. */
const MOST_LOOKS = 2000;

/**
 * The one planner: what a watch does next, from what is there, what is known and the time. Used by the service,
 * --dry-run, `explain` and `status`. Units are judged in their order, so the first of the order come first.
 */
export function plan(watch: WatchDefinition, input: PlanInput): Plan {
  const {
    units,
    finished: known,
    waiting: notUnits,
    changesAt,
  } = findUnits(watch, input.files, input.now, hasRecordIn(watch, input));
  const capacity: Capacity = {
    free: watch.maxJobs - input.inFlightCount,
    freeForBacklog: Math.ceil(watch.maxJobs * BACKLOG_SHARE) - input.backlogInFlight,
    looks: input.inFlightCount < watch.maxJobs ? MOST_LOOKS : 0,
  };
  const actions: Action[] = [];
  const running: Unit[] = [];
  const waiting: Waiting[] = [...notUnits];
  const finished: { file: ObservedFile; memo: Finished }[] = [];
  let held = 0;
  const { folded = noFolded } = input;
  const ended = sum(known, folded);
  for (const unit of liveFirst(units)) {
    const verdict = judge(watch, unit, input, capacity);
    if (verdict.kind === 'held') held++;
    else if (verdict.kind === 'act') actions.push(verdict.action);
    else if (verdict.kind === 'running') running.push(unit);
    else if (verdict.kind === 'waiting') waiting.push(verdict.waiting);
    else {
      ended[verdict.how]++;
      if (mayRemember(watch, unit))
        finished.push({ file: unit.file, memo: { last: stepOf(watch, unit), how: verdict.how } });
    }
  }
  const retries = waiting.filter((w) => w.rule === 'retry').map((w) => w.until!);
  return {
    actions,
    running,
    waiting,
    finished,
    held,
    counts: {
      files: input.files.length + folded.done + folded.failed + folded.killed + folded.nothing,
      waiting: waiting.length - retries.length,
      ready: held + actions.length,
      running: running.length,
      done: ended.done,
      failed: ended.failed + retries.length,
      killed: ended.killed,
      nextRetry: retries.length === 0 ? undefined : retries.reduce((a, b) => Math.min(a, b)),
    },
    wakeAt: waiting.reduce((at, w) => Math.min(at, w.until ?? Infinity), changesAt),
  };
}

const noFolded: Record<Finished['how'], number> = { done: 0, failed: 0, killed: 0, nothing: 0 };

const sum = (
  a: Readonly<typeof noFolded>,
  b: Readonly<typeof noFolded>,
): Record<Finished['how'], number> => ({
  done: a.done + b.done,
  failed: a.failed + b.failed,
  killed: a.killed + b.killed,
  nothing: a.nothing + b.nothing,
});

/** A memo lives with its file; what a set needs may also change with other members. */
const mayRemember = (watch: WatchDefinition, unit: Unit): boolean =>
  unit.members === undefined || (!watch.updated && unit.follows === undefined);

/**
 * Whether a file has a result, or a job in flight, that only the one that stands for its fileset has: of a single spec;
 * where every entry is a list of specs, any.
 */
export function hasRecordIn(watch: WatchDefinition, input: PlanInput): (path: string) => boolean {
  const all = watch.steps.map((_, step) => step);
  const ofKey = all.filter((step) => watch.steps[step]!.kind === 'single');
  const steps = ofKey.length > 0 ? ofKey : all;
  return (path) => {
    const flying = input.inFlight(path);
    return (
      (flying !== undefined && steps.includes(flying.step)) ||
      steps.some((step) => input.record(path, step).states.size > 0)
    );
  };
}

/** Live arrivals never wait behind the backlog; within both the order of the watch holds. */
function liveFirst(units: readonly Unit[]): readonly Unit[] {
  if (!units.some((unit) => unit.file.backlog)) return units;
  return [...units.filter((unit) => !unit.file.backlog), ...units.filter((unit) => unit.file.backlog)];
}

function judge(watch: WatchDefinition, unit: Unit, input: PlanInput, capacity: Capacity): Verdict {
  if (input.inFlight(unit.file.path) !== undefined) return { kind: 'running' };
  if (unit.file.quietUntil > input.now)
    return wait(unit.file, 'marker', 'its marker was just removed', unit.file.quietUntil);
  const next = nextStep(watch, unit, (step) => input.record(unit.file.path, step), input.now);
  if (next.kind === 'finished') return next;
  if (next.kind === 'beyond') return wait(unit.file, next.rule, beyondDetail(watch, unit, next.rule));
  const { step, progress, work } = next;
  if (progress.kind === 'retry-later') {
    return wait(unit.file, 'retry', `failed, attempt ${progress.attempt} follows`, progress.at);
  }
  if (work.kind !== 'job')
    return { kind: 'act', action: { kind: 'mark', unit, step, identity: unitIdentity(unit) } };
  if (!hasRoom(capacity, unit.file) && capacity.looks === 0) return { kind: 'held' };
  return judgeReadiness(watch, unit, { step, spec: work.spec, progress }, input, capacity);
}

interface DueJob {
  readonly step: number;
  readonly spec: JobTemplate;
  readonly progress: Extract<StepProgress, { kind: 'due' }>;
}

function judgeReadiness(
  watch: WatchDefinition,
  unit: Unit,
  due: DueJob,
  input: PlanInput,
  capacity: Capacity,
): Verdict {
  const { step, spec, progress } = due;
  const ready = readiness(watch, unit, input);
  if (ready.kind === 'waiting') return wait(unit.file, ready.rule, ready.detail, ready.until);
  const isLook = ready.kind === 'probe' && ready.what !== 'check';
  if (isLook ? capacity.looks === 0 : !hasRoom(capacity, unit.file)) return { kind: 'held' };
  if (isLook) capacity.looks--;
  else take(capacity, unit.file);
  const identity = unitIdentity(unit);
  if (ready.kind === 'probe') {
    return {
      kind: 'act',
      action: { kind: 'probe', unit, step, what: ready.what, identity: identityKey(identity) },
    };
  }
  const rendered = renderUnit(watch, unit, step, progress.attempt, spec);
  if (!rendered.ok) return wait(unit.file, 'error', rendered.message);
  const { attempt, reason } = progress;
  return {
    kind: 'act',
    action: { kind: 'submit', unit, step, attempt, reason, identity, spec: rendered.spec },
  };
}

const wait = (file: ObservedFile, rule: Waiting['rule'], detail: string, until?: number): Verdict => ({
  kind: 'waiting',
  waiting: until === undefined ? { file, rule, detail } : { file, rule, detail, until },
});

const beyondDetail = (watch: WatchDefinition, unit: Unit, rule: 'skip' | 'max_index'): string =>
  rule === 'skip'
    ? `index ${unit.index}: the first ${watch.skip} are left alone`
    : `index ${unit.index} is beyond ${watch.maxIndex}`;

const hasRoom = (capacity: Capacity, file: ObservedFile): boolean =>
  capacity.free > 0 && (!file.backlog || capacity.freeForBacklog > 0);

function take(capacity: Capacity, file: ObservedFile): void {
  capacity.free--;
  if (file.backlog) capacity.freeForBacklog--;
}
