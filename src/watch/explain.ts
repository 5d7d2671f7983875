import type { WatchDefinition } from '../config/schema.js';
import { describeError } from '../lib/errors.js';
import { textToBytes } from '../lib/text.js';
import { ageVerdict } from './age.js';
import { isLink, look } from './folder-scan.js';
import { milliseconds } from './identity.js';
import type { Inspection } from './inspect.js';
import type { ObservedFile } from './observation.js';
import { nextStep } from './progress.js';
import { hasRecordIn, type Action } from './plan.js';
import { baseName } from './select.js';
import { findUnits, stepOf, workOf, type Unit, type Waiting } from './unit.js';

export type RuleVerdict = 'pass' | 'fail' | 'wait' | 'info';

export interface Rule {
  readonly rule: string;
  readonly verdict: RuleVerdict;
  readonly detail: string;
}

export interface Explanation {
  readonly watch: string;
  readonly file: string;
  readonly rules: readonly Rule[];
  /** false when no rule of the watch wants this name */
  readonly isData: boolean;
  /** one sentence: what happens next */
  readonly verdict: string;
  /** ms since the epoch of the next moment at which time alone changes the verdict */
  readonly until?: number;
  /** globs of the lists the fileset lacks */
  readonly missing: readonly string[];
  readonly members: readonly string[];
}

/**
 * Explains one file of a watch with the very functions the service plans with.
 * @param path relative to the watched path, as text
 */
export function explain(inspection: Inspection, path: string): Explanation {
  const { watch, select, observer, input } = inspection;
  const rules: Rule[] = [];
  const done = (verdict: string, more: Partial<Explanation> = {}): Explanation => ({
    watch: watch.name,
    file: path,
    isData: true,
    missing: [],
    members: [],
    ...more,
    rules,
    verdict,
  });
  const selection = select(path);
  if (selection.rejectedBy !== undefined) {
    rules.push({ rule: selection.rejectedBy.rule, verdict: 'fail', detail: selection.rejectedBy.detail });
    return done('not data of this watch', { isData: false });
  }
  rules.push({ rule: 'glob', verdict: 'pass', detail: describeLists(inspection, selection.lists) });
  const file = observer.get(path);
  if (file === undefined) {
    const { detail, verdict, isData } = describeAbsence(watch, path);
    rules.push({ rule: 'exists', verdict: 'fail', detail });
    return done(verdict, { isData });
  }
  if (inspection.owner !== undefined)
    rules.push({ rule: 'lease', verdict: 'info', detail: `held by ${inspection.owner}` });
  rules.push({ rule: 'exists', verdict: 'pass', detail: `${watch.type}, ${file.stat.size} bytes` });
  rules.push(ageRule(inspection, file));
  const { units, waiting } = findUnits(watch, input.files, input.now, hasRecordIn(watch, input));
  const unit = units.find((u) => u.file === file) ?? units.find((u) => u.members?.flat().includes(file));
  const blocked = waiting.find((w) => w.file === file);
  if (unit === undefined) return explainNoUnit(inspection, file, blocked, rules, done);
  return explainUnit(inspection, unit, file, rules, done);
}

/** Why the scan has no data under this name, although the name is right: what else is there. */
function describeAbsence(
  { type, path: root }: WatchDefinition,
  path: string,
): { detail: string; verdict: string; isData: boolean } {
  const bytes = textToBytes(`${root!}/${path}`);
  const found = look(bytes);
  const appears = { verdict: `waits for the ${type} to appear`, isData: true };
  const other = (what: string) => ({
    detail: `${what} of this name is there; the watch takes ${type === 'file' ? 'files' : 'directories'}`,
    verdict: 'not data of this watch',
    isData: false,
  });
  switch (found.kind) {
    case 'gone':
      return isLink(bytes)
        ? { detail: 'a link of this name is there, and leads to nothing', ...appears }
        : { detail: `no ${type} of this name is there`, ...appears };
    case 'error':
      return {
        detail: `cannot look at it: ${describeError(found.error)}`,
        verdict: 'waits until it can be looked at',
        isData: true,
      };
    case 'other':
      return other('a pipe, socket or device');
    case 'file':
    case 'directory':
      if (found.kind !== type) return other(`a ${found.kind}`);
      return {
        detail: `a ${type} of this name is there, but the scan did not come to it: it came just now, or below a link to a folder`,
        ...appears,
      };
  }
}

type Done = (verdict: string, more?: Partial<Explanation>) => Explanation;

const describeLists = ({ watch }: Inspection, lists: readonly number[]): string =>
  lists
    .map((list) => `list ${list} (${watch.lists[list]!.glob ?? watch.lists[list]!.pattern ?? ''})`)
    .join(', ');

function ageRule({ watch, input }: Inspection, file: ObservedFile): Rule {
  const verdict = ageVerdict(watch, file.stat, file.observedAt, input.now);
  const age = Math.max(0, (input.now - milliseconds(file.stat.mtimeNs)) / 1000).toFixed(1);
  if (verdict.kind === 'too-old')
    return { rule: 'max_age', verdict: 'fail', detail: `mtime is ${age} s ago, more than ${watch.maxAge} s` };
  if (verdict.kind === 'too-young')
    return { rule: 'min_age', verdict: 'wait', detail: `must be ${watch.minAge} s old` };
  return { rule: 'age', verdict: 'pass', detail: `mtime is ${age} s ago` };
}

