import { readFileSync } from 'node:fs';
import {
  allProcesses,
  processStat,
  signalProcess,
  type ProcessStat,
} from '../../src/executors/process/proc.js';
import { parseJournal } from '../../src/executors/process/journals.js';
import { journals } from '../support/journals.js';
import type { World } from './world.js';

/** What of this run is alive: by the token in its environment, or because it runs the copy of the product. */
export function processesOf(world: World): (ProcessStat & { readonly what: string })[] {
  return allProcesses().flatMap((stat) => {
    const command = read(`/proc/${stat.pid}/cmdline`).replaceAll('\0', ' ').trim();
    const isOurs =
      command.includes(world.product) || read(`/proc/${stat.pid}/environ`).split('\0').includes(world.token);
    return isOurs && stat.pid !== process.pid ? [{ ...stat, what: command }] : [];
  });
}

export interface GuardedRun {
  readonly job: string;
  readonly pid: number;
  readonly birth: string;
}

/** Runs whose guardian is alive and has not written an end. */
export const guardedRuns = (state: string): GuardedRun[] =>
  openRuns(state).filter(({ pid, birth }) => processStat(pid)?.birth === birth);

/** Runs without an end that this guardian had begun. */
export const runsOf = (state: string, guardian: GuardedRun): GuardedRun[] =>
  openRuns(state).filter(({ pid, birth }) => pid === guardian.pid && birth === guardian.birth);

function openRuns(state: string): GuardedRun[] {
  return journals(state).flatMap((text) => {
    const { guardian, runs } = parseJournal(text);
    if (guardian === undefined) return [];
    const open = [...runs].filter(([, { exit }]) => exit === undefined);
    return open.map(([name]) => ({ job: jobOf(name), pid: guardian.pid, birth: guardian.birth }));
  });
}

/** Our ids are fit to be names of files. */
const jobOf = (run: string): string => run.replace(/\.\d+$/, '');

/** Ends what a run left, so that a failed one does not disturb the next. */
export function endAll(world: World): void {
  for (const { pid, birth } of processesOf(world)) signalProcess(pid, birth, 'SIGKILL');
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
