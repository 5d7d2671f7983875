import { readFileSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ResolvedConfig } from '../../config/load.js';
import type { WatchDefinition } from '../../config/schema.js';
import { UserError } from '../../lib/errors.js';
import { bytesToBuffer, printable, textToBytes } from '../../lib/text.js';
import { explain, type Explanation } from '../../watch/explain.js';
import type { Inspection } from '../../watch/inspect.js';
import type { ConfigurationSource } from '../configuration.js';
import type { Context } from '../context.js';
import { exitCodes } from '../context.js';
import { commandLine, moment } from '../format.js';
import { inspectAll } from './inspections.js';

interface Attempt {
  readonly step: number;
  readonly state: string;
  readonly marker: string;
  readonly attempt?: number;
  /** seconds since the epoch */
  readonly ended?: number;
  readonly rc?: number;
  readonly error?: string;
  readonly reason?: string;
  readonly job?: string;
  readonly args?: readonly string[];
  readonly stdout?: string;
  readonly stderr?: string;
}

/** `explain FILE`: every rule, its verdict, missing members, the next moment, the attempts and where their output is. */
export async function explainCommand(
  file: string,
  config: ResolvedConfig,
  source: ConfigurationSource,
  json: boolean,
  context: Context,
): Promise<number> {
  const absolute = resolve(context.cwd, file);
  const watches = config.watches.filter((watch) => relativeTo(watch, absolute) !== undefined);
  if (watches.length === 0) {
    const paths = config.watches.flatMap((watch) =>
      watch.path === undefined
        ? []
        : [`  ${watch.name}: ${watch.path}${watch.recursive ? ' (and below)' : ''}`],
    );
    throw new UserError(`no watch looks at ${printable(absolute)}; the watches look at\n${paths.join('\n')}`);
  }
  const inspections = await inspectAll({ ...config, watches }, source, context);
  const explained = inspections.map((inspection) => {
    const path = relativeTo(inspection.watch, absolute)!;
    return { explanation: explain(inspection, path), attempts: attemptsOf(inspection, path) };
  });
  if (json)
    context.out(
      `${JSON.stringify(
        explained.map(({ explanation, attempts }) => ({ ...explanation, attempts })),
        null,
        2,
      )}\n`,
    );
  else context.out(describeAll(explained, context.clock.now()));
  return exitCodes.ok;
}

/** Watches that have nothing to do with the file are one line. */
function describeAll(
  explained: readonly { explanation: Explanation; attempts: readonly Attempt[] }[],
  now: number,
): string {
  const concerned = explained.filter(({ explanation }) => explanation.isData);
  const others = explained.filter(({ explanation }) => !explanation.isData);
  if (concerned.length === 0) return others.map(({ explanation }) => describe(explanation, [], now)).join('');
  const blocks = concerned.map(({ explanation, attempts }) => describe(explanation, attempts, now));
  const names = others.map(({ explanation }) => printable(explanation.watch)).join(', ');
  return blocks.join('\n') + (others.length === 0 ? '' : `\nnot data of ${names}\n`);
}

function relativeTo(watch: WatchDefinition, file: string): string | undefined {
  if (watch.path === undefined) return undefined;
  for (const root of new Set([watch.path, realPath(watch.path)])) {
    const prefix = root === '/' ? '/' : `${root}/`;
    const rest = file.startsWith(prefix) ? file.slice(prefix.length) : undefined;
    if (rest !== undefined && rest !== '' && (watch.recursive || !rest.includes('/'))) return rest;
  }
  return undefined;
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function attemptsOf({ watch, store }: Inspection, path: string): Attempt[] {
  return watch.steps.flatMap((_, step) =>
    [...store.read({ path, step }).states]
      .filter((state) => state !== 'mtime')
      .map((state) => ({
        step,
        state,
        marker: store.pathOf({ path, step }, state),
        ...markerDetails(store.pathOf({ path, step }, state)),
      })),
  );
}

function markerDetails(marker: string): Partial<Attempt> {
  try {
    const job = JSON.parse(readFileSync(bytesToBuffer(textToBytes(marker)), 'utf8')) as Record<
      string,
      unknown
    >;
    const pick = (from: string, to: keyof Attempt, type: string): object =>
      typeof job[from] === type ? { [to]: job[from] } : {};
    return {
      ...pick('attempt', 'attempt', 'number'),
      ...pick('end_ts', 'ended', 'number'),
      ...pick('rc', 'rc', 'number'),
      ...pick('error', 'error', 'string'),
      ...pick('reason', 'reason', 'string'),
      ...pick('id', 'job', 'string'),
      ...(Array.isArray(job['args']) && { args: job['args'].map(String) }),
      ...pick('stdout_path', 'stdout', 'string'),
      ...pick('stderr_path', 'stderr', 'string'),
    };
  } catch {
    return { error: 'the marker cannot be read' };
  }
}

const marks = { pass: 'ok  ', fail: 'no  ', wait: 'wait', info: '    ' } as const;

function describe(explanation: Explanation, attempts: readonly Attempt[], now: number): string {
  const lines = [
    `${printable(explanation.file)} in watch ${printable(explanation.watch)}: ${explanation.verdict}`,
  ];
  if (explanation.until !== undefined) lines.push(`  next: ${moment(explanation.until, now)}`);
  const width = Math.max(...explanation.rules.map((rule) => rule.rule.length));
  for (const { rule, verdict, detail } of explanation.rules)
    lines.push(`  ${marks[verdict]} ${rule.padEnd(width)}  ${detail}`);
  if (explanation.missing.length > 0) lines.push(`  missing: ${explanation.missing.join(', ')}`);
  if (explanation.members.length > 0)
    lines.push(`  members: ${explanation.members.map(printable).join(', ')}`);
  for (const attempt of attempts) lines.push(...describeAttempt(attempt, now));
  return `${lines.join('\n')}\n`;
}

function describeAttempt(attempt: Attempt, now: number): string[] {
  const when = attempt.ended === undefined ? '' : `, ${moment(attempt.ended * 1000, now)}`;
  const rc = attempt.rc === undefined ? '' : `, exit code ${attempt.rc}`;
  const lines = [
    `  jobs[${attempt.step}] ${attempt.state}${attempt.attempt === undefined ? '' : `, attempt ${attempt.attempt}`}${rc}${when}`,
  ];
  if (attempt.error !== undefined) lines.push(`      error:  ${attempt.error}`);
  if (attempt.args !== undefined && attempt.args.length > 0)
    lines.push(`      ran:    ${commandLine(attempt.args)}`);
  if (attempt.stdout !== undefined) lines.push(`      stdout: ${attempt.stdout}`);
  if (attempt.stderr !== undefined) lines.push(`      stderr: ${attempt.stderr}`);
  lines.push(`      marker: ${printable(attempt.marker)}`);
  return lines;
}
