import {
  keyOf,
  serialOf,
  type Answer,
  type End,
  type Evidence,
  type Start,
  type Version,
} from './evidence.js';
import { MOST_ATTEMPTS } from './scenario.js';

export const violationKinds = [
  'overlap',
  'slots',
  'ran-twice',
  'never-succeeded',
  'no-marker',
  'too-many-attempts',
  'started-after-kill',
  'half-written',
  'torn-marker',
  'unearned-marker',
  'forgotten-submit',
  'unexplained-end',
  'left-behind',
  'died',
  'unsettled',
] as const;
export type ViolationKind = (typeof violationKinds)[number];

export interface Violation {
  readonly kind: ViolationKind;
  /** the identity concerned, when it is one */
  readonly key?: string;
  readonly detail: string;
}

export interface Attempt {
  readonly start: Start;
  readonly end: End | undefined;
  readonly key: string;
  readonly answer: Answer | undefined;
}

/** What the promise says of one run of the torture, from its evidence alone. Pure. */
export function check(evidence: Evidence): Violation[] {
  const facts = new Facts(evidence);
  return [
    ...overlaps(facts),
    ...overSlots(facts),
    ...successes(facts),
    ...missingMarkers(facts),
    ...tooManyAttempts(facts),
    ...startedAfterKill(facts),
    ...halfWritten(facts),
    ...unearned(facts),
    ...unexplainedEnds(facts),
    ...evidence.torn.map((t) => ({ kind: 'torn-marker' as const, detail: `${t.name}: ${t.content}` })),
    ...evidence.forgotten.map((f) => ({ kind: 'forgotten-submit' as const, detail: f.job })),
    ...evidence.leftBehind.map((detail) => ({ kind: 'left-behind' as const, detail })),
    ...evidence.deaths.map((d) => ({ kind: 'died' as const, detail: `${d.who}: ${d.how}` })),
    ...evidence.unsettled.map((detail) => ({ kind: 'unsettled' as const, detail })),
  ];
}

/** Evidence with its parts joined: attempts with their ends and the agent's answers. */
export class Facts {
  readonly attempts: Attempt[];
  readonly byKey = new Map<string, Attempt[]>();
  readonly versions: ReadonlyMap<number, Version>;
  readonly answers: ReadonlyMap<string, Answer>;
  readonly lostOnPurpose: ReadonlySet<string>;
  readonly lastStep: ReadonlyMap<string, number>;

  constructor(readonly evidence: Evidence) {
    this.versions = new Map(evidence.versions.map((version) => [version.serial, version]));
    this.answers = new Map(evidence.answers.map((answer) => [answer.id, answer]));
    this.lostOnPurpose = new Set(evidence.guardianKills.map(({ job }) => job));
    const ends = new Map<string, End>();
    for (const line of evidence.log) if (line.kind === 'E') ends.set(processOf(line), line);
    this.attempts = evidence.log.flatMap((start) => {
      if (start.kind === 'E') return [];
      const key = keyOf({ ...start, serial: serialOf(start.mtime) ?? 0 });
      return [{ start, end: ends.get(processOf(start)), key, answer: this.answers.get(start.job) }];
    });
    for (const attempt of this.attempts) {
      const known = this.byKey.get(attempt.key);
      if (known) known.push(attempt);
      else this.byKey.set(attempt.key, [attempt]);
    }
    this.lastStep = new Map();
  }

  /** Files that are complete and there at the end, with each step that is due for them. */
  expected(): { version: Version; step: number; key: string }[] {
    return expectedKeys(this.evidence.versions);
  }

  resets(key: string): number {
    return this.evidence.resets.filter((reset) => reset.key === key).length;
  }

  /**
   * Why the result of an attempt that ended well may not be known as such: its guardian, or the job itself, was
   * killed by the harness, or it was asked to end, or it ended in the instant in which its time was over. Nothing else
   * may lose a success.
   */
  excuse(attempt: Attempt): 'lost' | 'killed' | 'signal' | 'timeout' | undefined {
    const { answer, start } = attempt;
    if (answer?.reason === 'lost' && this.lostOnPurpose.has(start.job)) return 'lost';
    const askedToEnd =
      this.evidence.killStops.some(({ from, to }) => start.at <= to && (attempt.end?.at ?? to) >= from - 1) ||
      this.evidence.kills.some(({ job }) => job === start.job);
    if (answer?.state === 'killed' && askedToEnd) return 'killed';
    if (answer?.reason === 'timeout' && !(tookSeconds(attempt) < LEAST_RUNTIME)) return 'timeout';
    const shot = this.evidence.jobKills.some((k) => k.pid === start.pid && k.birth === start.birth);
    return answer?.reason === 'signal' && shot ? 'signal' : undefined;
  }
}

