import { shellQuoted } from '../lib/text.js';

/** A moment as people say it: `in 12 s (14:03:10)`, or `12 s ago`. @param at ms since the epoch */
export function moment(at: number, now: number): string {
  const delta = at - now;
  const clock = new Date(at).toTimeString().slice(0, 8);
  return delta >= 0 ? `in ${duration(delta)} (${clock})` : `${duration(-delta)} ago`;
}

/** @param ms milliseconds */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

/** Columns padded to their widest cell; numbers to the right. The last column is cut to fit the width. */
export function table(
  rows: readonly (readonly string[])[],
  numeric: ReadonlySet<number>,
  width: number,
): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          numeric.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
        )
        .join('  ')
        .trimEnd()
        .slice(0, width),
    )
    .join('\n');
}

/** A command as a person may paste it into bash, with every argument as it is. */
export function commandLine([program, ...args]: readonly string[]): string {
  if (program === undefined) return '';
  const first = shellQuoted(program);
  // bare, NAME=value in front would be an assignment
  const isAssignment = first === program && program.includes('=');
  return [isAssignment ? `'${program}'` : first, ...args.map(shellQuoted)].join(' ');
}
