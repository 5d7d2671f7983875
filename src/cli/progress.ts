import type { PlanCounts } from '../watch/plan.js';
import type { Context } from './context.js';

export interface Progress {
  turn(watch: string, counts: PlanCounts): void;
  done(): void;
}

/** Fewer files than this need no progress line. */
const LONG_BACKLOG = 50;
const EVERY_MS = 200;

/** On a terminal, one line that follows a long backlog: how many are done, running, failed. It goes away when all is done. */
export function createProgress(context: Context, once: boolean): Progress {
  if (!context.isTerminal) return { turn: () => undefined, done: () => undefined };
  const byWatch = new Map<string, PlanCounts>();
  let last = 0;
  let shown = false;
  const clear = (): void => {
    if (shown) context.err('\r\u001b[K');
    shown = false;
  };
  return {
    turn(watch, counts) {
      byWatch.set(watch, counts);
      const now = context.clock.now();
      const line = progressLine([...byWatch.values()], once);
      if (line === undefined) return clear();
      if (now - last < EVERY_MS) return;
      last = now;
      context.err(`\r\u001b[K${line.slice(0, context.columns - 1)}`);
      shown = true;
    },
    done: clear,
  };
}

/** undefined when there is nothing worth a line. */
export function progressLine(all: readonly PlanCounts[], once: boolean): string | undefined {
  const sum = (key: 'files' | 'done' | 'failed' | 'running' | 'waiting'): number =>
    all.reduce((total, counts) => total + counts[key], 0);
  const left = sum('files') - sum('done') - sum('failed');
  if (sum('files') < LONG_BACKLOG || (sum('running') === 0 && !once) || left <= 0) return undefined;
  const percent = Math.floor((100 * (sum('done') + sum('failed'))) / sum('files'));
  const failed = sum('failed') > 0 ? `, ${sum('failed').toLocaleString('en')} failed` : '';
  return `${percent}%  ${sum('done').toLocaleString('en')} of ${sum('files').toLocaleString('en')} files done, ${sum('running').toLocaleString('en')} in flight${failed}`;
}
