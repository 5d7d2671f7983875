import type { Script, WatchName } from './scenario.js';

/** Who starts jobs: a watch, or the harness itself at an agent on a socket. */
export type Source = WatchName | 'direct';

/** What a run of the torture leaves for the checker. Times are seconds since the epoch, of one clock. */
export interface Evidence {
  readonly versions: readonly Version[];
  readonly log: readonly LogLine[];
  readonly answers: readonly Answer[];
  /** every marker that was ever seen, with the moment of the first look; the last look is `final` */
  readonly seen: readonly SeenMarker[];
  readonly final: readonly SeenMarker[];
  readonly torn: readonly { readonly name: string; readonly at: number; readonly content: string }[];
  readonly guardianKills: readonly { readonly job: string; readonly at: number }[];
  readonly jobKills: readonly { readonly pid: number; readonly birth: string; readonly at: number }[];
  /** moments at which all running jobs were asked to end, and how long that may have taken */
  readonly killStops: readonly { readonly from: number; readonly to: number }[];
  /** kills of single jobs that the agent acknowledged */
  readonly kills: readonly { readonly job: string; readonly at: number }[];
  /** markers that were taken away on purpose, when all was quiet */
  readonly resets: readonly { readonly key: string; readonly at: number; readonly state: string }[];
  /** submits that were acknowledged, and that the agent did not know after a crash */
  readonly forgotten: readonly { readonly job: string; readonly at: number }[];
  /** ends of a process that nobody asked for */
  readonly deaths: readonly { readonly who: string; readonly how: string; readonly at: number }[];
  readonly leftBehind: readonly string[];
  /** what had not come to an end when patience did */
  readonly unsettled: readonly string[];
  /** seconds an attempt was seen alive at, by `pid birth`, for those that never told their end */
  readonly aliveUntil: ReadonlyMap<string, number>;
  readonly slots: Readonly<Record<Source, { readonly pool: string; readonly slots: number }>>;
}

/** A file as it was completed once. Its serial is its mtime, so that a job tells which one it was started for. */
export interface Version {
  readonly serial: number;
  readonly watch: WatchName;
  readonly name: string;
  readonly script: Script;
  /** when its writer began: from then on the version before may be read half */
  begun: number;
  /** complete under its name; undefined while it is not, or when it never was */
  complete: number | undefined;
  /** when the next one, or a removal, began */
  ended: number | undefined;
}

export interface Start {
  readonly kind: 'S';
  readonly watch: Source;
  readonly step: number;
  /** the mtime it was started for, as text: a serial, or a time when the file was not complete */
  readonly mtime: string;
  readonly attempt: number;
  readonly pid: number;
  readonly birth: string;
  readonly at: number;
  readonly lock: 'free' | 'taken';
  /** serial in the file when it was read, `gone` or `empty` */
  readonly content: string;
  readonly whole: boolean;
  readonly job: string;
}

export interface End {
  readonly kind: 'E';
  readonly watch: Source;
  readonly step: number;
  readonly mtime: string;
  readonly attempt: number;
  readonly pid: number;
  readonly birth: string;
  readonly at: number;
  readonly status: number;
  readonly job: string;
}

export type LogLine = Start | End;

export interface Answer {
  readonly id: string;
  readonly state: string;
  readonly reason?: string | undefined;
  readonly error?: string | undefined;
  readonly start_ts?: number | undefined;
  readonly end_ts?: number | undefined;
  readonly start_count: number;
}

export interface SeenMarker {
  readonly watch: string;
  readonly step: number;
  readonly state: string;
  readonly serial: number;
  readonly job: string;
  readonly attempt: number;
  readonly at: number;
  /** of the marker, bytes as latin1 */
  readonly path: string;
}

/** The serial stands in the mtime as whole seconds after this moment. */
export const EPOCH = 1_000_000_000;

/** @returns undefined for a time that no complete version has */
export function serialOf(mtime: string): number | undefined {
  const serial = Number(mtime) - EPOCH;
  return Number.isInteger(serial) && serial > 0 && serial < 1_000_000 ? serial : undefined;
}

/** An identity for people and for maps: watch, step, serial. */
export const keyOf = (line: { watch: string; step: number; serial: number }): string =>
  `${line.watch}/${line.step}/${line.serial}`;

/** The log of the jobs; a line that is none is a fault of the harness. @throws Error naming it */
export function parseLog(text: string): LogLine[] {
  return text.split('\n').slice(0, -1).map(parseLine);
}

function parseLine(line: string): LogLine {
  const [kind, watch, step, mtime, attempt, pid, birth, at, ...rest] = line.split(' ');
  const base = {
    watch: watch as Source,
    step: Number(step),
    mtime: mtime!,
    attempt: Number(attempt),
    pid: Number(pid),
    birth: birth!,
    at: Number(at),
  };
  if (kind === 'S' && rest.length === 4)
    return {
      kind,
      ...base,
      lock: rest[0] as Start['lock'],
      content: rest[1]!,
      whole: rest[2] === 'yes',
      job: rest[3]!,
    };
  if (kind === 'E' && rest.length === 2) return { kind, ...base, status: Number(rest[0]), job: rest[1]! };
  throw new Error(`the jobs' log has a line that no job wrote: ${JSON.stringify(line)}`);
}
