import { readFileSync, readdirSync } from 'node:fs';
import { textToBuffer } from '../../lib/text.js';
import { RUN_VARIABLE } from '../executor.js';

/** A process, not just a number that another one may have by now. */
export interface Identity {
  readonly pid: number;
  /** clock ticks since boot */
  readonly birth: string;
  readonly boot: string;
}

export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly birth: string;
}

let boot: string | undefined;

/** Differs after every boot of the machine. */
export function bootId(): string {
  boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return boot;
}

/** undefined: there is no such process, or it is a zombie. */
export function processStat(pid: number): ProcessStat | undefined {
  if (!isSafePid(pid)) return undefined;
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** @returns undefined for zombies and for what is no stat line */
export function parseStat(line: string): ProcessStat | undefined {
  const end = line.lastIndexOf(')'); // the name may hold spaces and parentheses
  const fields = line.slice(end + 2).split(' ');
  const [state, parent, group, session] = fields;
  const birth = fields[19];
  const pid = Number.parseInt(line, 10);
  if (end < 0 || birth === undefined || state === 'Z' || state === 'X') return undefined;
  return { pid, parent: Number(parent), group: Number(group), session: Number(session), birth };
}

export function isAlive(identity: Identity): boolean {
  return identity.boot === bootId() && processStat(identity.pid)?.birth === identity.birth;
}

/** All processes, leaving out the ones that vanish meanwhile. */
export function allProcesses(): ProcessStat[] {
  const found: ProcessStat[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^[1-9]\d*$/.test(name)) continue;
    const stat = processStat(Number(name));
    if (stat) found.push(stat);
  }
  return found;
}

const FRESH_MS = 20;
let snapshot: { readonly at: number; readonly processes: ProcessStat[] } = { at: -Infinity, processes: [] };

/** All processes as of a moment ago: killing many jobs at once must not read /proc once a job. */
export function recentProcesses(): ProcessStat[] {
  if (performance.now() - snapshot.at > FRESH_MS)
    snapshot = { at: performance.now(), processes: allProcesses() };
  return snapshot.processes;
}

/** process.kill(0), (1) and (-1) reach far more than one job. */
export const isSafePid = (pid: number): boolean => Number.isSafeInteger(pid) && pid > 1;

/** Signals one process if it is still the one meant. */
export function signalProcess(pid: number, birth: string, signal: NodeJS.Signals): boolean {
  if (!isSafePid(pid) || pid === process.pid || processStat(pid)?.birth !== birth) return false;
  return send(pid, signal);
}

/** Signals a process group, of which `member` is known to be alive and in it. */
export function signalGroup(member: ProcessStat, signal: NodeJS.Signals): boolean {
  const now = processStat(member.pid);
  if (now?.birth !== member.birth || !isSafePid(now.group)) return false;
  return send(-now.group, signal);
}

function send(target: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(target, signal);
  } catch {
    return false; // gone meanwhile, or not ours to signal
  }
}

/**
 * The processes of a job: its session, what it started elsewhere while still being the parent, and what was known
 * before. Pure.
 */
export function family(
  leader: Pick<Identity, 'pid' | 'birth'>,
  known: ReadonlyMap<number, string>,
  processes: readonly ProcessStat[],
): ProcessStat[] {
  const members = new Map<number, ProcessStat>();
  const children = new Map<number, ProcessStat[]>();
  for (const one of processes) {
    const siblings = children.get(one.parent);
    if (siblings) siblings.push(one);
    else children.set(one.parent, [one]);
  }
  const queue = processes.filter(
    (p) =>
      p.session === leader.pid ||
      (p.pid === leader.pid && p.birth === leader.birth) ||
      known.get(p.pid) === p.birth,
  );
  for (let next = queue.pop(); next; next = queue.pop()) {
    if (members.has(next.pid) || !isSafePid(next.pid)) continue;
    members.set(next.pid, next);
    queue.push(...(children.get(next.pid) ?? []));
  }
  return [...members.values()];
}

const MOST_REMEMBERED = 20_000;
/** what the environments say, which do not change: process id to birth and run */
const runs = new Map<number, { readonly birth: string; readonly run: string | undefined }>();

/** The run that a process was started in, as its environment has it; undefined also when it may not be read. */
function runOf({ pid, birth }: ProcessStat): string | undefined {
  const known = runs.get(pid);
  if (known?.birth === birth) return known.run;
  if (runs.size >= MOST_REMEMBERED) runs.clear();
  const run = readRun(pid);
  runs.set(pid, { birth, run });
  return run;
}

function readRun(pid: number): string | undefined {
  try {
    const text = `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`;
    const start = text.indexOf(`\0${RUN_VARIABLE}=`);
    return start < 0 ? undefined : text.slice(start + RUN_VARIABLE.length + 2).split('\0', 1)[0];
  } catch {
    return undefined;
  }
}

/** What a run has started that neither its session nor its parents tell of: daemons. */
export function strays(
  leader: Identity,
  path: string,
  members: readonly ProcessStat[],
  processes: readonly ProcessStat[],
): ProcessStat[] {
  const own = new Set(members.map(({ pid }) => pid));
  const name = textToBuffer(path).toString('latin1');
  return processes.filter(
    (one) => Number(one.birth) >= Number(leader.birth) && !own.has(one.pid) && runOf(one) === name,
  );
}

const NOBODY = { pid: -1, birth: '' };

/**
 * The processes of a job whose leader ended before anybody looked: those with its mark, what they started, and what
 * was known before. The leader's number may be another's by now: it counts only while a marked process is in that session
 * or group, since the kernel gives away no number that is in such use.
 */
export function orphans(
  leader: Identity,
  path: string,
  known: ReadonlyMap<number, string>,
  processes: readonly ProcessStat[],
): ProcessStat[] {
  const marked = strays(leader, path, [], processes);
  const isHeld = marked.some(({ session, group }) => session === leader.pid || group === leader.pid);
  const births = new Map([...known, ...marked.map(({ pid, birth }) => [pid, birth] as const)]);
  return family(isHeld ? leader : NOBODY, births, processes);
}