/** Identities that must have come to a result: the versions that are there, by step. Pure. */
export function expectedKeys(
  versions: readonly Version[],
): { version: Version; step: number; key: string }[] {
  const there = versions.filter((v) => v.complete !== undefined && v.ended === undefined);
  const newest = there
    .filter((v) => v.watch === 'chain')
    .reduce<string>((last, v) => (v.name > last ? v.name : last), '');
  return there.flatMap((version) => {
    const steps = version.watch === 'chain' && version.name !== newest ? [0, 1] : [0];
    return steps.map((step) => ({ version, step, key: keyOf({ ...version, step }) }));
  });
}

export const processOf = (line: { pid: number; birth: string }): string => `${line.pid} ${line.birth}`;

function overlaps({ attempts, byKey }: Facts): Violation[] {
  const taken = attempts
    .filter(({ start }) => start.lock === 'taken')
    .map(({ key, start }) => ({
      kind: 'overlap' as const,
      key,
      detail: `pid ${start.pid} started while another attempt held the lock`,
    }));
  const crossed = [...byKey].flatMap(([key, list]) =>
    list
      .filter((attempt, i) => list.slice(0, i).some((other) => other.end && other.end.at > attempt.start.at))
      .map(({ start }) => ({
        kind: 'overlap' as const,
        key,
        detail: `pid ${start.pid} started before another attempt's end`,
      })),
  );
  return [...taken, ...crossed];
}

/** An attempt that never told its end counts for as long as its process was seen. */
function overSlots({ attempts, evidence }: Facts): Violation[] {
  const pools = new Map<string, { slots: number; changes: { at: number; by: 1 | -1; what: string }[] }>();
  for (const { start, end, key } of attempts) {
    const { pool, slots } = evidence.slots[start.watch];
    const known = pools.get(pool) ?? { slots, changes: [] };
    pools.set(pool, known);
    const until = end?.at ?? Math.max(evidence.aliveUntil.get(processOf(start)) ?? 0, start.at);
    known.changes.push({ at: start.at, by: 1, what: key }, { at: until, by: -1, what: key });
  }
  return [...pools].flatMap(([pool, { slots, changes }]) => {
    let running = 0;
    const over = changes.sort((a, b) => a.at - b.at || a.by - b.by).find(({ by }) => (running += by) > slots);
    return over === undefined
      ? []
      : [{ kind: 'slots' as const, key: over.what, detail: `${running} jobs in pool ${pool} of ${slots}` }];
  });
}

function successes(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const [key, attempts] of facts.byKey) {
    const good = attempts.filter((attempt) => attempt.end?.status === 0);
    const counted = good.filter((attempt) => facts.excuse(attempt) === undefined);
    const most = 1 + facts.resets(key);
    if (counted.length > most)
      found.push({ kind: 'ran-twice', key, detail: `${counted.length} successes, expected ${most}` });
  }
  for (const { key, version } of facts.expected()) {
    const good = (facts.byKey.get(key) ?? []).filter((attempt) => attempt.end?.status === 0).length;
    if (good === 0 && !isExhausted(facts, key, version) && !isKilled(facts, key))
      found.push({ kind: 'never-succeeded', key, detail: JSON.stringify(version.name) });
    const done = facts.evidence.resets.filter((r) => r.key === key && r.state === 'done').length;
    if (done > 0 && good < 1 + done && !isKilled(facts, key))
      found.push({ kind: 'never-succeeded', key, detail: 'not run again after its marker was removed' });
  }
  return found;
}

function isExhausted({ evidence }: Facts, key: string, version: Version): boolean {
  const marker = evidence.final.find((m) => keyOf(m) === key && m.state === 'failed');
  return version.watch === 'lim' && marker !== undefined && marker.attempt >= MOST_ATTEMPTS;
}

const isKilled = ({ evidence }: Facts, key: string): boolean =>
  evidence.killStops.length > 0 && evidence.final.some((m) => keyOf(m) === key && m.state === 'killed');

function missingMarkers(facts: Facts): Violation[] {
  const there = new Set(facts.evidence.final.map(keyOf));
  return facts
    .expected()
    .filter(({ key }) => !there.has(key))
    .map(({ key, version }) => ({ kind: 'no-marker', key, detail: JSON.stringify(version.name) }));
}

function tooManyAttempts(facts: Facts): Violation[] {
  return [...facts.byKey]
    .filter(([key]) => key.startsWith('lim/'))
    .flatMap(([key, attempts]) => {
      const most = MOST_ATTEMPTS * (1 + facts.resets(key));
      return attempts.length > most
        ? [{ kind: 'too-many-attempts' as const, key, detail: `${attempts.length} attempts, limit ${most}` }]
        : [];
    });
}

