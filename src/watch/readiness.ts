import type { WatchDefinition } from '../config/schema.js';
import { identityKey } from './identity.js';
import type { Evidence, ObservedFile, PlanInput } from './observation.js';
import { unitIdentity } from './progress.js';
import { membersOf, type Unit } from './unit.js';

export type Readiness =
  | { readonly kind: 'ready' }
  | { readonly kind: 'probe'; readonly what: 'closed' | 'sentinel' | 'check' }
  | {
      readonly kind: 'waiting';
      readonly rule: 'ready.closed' | 'ready.stable' | 'ready.sentinel' | 'ready.check';
      readonly detail: string;
      readonly until?: number;
    };

/**
 * Judges the evidence that a unit is complete, cheapest first; each kind asks for a probe when nobody has looked
 * since the file became what it is, or when the time to look again has come.
 */
export function readiness(watch: WatchDefinition, unit: Unit, input: PlanInput): Readiness {
  const stable = judgeStable(watch, unit, input.now);
  if (stable !== undefined) return stable;
  const { sentinel, closed, check } = watch.ready;
  const known = input.evidence(unit.file.path);
  const evidence = known?.identity === identityKey(unitIdentity(unit)) ? known : undefined;
  if (sentinel !== undefined) {
    const verdict = judgeProbe(evidence?.sentinelAt, 'sentinel', `waits for ${sentinel}`, input.now);
    if (verdict !== undefined) return verdict;
  }
  if (closed) {
    const detail =
      known?.sealed === true
        ? 'nobody may read it yet (its mode is 000)'
        : 'a process has it open for writing';
    // while it is being written its identity changes all the time: the pause between two looks stays
    const openUntil = typeof known?.openUntil === 'number' ? known.openUntil : evidence?.openUntil;
    const verdict = judgeProbe(openUntil, 'closed', detail, input.now);
    if (verdict !== undefined) return verdict;
  }
  return check === undefined ? { kind: 'ready' } : judgeCheck(evidence, input.now);
}

/** Every member must have been seen unchanged for `stable` seconds; time before it was first seen does not count. */
function judgeStable(watch: WatchDefinition, unit: Unit, now: number): Readiness | undefined {
  const { stable } = watch.ready;
  if (stable === undefined) return undefined;
  const members = membersOf(unit);
  const until = members.reduce((latest, member) => Math.max(latest, stableAt(member, stable)), 0);
  if (now >= until) return undefined;
  return { kind: 'waiting', rule: 'ready.stable', detail: `must stay unchanged for ${stable} s`, until };
}

const stableAt = (file: ObservedFile, stable: number): number => file.observedAt + stable * 1000;

function judgeProbe(
  at: number | null | undefined,
  what: 'closed' | 'sentinel',
  detail: string,
  now: number,
): Readiness | undefined {
  if (at === null) return undefined;
  if (at === undefined || now >= at) return { kind: 'probe', what };
  return { kind: 'waiting', rule: `ready.${what}`, detail, until: at };
}

function judgeCheck(evidence: Evidence | undefined, now: number): Readiness {
  const at = evidence?.checkAt;
  if (at === null) return { kind: 'ready' };
  if (at === 'running')
    return { kind: 'waiting', rule: 'ready.check', detail: 'the check command is running' };
  if (at === undefined || now >= at) return { kind: 'probe', what: 'check' };
  return {
    kind: 'waiting',
    rule: 'ready.check',
    detail: 'the check command failed and is tried again',
    until: at,
  };
}

/** ms until the next look at something that was not so: quick at first, then ever slower, at most `longest`. */
export const probeDelay = (tries: number, longest: number): number =>
  Math.min(10 * 2 ** Math.min(tries, 30), longest);
