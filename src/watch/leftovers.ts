import type { Plan } from './plan.js';

/** What a watch has not processed, in phrases for people. */
export interface Leftovers {
  /** may become ready by itself */
  readonly waiting: readonly string[];
  /** needs another run, or a person */
  readonly failed: readonly string[];
}

/** Rules that keep files out on purpose. */
const intended = new Set(['max_age', 'max_index', 'skip']);

export function leftoversOf({ waiting, counts }: Pick<Plan, 'waiting' | 'counts'>): Leftovers {
  const rules = new Map<string, number>();
  for (const { rule } of waiting) if (!intended.has(rule)) rules.set(rule, (rules.get(rule) ?? 0) + 1);
  const rerun = rules.get('retry') ?? 0;
  const failures: [number, string][] = [
    [rerun, 'failed, to be run again'],
    [counts.failed - rerun, 'failed for good'],
    [counts.killed, 'killed'],
    [rules.get('error') ?? 0, 'can have no job'],
  ];
  return {
    waiting: [...rules].flatMap(([rule, n]) =>
      rule === 'retry' || rule === 'error' ? [] : [`${n} for ${rule}`],
    ),
    failed: failures.flatMap(([n, what]) => (n > 0 ? [`${n} ${what}`] : [])),
  };
}
