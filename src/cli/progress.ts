import type { PlanCounts } from '../watch/plan.js';
import type { Context } from './context.js';

export interface Progress {
  turn(watch: string, counts: PlanCounts): void;
  /** Writes a line of the log above the progress line. */
  write(text: string): void;
  done(): void;
}

/** Fewer files than this need no progress line. */
const LONG_BACKLOG = 50;
const EVERY_MS = 200;
const CLEAR = '\r\u001b[K';

/** On a terminal, one line that follows a long backlog: how many are done, running, failed. It goes away when all is done. */
export function createProgress(context: Context): Progress {
  if (!context.isTerminal) return { turn: () => undefined, write: context.err, done: () => undefined };
  const byWatch = new Map<string, PlanCounts>();
  let last = 0;
  let shown = '';
  const show = (line: string): void => {
    if (line !== shown) context.err(`${CLEAR}${line}`);
    shown = line;
  };
  return {
    turn(watch, counts) {
      byWatch.set(watch, counts);
      const now = context.clock.now();
      const line = progressLine([...byWatch.values()]);
      if (line !== '' && now - last < EVERY_MS) return;
      last = now;
      show(line.slice(0, context.columns - 1));
    },
    write: (text) => context.err(shown === '' ? text : `${CLEAR}${text}${shown}`),
    done: () => show(''),
  };
}

/** Empty when there is nothing worth a line: few files, or none that could run now. */
export function progressLine(all: readonly PlanCounts[]): string {
  const sum = (key: 'files' | 'done' | 'failed' | 'killed' | 'running' | 'ready'): number =>
    all.reduce((total, counts) => total + counts[key], 0);
  const left = sum('ready') + sum('running');
  if (sum('files') < LONG_BACKLOG || left === 0) return '';
  const done = sum('done') + sum('failed') + sum('killed');
  const percent = Math.floor((100 * done) / (done + left));
  const number = (n: number): string => n.toLocaleString('en');
  const failed = sum('failed') > 0 ? `, ${number(sum('failed'))} failed` : '';
  return `${percent}%  ${number(sum('done'))} done, ${number(sum('ready'))} ready, ${number(sum('running'))} running${failed}`;
}