/** A `.killed` marker is the acknowledgement that the watcher gives; an answer to a kill is that of the agent. */
function startedAfterKill({ evidence, attempts }: Facts): Violation[] {
  const resetAt = (key: string): number =>
    evidence.resets.find((reset) => reset.key === key && reset.state === 'killed')?.at ?? Infinity;
  const killed = new Map<string, number>();
  for (const marker of evidence.seen)
    if (marker.state === 'killed')
      killed.set(keyOf(marker), Math.min(marker.at, killed.get(keyOf(marker)) ?? Infinity));
  const byJob = new Map(evidence.kills.map(({ job, at }) => [job, at]));
  return attempts
    .filter(({ key, start, answer }) => {
      if (start.at > (killed.get(key) ?? Infinity) && start.at < resetAt(key)) return true;
      const kill = byJob.get(start.job) ?? Infinity;
      // a start that was recorded before is under way, and is ended
      return (answer?.start_ts ?? 0) > kill || start.at > kill + STARTING_SECONDS;
    })
    .map(({ key, start }) => ({ kind: 'started-after-kill', key, detail: `job ${start.job}` }));
}

function halfWritten({ attempts, versions, evidence }: Facts): Violation[] {
  return attempts.flatMap(({ key, start }): Violation[] => {
    if (start.watch === 'direct') return [];
    const version = versions.get(serialOf(start.mtime) ?? 0);
    if (version === undefined)
      return [{ kind: 'half-written', key: `${start.watch}/${start.mtime}`, detail: `started for a state of the file that its writer had not completed: mtime ${start.mtime}` }]; // prettier-ignore
    if (version.ended !== undefined && version.ended <= start.at) return [];
    if (start.whole && Number(start.content) === version.serial) return [];
    const later = evidence.versions.some(
      (v) => v.serial === Number(start.content) && v.name === version.name && v.begun <= start.at,
    );
    return start.whole && later
      ? []
      : [
          {
            kind: 'half-written',
            key,
            detail: `saw ${start.content}, ${start.whole ? 'whole' : 'not whole'}`,
          },
        ];
  });
}

function unearned({ byKey, evidence }: Facts): Violation[] {
  return evidence.seen
    .filter((marker) => marker.state === 'done')
    .filter((marker) => !hasEarned(byKey.get(keyOf(marker)) ?? [], marker))
    .map((marker) => ({
      kind: 'unearned-marker',
      key: keyOf(marker),
      detail: `.done of job ${marker.job}, which had not ended well by then`,
    }));
}

const hasEarned = (attempts: readonly Attempt[], marker: { job: string; at: number }): boolean =>
  attempts.some(
    ({ start, end }) => start.job === marker.job && end?.status === 0 && end.at <= marker.at + 0.001,
  );

/** How a job ended is what the job says, unless the harness interfered. */
function unexplainedEnds(facts: Facts): Violation[] {
  const attempts = new Map(facts.attempts.map((attempt) => [attempt.start.job, attempt]));
  return facts.evidence.answers.flatMap((answer): Violation[] => {
    const attempt = attempts.get(answer.id);
    const why = explain(facts, answer, attempt);
    const detail = `job ${answer.id} is ${answer.state}, ${answer.reason ?? 'no reason'}: ${why ?? ''}`;
    if (why === undefined) return [];
    return [
      attempt ? { kind: 'unexplained-end', key: attempt.key, detail } : { kind: 'unexplained-end', detail },
    ];
  });
}

/** @returns what is wrong */
function explain(facts: Facts, answer: Answer, attempt: Attempt | undefined): string | undefined {
  const { reason, state } = answer;
  if (state === 'new' || state === 'running') return 'it has not ended';
  if (state === 'killed')
    return facts.evidence.killStops.length + facts.evidence.kills.length > 0
      ? undefined
      : 'nobody asked for it';
  if (reason === 'lost') return facts.lostOnPurpose.has(answer.id) ? undefined : 'nobody killed its guardian';
  if (attempt === undefined) return 'it has ended, but never began';
  if (reason === 'signal') return facts.excuse(attempt) === undefined ? 'nobody killed it' : undefined;
  if (reason === 'timeout')
    return facts.excuse(attempt) === undefined
      ? `it took ${tookSeconds(attempt).toFixed(2)} s only`
      : undefined;
  if (reason !== 'exit') return 'no job of the torture does that';
  const status = attempt.end?.status;
  return (status === 0) === (state === 'done') ? undefined : `the job said ${status ?? 'nothing'}`;
}

/** Between the record of a start and the first word of its job, at most, on a busy machine. */
const STARTING_SECONDS = 2;

/** `runtime` of the jobs of the watch `slow`, seconds. */
export const RUNTIME = 1.5;

/** By the job's own words, of which the first comes a little after its start on a busy machine. */
const LEAST_RUNTIME = RUNTIME - 0.5;

const tookSeconds = ({ start, end }: Attempt): number => (end?.at ?? Infinity) - start.at;