function explainNoUnit(
  inspection: Inspection,
  file: ObservedFile,
  blocked: Waiting | undefined,
  rules: Rule[],
  done: Done,
): Explanation {
  const { watch, input } = inspection;
  const set =
    blocked ??
    findUnits(watch, input.files, input.now, hasRecordIn(watch, input)).waiting.find(
      (w) => w.rule === 'fileset' && sharesSet(inspection, file, w.file),
    );
  if (set?.rule === 'fileset') rules.push({ rule: 'fileset', verdict: 'wait', detail: set.detail });
  const missing = set?.missing ?? [];
  const until = set?.until;
  return done(
    set === undefined
      ? 'joins no complete fileset'
      : set.rule === 'fileset'
        ? 'waits for the rest of its fileset'
        : `waits: ${set.detail}`,
    {
      missing,
      ...(until !== undefined && { until }),
    },
  );
}

/** Whether two files would stand in the same set: equal leading parts or captures. */
function sharesSet({ watch }: Inspection, a: ObservedFile, b: ObservedFile): boolean {
  if (typeof watch.fileset === 'number') {
    return (
      a.selection.parts.slice(0, watch.fileset).join('\0') ===
      b.selection.parts.slice(0, watch.fileset).join('\0')
    );
  }
  return watch.fileset?.every((name) => a.selection.captures[name] === b.selection.captures[name]) ?? false;
}

function explainUnit(
  inspection: Inspection,
  unit: Unit,
  file: ObservedFile,
  rules: Rule[],
  done: Done,
): Explanation {
  const { watch, input } = inspection;
  const members = unit.members?.flat().map((member) => member.path) ?? [];
  if (unit.members !== undefined) {
    const role =
      unit.file === file ? 'stands for the set' : `is a member of the set of ${baseName(unit.file.path)}`;
    rules.push({
      rule: 'fileset',
      verdict: 'pass',
      detail: `complete, ${members.length} members; this file ${role}`,
    });
  }
  const last = stepOf(watch, unit);
  rules.push({
    rule: 'index',
    verdict: 'info',
    detail: describeIndex(unit.index, last, watch.runAll),
  });
  const path = unit.file.path;
  const flying = input.inFlight(path);
  if (flying !== undefined) {
    rules.push({
      rule: 'job',
      verdict: 'info',
      detail: `job ${flying.jobId} (step ${flying.step}, attempt ${flying.attempt}) is in flight`,
    });
    return done('its job is queued or running', { members });
  }
  const next = nextStep(watch, unit, (step) => input.record(path, step), input.now);
  for (let step = 0; step <= last; step++) rules.push(stepRule(inspection, unit, step));
  if (next.kind === 'beyond')
    rules.push({
      rule: next.rule,
      verdict: 'fail',
      detail: next.rule === 'skip' ? `the first ${watch.skip} are left alone` : `beyond ${watch.maxIndex}`,
    });
  if (next.kind === 'finished') return done(describeFinished(next.how), { members });
  return explainPlanned(inspection, unit, rules, done, members);
}

function stepRule({ watch, input }: Inspection, unit: Unit, step: number): Rule {
  const rule = `jobs[${step}]`;
  const work = workOf(watch, unit, step);
  if (work.kind === 'nothing') return { rule, verdict: 'info', detail: 'empty: nothing to do' };
  const record = input.record(unit.file.path, step);
  const states = [...record.states].filter((state) => state !== 'mtime');
  const changed =
    record.identity !== undefined && record.identity.mtime_ns !== String(unit.file.stat.mtimeNs);
  const note =
    changed && !watch.updated ? '; the file changed since, which only updated: true would process' : '';
  return {
    rule,
    verdict: states.length > 0 ? 'pass' : 'info',
    detail: states.length > 0 ? `marked ${states.join(', ')}${note}` : 'not run yet',
  };
}

function explainPlanned(
  { plan }: Inspection,
  unit: Unit,
  rules: Rule[],
  done: Done,
  members: readonly string[],
): Explanation {
  const waiting = plan.waiting.find((w) => w.file === unit.file);
  if (waiting !== undefined) {
    rules.push({
      rule: waiting.rule,
      verdict: waiting.rule === 'error' ? 'fail' : 'wait',
      detail: waiting.detail,
    });
    return done(`waits: ${waiting.detail}`, {
      members,
      ...(waiting.until !== undefined && { until: waiting.until }),
    });
  }
  const action = plan.actions.find((a) => a.unit.file === unit.file);
  return done(action === undefined ? 'nothing to do' : describeAction(action), { members });
}

/** An action as one phrase, for `plan` and `explain`. */
export function describeAction(action: Action): string {
  switch (action.kind) {
    case 'submit':
      return `would submit jobs[${action.step}], attempt ${action.attempt} (${action.reason})`;
    case 'mark':
      return `would mark jobs[${action.step}] as done: its job spec is empty`;
    case 'probe':
      return `would first run the check command of jobs[${action.step}]`;
  }
}

function describeFinished(how: 'done' | 'failed' | 'killed' | 'nothing'): string {
  if (how === 'nothing') return 'nothing to do';
  return how === 'done'
    ? 'processed (done)'
    : `processed (${how}), for good; meeseeks-watch retry runs it again`;
}

function describeIndex(index: number, last: number, runAll: boolean): string {
  const place = index === 0 ? 'first in the order' : `number ${index} in the order, counted from 0`;
  if (last < 0) return place;
  return `${place}: runs jobs[${last}]${runAll && last > 0 ? ` after jobs[0..${last - 1}]` : ''}`;
}
