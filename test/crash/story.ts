import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Violation } from './checker.js';
import { keyOf, serialOf, type Answer, type Evidence } from './evidence.js';
import type { TortureResult } from './torture.js';

type Tell = (at: number | undefined, text: string) => void;

/** All that is known of the identity of a violation, in the order of time; one line each. */
export function historyOf({ evidence, directory }: TortureResult, violation: Violation): string[] {
  const told: { at: number; text: string }[] = [];
  const tell: Tell = (at, text) => void (at !== undefined && told.push({ at, text }));
  tellFile(evidence, violation, tell);
  const jobs = tellAttempts(evidence, violation, tell);
  tellMarkers(evidence, violation, tell);
  for (const { job, at } of evidence.guardianKills)
    if (jobs.has(job)) tell(at, `its guardian was killed (${job})`);
  for (const answer of evidence.answers)
    if (jobs.has(answer.id) || violation.detail.includes(answer.id))
      tell(answer.end_ts ?? Infinity, `agent: ${describe(answer)}`);
  if (told.length === 0) return [];
  const from = Math.min(...told.map(({ at }) => at)) - 0.5;
  const to = Math.max(...told.map(({ at }) => (at === Infinity ? 0 : at))) + 0.5;
  for (const [at, text] of faultsOf(directory)) if (at >= from && at <= to) tell(at, text);
  return told.sort((a, b) => a.at - b.at).map(({ at, text }) => `${at.toFixed(3)} ${text}`);
}

const describe = ({ id, state, reason = '', error = '', start_count: starts }: Answer): string =>
  `${id} ${state} ${reason} ${error} starts ${starts}`;

function tellFile({ versions }: Evidence, { key = '' }: Violation, tell: Tell): void {
  const serial = Number(key.split('/')[2]);
  const version = versions.find((v) => v.serial === serial);
  if (version === undefined) return;
  for (const v of versions.filter(({ watch, name }) => watch === version.watch && name === version.name)) {
    tell(v.begun, `writer of ${v.serial} begins: ${JSON.stringify(v.name)} ${JSON.stringify(v.script)}`);
    tell(v.complete, `${v.serial} complete`);
    tell(v.ended, `${v.serial} replaced, rewritten or removed`);
  }
}

/** @returns the ids of the jobs of this identity */
function tellAttempts({ log }: Evidence, { key }: Violation, tell: Tell): Set<string> {
  const lines = log.filter((line) => keyOf({ ...line, serial: serialOf(line.mtime) ?? 0 }) === key);
  for (const line of lines) {
    const rest = line.kind === 'S' ? `lock ${line.lock}, content ${line.content}` : `status ${line.status}`;
    tell(line.at, `${line.kind} attempt ${line.attempt}, pid ${line.pid}, ${rest}, job ${line.job}`);
  }
  return new Set(lines.map(({ job }) => job));
}

function tellMarkers({ seen, resets }: Evidence, { key }: Violation, tell: Tell): void {
  for (const marker of seen)
    if (keyOf(marker) === key) tell(marker.at, `marker ${marker.state} of job ${marker.job} seen`);
  for (const reset of resets)
    if (reset.key === key) tell(reset.at, `its ${reset.state} marker was removed by the harness`);
}

function faultsOf(directory: string): [number, string][] {
  return readFileSync(join(directory, 'history.log'), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, at, text] = /^(\S+) (fault .*|rest|at rest|.* ended by itself.*)$/.exec(line) ?? [];
      return at === undefined ? [] : [[Number(at), text!] as [number, string]];
    });
}
