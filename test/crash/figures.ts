import { Facts } from './checker.js';
import type { Evidence } from './evidence.js';
import type { FaultKind } from './scenario.js';

/** What a run of the torture did, in numbers. */
export interface Figures {
  readonly files: number;
  readonly attempts: number;
  readonly successes: number;
  /** successes whose result could not be known, by what the harness did: their files ran once more */
  readonly excused: Readonly<Record<'lost' | 'killed' | 'signal' | 'timeout', number>>;
  readonly faults: Readonly<Record<FaultKind, number>>;
  readonly starts: number;
  /** running jobs that a start took over */
  readonly adoptions: number;
  readonly lost: number;
  readonly markers: number;
  readonly resets: number;
  /** submits of the harness itself that the agent acknowledged, and kills */
  readonly direct: number;
  readonly kills: number;
  readonly samples: number;
}

export function figuresOf(
  evidence: Evidence,
  faults: Readonly<Record<FaultKind, number>>,
  more: { direct: number; starts: number; adoptions: number; samples: number },
): Figures {
  const facts = new Facts(evidence);
  const good = facts.attempts.filter(({ end }) => end?.status === 0);
  const excuses = good.map((attempt) => facts.excuse(attempt));
  const count = (excuse: string): number => excuses.filter((one) => one === excuse).length;
  return {
    files: evidence.versions.length,
    attempts: facts.attempts.length,
    successes: good.length,
    excused: {
      lost: count('lost'),
      killed: count('killed'),
      signal: count('signal'),
      timeout: count('timeout'),
    },
    faults: { ...faults },
    lost: evidence.answers.filter(({ reason }) => reason === 'lost').length,
    markers: evidence.seen.length,
    resets: evidence.resets.length,
    kills: evidence.kills.length,
    ...more,
  };
}

/** Adds up figures, key by key. */
export function addFigures<T extends object>(a: T | undefined, b: T): T {
  if (a === undefined) return b;
  const sum = Object.entries(b).map(([key, value]: [string, unknown]) => {
    const before = a[key as keyof T];
    return [
      key,
      typeof value === 'number' ? Number(before) + value : addFigures(before as object, value as object),
    ];
  });
  return Object.fromEntries(sum) as T;
}
