import type { ResolvedConfig } from '../../config/load.js';
import type { WatchDefinition } from '../../config/schema.js';
import { printable } from '../../lib/text.js';
import { describeAction } from '../../watch/explain.js';
import type { Inspection } from '../../watch/inspect.js';
import type { Waiting } from '../../watch/unit.js';
import type { ConfigurationSource } from '../configuration.js';
import { exitCodes, type Context } from '../context.js';
import { commandLine, moment } from '../format.js';
import { inspectAll } from './inspections.js';

/** `plan` and `--dry-run`: what would be submitted and why, touching nothing. */
export async function planCommand(
  config: ResolvedConfig,
  source: ConfigurationSource,
  json: boolean,
  context: Context,
): Promise<number> {
  const inspections = await inspectAll(config, source, context, false);
  if (json) context.out(`${JSON.stringify(inspections.map(toJson), null, 2)}\n`);
  else {
    for (const inspection of inspections) context.out(describe(inspection, context.clock.now()));
    for (const watch of config.watches) if (watch.lists.length === 0) context.out(describeService(watch));
  }
  return exitCodes.ok;
}

function toJson({ watch, plan }: Inspection) {
  return {
    watch: watch.name,
    path: watch.path,
    counts: plan.counts,
    actions: plan.actions.map((action) => ({
      action: action.kind,
      file: action.unit.file.path,
      step: action.step,
      ...(action.kind === 'submit' && {
        attempt: action.attempt,
        reason: action.reason,
        job: withoutEnvironment(action.spec),
      }),
      ...(action.kind === 'probe' && { what: action.what }),
    })),
    waiting: plan.waiting.map(({ file, rule, detail, until }) => ({
      file: file.path,
      rule,
      detail,
      ...(until !== undefined && { until: until / 1000 }),
    })),
  };
}

function withoutEnvironment<T extends { env?: unknown }>(spec: T): Omit<T, 'env'> {
  const { env: _, ...rest } = spec;
  return rest;
}

function describe({ watch, plan }: Inspection, now: number): string {
  const { counts } = plan;
  const lines = [
    `${printable(watch.name)}  ${printable(watch.path!)}  (${counts.files} ${counts.files === 1 ? 'file' : 'files'}: ${counts.done} done, ${counts.running} running, ${counts.failed} failed)`,
  ];
  for (const action of plan.actions) {
    lines.push(`  ${printable(action.unit.file.path)}: ${describeAction(action)}`);
    if (action.kind === 'submit') lines.push(`      ${commandLine(action.spec.args)}`);
  }
  for (const waiting of plan.waiting)
    lines.push(`  ${printable(waiting.file.path)}: ${describeWaiting(waiting, now)}`);
  if (plan.held > 0) lines.push(`  ${plan.held} more wait for a free place: max_jobs is ${watch.maxJobs}`);
  if (plan.actions.length === 0) lines.push('  nothing to submit');
  return `${lines.join('\n')}\n`;
}

const describeService = (watch: WatchDefinition): string =>
  `${printable(watch.name)}  keeps its jobs running, ${watch.count} ${watch.count === 1 ? 'copy' : 'copies'} of each of ${watch.steps.length}; it looks at no files\n`;

const describeWaiting = ({ rule, detail, until }: Waiting, now: number): string =>
  `waits [${rule}] ${detail}${until === undefined ? '' : `, ${moment(until, now)}`}`;
