import { readFileSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ResolvedConfig } from '../../config/load.js';
import type { WatchDefinition } from '../../config/schema.js';
import { UserError } from '../../lib/errors.js';
import { bytesToBuffer, printable, textToBytes, unprintable } from '../../lib/text.js';
import { explain, type Explanation } from '../../watch/explain.js';
import { isLink, look } from '../../watch/folder-scan.js';
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
  const absolute = meant(file, context.cwd);
  const watches = config.watches.filter(
    (watch) => watch.lists.length > 0 && relativeTo(watch, absolute) !== undefined,
  );
  if (watches.length === 0) throw new UserError(noWatch(file, absolute, config.watches));
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

/** The file of this name, or else the one that `plan` shows like this. */
function meant(file: string, cwd: string): string {
  const paths = [file, ...unprintable(file)].map((text) => resolve(cwd, text));
  const found = paths.find(isThere);
  if (found === undefined && file.includes('\ufffd'))
    throw new UserError(
      `${file}: bytes that are no UTF-8 do not reach this program; write the name as plan prints it, such as 'bad\\xff.dat'`,
    );
  return found ?? paths[0]!;
}

function isThere(path: string): boolean {
  const bytes = textToBytes(path);
  return look(bytes).kind !== 'gone' || isLink(bytes);
}

/** What to give instead: the name of a watch is taken for one of a file, and a service has no files. */
function noWatch(file: string, absolute: string, watches: readonly WatchDefinition[]): string {
  const named = watches.find(({ name }) => name === file);
  if (named?.lists.length === 0)
    return `${printable(file)} is a watch without globs: it keeps its jobs running and looks at no files, so there is nothing to explain; meeseeks-watch status counts its jobs`;
  const places = watches.map((watch) =>
    watch.lists.length === 0 || watch.path === undefined
      ? `  ${printable(watch.name)}: no files, it keeps its jobs running`
      : `  ${printable(watch.name)}: ${printable(watch.path)}${watch.recursive ? ' (and below)' : ''}`,
  );
  const what = named === undefined ? '' : `${printable(file)} is a watch, not a file; `;
  return `${what}no watch looks at ${printable(absolute)}; the watches look at\n${places.join('\n')}`;
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
