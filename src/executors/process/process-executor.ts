import { mkdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.js';
import type { Executor, Run, RunEnd, RunEvents } from '../executor.js';
import { GuardianPool } from './guardian-pool.js';
import { findPrograms } from './guardian.js';
import type { Programs } from './guardian.js';
import { Killer } from './killer.js';
import { bootId, isAlive } from './proc.js';
import type { Identity } from './proc.js';
import { claimForAgent, encodeRequest, readEnd, readLeader, readRun, tooLong } from './run-files.js';

/** How often runs without a guardian of ours are looked at. */
const POLL_MS = 200;
/** A guardian was killed while its child was writing the pid file: the child may still come up. */
const SETTLE_MS = 2_000;

interface ActiveRun {
  readonly directory: string;
  readonly events: RunEvents;
  /** adopted, or its guardian died: found out by polling */
  polled: boolean;
  started: boolean;
  graceMs: number | undefined;
  killer: Killer | undefined;
  family: 'unharmed' | 'dying' | 'gone';
  end: RunEnd | undefined;
  unseenSince: number | undefined;
}

/** Runs jobs as processes of this machine, each under a guardian shell that outlives the agent. */
export class ProcessExecutor implements Executor {
  readonly epoch = bootId();
  private readonly runs = new Map<string, ActiveRun>();
  private readonly guardians: GuardianPool<ActiveRun>;
  private readonly timers = new Map<string, () => void>();
  private stopped = false;

  /** @throws Error when a program that every job needs is not installed */
  constructor(
    private readonly clock: Clock,
    programs: Programs = findPrograms(),
  ) {
    this.guardians = new GuardianPool(programs, clock, {
      line: (run, text) => this.heard(run, text),
      refused: (run, error) => this.refuse(run, error),
      lost: (run) => this.follow(run),
    });
  }

  start(run: Run, events: RunEvents): void {
    const active = this.register(run.directory, events);
    try {
      const tooBig = tooLong(run);
      if (tooBig !== undefined) throw new Error(tooBig);
      prepare(run);
      this.guardians.run(active, run.directory);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.later(`end ${run.directory}`, 0, () => this.refuse(active, why));
    }
  }

  adopt(directory: string, epoch: string, events: RunEvents): void {
    const run = this.register(directory, events);
    if (epoch === this.epoch) this.follow(run);
    else this.later(`look ${directory}`, 0, () => this.endAfterReboot(run));
  }

  kill(directory: string, graceMs: number): void {
    const run = this.runs.get(directory);
    if (!run || run.graceMs !== undefined || run.end) return;
    run.graceMs = graceMs;
    this.startKiller(run);
  }

  stop(): void {
    this.stopped = true;
    for (const cancel of this.timers.values()) cancel();
    for (const run of this.runs.values()) run.killer?.stop();
    this.guardians.stop();
    this.timers.clear();
    this.runs.clear();
  }

  private register(directory: string, events: RunEvents): ActiveRun {
    const run: ActiveRun = {
      directory,
      events,
      polled: false,
      started: false,
      graceMs: undefined,
      killer: undefined,
      family: 'unharmed',
      end: undefined,
      unseenSince: undefined,
    };
    this.runs.set(directory, run);
    return run;
  }

  private heard(run: ActiveRun, line: string): void {
    const [word = ''] = line.split(' ', 1);
    const rest = line.slice(word.length + 1);
    if (word === 'started') this.started(run, Number(rest));
    else if (word === 'exited')
      this.end(run, readEnd(run.directory, line) ?? this.lost('its exit record is unreadable'));
    else if (word === 'refused') this.refuse(run, rest);
    else if (word === 'taken') this.follow(run);
  }

  // --- runs that no guardian of this agent reports on

  private follow(run: ActiveRun): void {
    run.polled = true;
    this.later(`look ${run.directory}`, 0, () => {
      this.look(run);
      if (!this.timers.has('poll')) this.later('poll', POLL_MS, () => this.poll());
    });
  }

  private poll(): void {
    const polled = [...this.runs.values()].filter((run) => run.polled && !run.end);
    for (const run of polled) this.look(run);
    if (polled.length > 0) this.later('poll', POLL_MS, () => this.poll());
  }

  private look(run: ActiveRun): void {
    const { end, claim, leader } = readRun(run.directory);
    if (end) this.end(run, end);
    // Whoever makes the claim knows: nobody else will ever start this run.
    else if (claim?.by === 'agent' || leader === 'agent') this.end(run, { kind: 'never' });
    else if (claim) this.lookAtProcesses(run, leader, claim.who);
    else if (this.tryClaim(run, 'claim')) this.end(run, { kind: 'never' });
  }

  private tryClaim(run: ActiveRun, name: 'claim' | 'pid'): boolean {
    try {
      return claimForAgent(run.directory, name);
    } catch (error) {
      // no directory: the agent died between recording the run and preparing it
      return error instanceof Error && 'code' in error && error.code === 'ENOENT';
    }
  }

  private lookAtProcesses(
    run: ActiveRun,
    leader: Identity | undefined,
    guardian: Identity | undefined,
  ): void {
    if (leader && !run.started) this.started(run, leader.pid);
    if ((leader && isAlive(leader)) || (guardian && isAlive(guardian))) {
      run.unseenSince = undefined;
      return;
    }
    // the child of a dead guardian that has no pid file yet will not get one any more
    if (!leader && this.tryClaim(run, 'pid')) {
      this.end(run, { kind: 'never' });
      return;
    }
    run.unseenSince ??= this.clock.now();
    if (!leader && this.clock.now() - run.unseenSince < SETTLE_MS) return;
    // once more: the record may have been written between the two looks
    const end = readEnd(run.directory);
    this.end(run, end ?? this.lost('how it ended is unknown: its guardian process was killed'));
  }

  /** Files written shortly before a power cut may be gone: that there is no claim proves nothing then. */
  private endAfterReboot(run: ActiveRun): void {
    const end = readEnd(run.directory);
    this.end(run, end ?? this.lost('how it ended is unknown: the machine was rebooted while it ran'));
  }

  // --- both

  private started(run: ActiveRun, pid: number): void {
    run.started = true;
    run.events.started(pid);
  }

  private startKiller(run: ActiveRun): void {
    if (run.end || run.graceMs === undefined) return;
    const leader = readLeader(run.directory);
    if (!leader) {
      this.later(`kill ${run.directory}`, 20, () => this.startKiller(run));
      return;
    }
    run.family = 'dying';
    run.killer = new Killer(leader, run.graceMs, this.clock, () => {
      run.family = 'gone';
      if (run.end) this.report(run, run.end);
    });
  }

  private end(run: ActiveRun, end: RunEnd): void {
    if (run.end || this.stopped) return;
    run.end = end;
    if (run.family !== 'dying') this.report(run, end);
  }

  private refuse(run: ActiveRun, why: string): void {
    this.end(run, { kind: 'start', error: `cannot start: ${why}`, at: this.now() });
  }

  private report(run: ActiveRun, end: RunEnd): void {
    this.runs.delete(run.directory);
    try {
      unlinkSync(join(run.directory, 'request')); // it holds the environment
    } catch {
      // never written
    }
    run.events.ended(end);
  }

  private lost(error: string): RunEnd {
    return { kind: 'lost', error, at: this.now() };
  }

  private now(): number {
    return this.clock.now() / 1000;
  }

  private later(name: string, ms: number, callback: () => void): void {
    this.timers.get(name)?.();
    const cancel = this.clock.after(ms, () => {
      this.timers.delete(name);
      callback();
    });
    this.timers.set(name, cancel);
  }
}

function prepare(run: Run): void {
  makeEmptyDirectory(run.directory);
  writeFileSync(join(run.directory, 'request'), encodeRequest(run), { mode: 0o600 });
}

/** One that exists is the rest of another agent's state, see the advice on a damaged agent.db. */
function makeEmptyDirectory(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { mode: 0o700 });
  }
}
