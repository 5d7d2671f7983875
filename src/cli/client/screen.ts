import { cut } from './stat-view.js';

/**
 * Lines as they fit on a terminal, the last one saying how many are missing. One row stays free: the line feed after
 * the last line would scroll the first one away. Pure.
 */
export function fitScreen(lines: readonly string[], rows: number, columns: number): string[] {
  const room = Math.max(rows - 1, 1);
  const kept = Math.max(room - 1, 0);
  const shown = lines.length <= room ? lines : [...lines.slice(0, kept), `… ${lines.length - kept} more`];
  return shown.map((line) => cut(line, Math.max(columns, 1)));
}
