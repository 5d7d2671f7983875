import type { Location } from './tree.js';

export interface Problem {
  readonly severity: 'error' | 'warning';
  readonly file?: string;
  /** 1-based; absent on the command line and for a file that cannot be read */
  readonly line?: number;
  readonly column?: number;
  /** where in the configuration, e.g. watch.a.jobs[0].args */
  readonly path?: string;
  /** what was expected and what was found */
  readonly message: string;
  /** what to do about it */
  readonly hint?: string;
  /** something is absent: it may be in a file that could not be parsed, or in an unknown template */
  readonly absent?: true;
}

/** Names and list positions from the top of the configuration down. */
export type Path = readonly (string | number)[];

/** Problems that share a cause are found once a watch; the reader needs each position once. */
export function uniqueProblems(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  return problems.filter((problem) => {
    const { severity, file, line, column, message } = problem;
    const place = line === undefined ? problem.path : undefined;
    const identity = JSON.stringify([severity, file, line, column, place, message]);
    return !seen.has(identity) && seen.add(identity);
  });
}

/** In the order of the files, each from top to bottom; then those of the command line. */
export function sortProblems(problems: readonly Problem[], order: readonly string[]): Problem[] {
  const files = [...new Set([...order, ...problems.map(({ file }) => file)])];
  return problems.toSorted(
    (a, b) =>
      files.indexOf(a.file) - files.indexOf(b.file) ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0),
  );
}

/** What is wrong whatever else there may be: nothing that only looks absent or superfluous. */
export const certain = (problems: readonly Problem[]): Problem[] =>
  problems.filter(({ severity, absent }) => severity === 'error' && absent !== true);

export const hasErrors = (problems: readonly Problem[]): boolean =>
  problems.some((problem) => problem.severity === 'error');

export const errorAt = (at: Location | undefined, path: Path, message: string, hint?: string): Problem =>
  problemAt('error', at, path, message, hint);

export const warningAt = (at: Location | undefined, path: Path, message: string, hint?: string): Problem =>
  problemAt('warning', at, path, message, hint);

/** Something is not there that another file could have brought. */
export const absentAt = (at: Location | undefined, path: Path, message: string, hint?: string): Problem => ({
  ...errorAt(at, path, message, hint),
  absent: true,
});

function problemAt(
  severity: Problem['severity'],
  at: Location | undefined,
  path: Path,
  message: string,
  hint?: string,
): Problem {
  return {
    severity,
    ...at,
    ...(path.length > 0 && { path: formatPath(path) }),
    message,
    ...(hint !== undefined && { hint }),
  };
}

/** `watch."a.b".jobs[0].args`: parts that contain a dot or the like are quoted, as on the command line. */
export function formatPath(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      const text = /^[^\s."\\=:[\]]+$/.test(part) ? part : JSON.stringify(part);
      return index === 0 ? text : `.${text}`;
    })
    .join('');
}

/** One line: `file:line:col: error: watch.a.min_age: expected ..., found ...; what to do`. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, severity, path, message, hint } = problem;
  const position = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  const where = path !== undefined && file !== `${COMMAND_LINE}${path}` ? path : undefined;
  const head = [position, severity, where].filter((part) => part !== undefined);
  return oneLine(`${[...head, message].join(': ')}${hint === undefined ? '' : `; ${hint}`}`);
}

/** Start of the `file` of whatever came from an argument. */
export const COMMAND_LINE = 'command line: ';

/** A value as it stood in the file, short enough for a message. */
export function quote(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object' && value !== null) {
    return Object.keys(value).length === 0 ? 'an empty mapping' : 'a mapping';
  }
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 76)}..."` : text;
}

const oneLine = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- control characters are what is escaped here
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) =>
    JSON.stringify(character).slice(1, -1),
  );
