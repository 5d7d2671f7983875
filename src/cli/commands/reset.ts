import { userInfo } from 'node:os';
import micromatch from 'micromatch';
import type { ResolvedConfig } from '../../config/load.js';
import { describeError, UserError } from '../../lib/errors.js';
import { printable } from '../../lib/text.js';
import type { Inspection } from '../../watch/inspect.js';
import { withoutJob } from '../../watch/record.js';
import type { MarkerState } from '../../watch/marker-name.js';
import { hasRecordIn } from '../../watch/plan.js';
import { unitIdentity } from '../../watch/progress.js';
import { baseName } from '../../watch/select.js';
import { findUnits, stepOf, workOf, type Unit } from '../../watch/unit.js';
import { pythonMtime } from '../../watch/identity.js';
import type { ConfigurationSource } from '../configuration.js';
import { exitCodes, type Context } from '../context.js';
import { askControl } from '../control.js';
import { stateDirectory } from '../state-directory.js';
import { inspectAll } from './inspections.js';

export type ResetKind = 'retry' | 'forget' | 'mark-done';

export interface ResetFilter {
  /** patterns of file names; none: all */
  readonly globs: readonly string[];
  readonly states: readonly string[];
  readonly watches: readonly string[];
  /** only results at least this many seconds old */
  readonly olderThan: number | undefined;
}

interface Change {
  readonly inspection: Inspection;
  readonly path: string;
  readonly step: number;
  readonly states: readonly MarkerState[];
  readonly unit: Unit | undefined;
}

const resultStates = ['done', 'failed', 'killed'] as const;

/**
 * `retry`: failed and killed files run again at once. `forget`: files run again as if they had just arrived.
 * `mark-done`: files count as processed. Without `apply` only a preview; files whose job is in flight are left alone.
 */
export async function resetCommand(
  kind: ResetKind,
  filter: ResetFilter,
  apply: boolean,
  json: boolean,
  config: ResolvedConfig,
  source: ConfigurationSource,
  context: Context,
): Promise<number> {
  checkFilter(filter, config);
  const inspections = await inspectAll(config, source, context);
  const changes = inspections
    .filter(({ watch }) => filter.watches.length === 0 || filter.watches.includes(watch.name))
    .flatMap((inspection) => changesOf(kind, filter, inspection, context.clock.now()));
  const failed = apply ? changes.filter((change) => !applyChange(kind, change, context)) : [];
  if (json)
    context.out(
      `${JSON.stringify({ command: kind, applied: apply, files: changes.map(toJson) }, null, 2)}\n`,
    );
  else context.out(describe(kind, changes, apply));
  if (apply) await askControl(stateDirectory(config, source, context.env), 'rescan');
  return failed.length > 0 ? exitCodes.trouble : exitCodes.ok;
}

function checkFilter(filter: ResetFilter, config: ResolvedConfig): void {
  const known = config.watches.map((watch) => watch.name);
  const unknown = filter.watches.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new UserError(`no watch is named ${unknown.join(', ')}; there are ${known.join(', ')}`);
  const states = [...resultStates, 'new'] as readonly string[];
  const odd = filter.states.filter((state) => !states.includes(state));
  if (odd.length > 0) throw new UserError(`unknown state ${odd.join(', ')}; there are ${states.join(', ')}`);
}

function changesOf(kind: ResetKind, filter: ResetFilter, inspection: Inspection, now: number): Change[] {
  const { watch, observer, input } = inspection;
  const { units } = findUnits(watch, input.files, now, hasRecordIn(watch, input));
  const unitOf = new Map(units.map((unit) => [unit.file.path, unit]));
  return observer
    .files()
    .filter((file) => isWanted(filter.globs, file.path) && input.inFlight(file.path) === undefined)
    .flatMap((file) => {
      const unit = unitOf.get(file.path);
      const steps = kind === 'mark-done' ? stepsToMark(inspection, unit) : watch.steps.map((_, step) => step);
      return steps.flatMap((step) => {
        const states = affected(kind, filter, inspection, file.path, step, now);
        return states === undefined ? [] : [{ inspection, path: file.path, step, states, unit }];
      });
    });
}

const isWanted = (globs: readonly string[], path: string): boolean =>
  globs.length === 0 ||
  globs.some((glob) => micromatch.isMatch(glob.includes('/') ? path : baseName(path), glob));

/** The entries whose result would make the file processed, now. */
function stepsToMark({ watch }: Inspection, unit: Unit | undefined): number[] {
  if (unit === undefined) return [];
  const last = stepOf(watch, unit);
  const steps = watch.runAll ? Array.from({ length: last + 1 }, (_, step) => step) : [last];
  return steps.filter((step) => step >= 0 && workOf(watch, unit, step).kind !== 'nothing');
}

/** The states that would change; undefined when the record is not touched. */
function affected(
  kind: ResetKind,
  filter: ResetFilter,
  { store }: Inspection,
  path: string,
  step: number,
  now: number,
): MarkerState[] | undefined {
  const present = resultStates.filter((state) => store.read({ path, step }).states.has(state));
  const wanted =
    filter.states.length > 0
      ? filter.states
      : kind === 'retry'
        ? ['failed', 'killed']
        : kind === 'mark-done'
          ? ['failed', 'killed', 'new']
          : resultStates;
  const isNew = present.length === 0;
  if (isNew) return kind === 'mark-done' && wanted.includes('new') ? [] : undefined;
  const endedAt = store.facts({ path, step })?.endedAt ?? 0;
  if (filter.olderThan !== undefined && now - endedAt < filter.olderThan * 1000) return undefined;
  const states = present.filter((state) => wanted.includes(state));
  return states.length > 0 ? states : undefined;
}

function applyChange(
  kind: ResetKind,
  { inspection, path, step, states, unit }: Change,
  context: Context,
): boolean {
  const { watch, store } = inspection;
  try {
    if (kind === 'mark-done' && unit !== undefined) {
      const identity = unitIdentity(unit);
      const agent = `none: marked as done by ${userName()}`;
      // the new record comes first and takes the old ones away: a running watcher never sees the file without any
      store.write(
        withoutJob({ path, step }, watch.name, identity, agent, context.clock.now()),
        watch.updated && step === 0 ? pythonMtime(identity.mtime_ns) : undefined,
      );
    } else {
      store.remove({ path, step }, kind === 'forget' ? [...states, 'mtime'] : states);
    }
    store.flush();
    return true;
  } catch (error) {
    context.err(`meeseeks-watch: ${printable(path)}: cannot change its markers: ${describeError(error)}\n`);
    return false;
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `user ${process.getuid?.() ?? '?'}`;
  }
}

const toJson = ({ inspection, path, step, states }: Change) => ({
  watch: inspection.watch.name,
  file: path,
  step,
  states,
});

const effects: Readonly<Record<ResetKind, string>> = {
  retry: 'run again at once',
  forget: 'run again as if they had just arrived',
  'mark-done': 'count as processed',
};

function describe(kind: ResetKind, changes: readonly Change[], applied: boolean): string {
  if (changes.length === 0) return 'no file matches; nothing to do\n';
  const lines = changes.map(
    ({ inspection, path, step, states }) =>
      `  ${printable(inspection.watch.name)}  jobs[${step}]  ${states.join(', ') || 'new'}  ${printable(path)}`,
  );
  const count = `${changes.length} ${changes.length === 1 ? 'record' : 'records'}`;
  const head = applied
    ? `${kind}: ${count}; the files ${effects[kind]}`
    : `preview of ${kind}: ${count}; the files would ${effects[kind]}. Add --yes to do it`;
  return `${[head, ...lines].join('\n')}\n`;
}
