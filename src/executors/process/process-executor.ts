import { basename } from 'node:path';
import type { Clock } from '../../lib/clock.js';
import { hasCode } from '../../lib/errors.js';
import { type Executor, type Run, type RunEnd, type RunEvents } from '../executor.js';
import { GuardianPool } from './guardian-pool.js';
import { findPrograms } from './guardian.js';
import type { Programs } from './guardian.js';
import { Journals } from './journals.js';
import type { Journal, RunNotes } from './journals.js';
import { Killer } from './killer.js';
import { bootId, isAlive } from './proc.js';
import { claimForAgent, encodeRequest, endOf, isAgents, plainEnd, startOf, tooLong } from './run-files.js';

/** How often runs without a guardian of ours are looked at. */
const POLL_MS = 200;
/** What has a claim and no note of a process may still get one, if the disk is slow. */
const SETTLE_MS = 2_000;

interface ActiveRun {
  readonly path: string;
  readonly events: RunEvents;
  /** where its guardian notes it, if that is known */
  journal: string | undefined;
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
  private readonly journals: Journals;
  private swept = false;
  private stopped = false;

  /**
   * @param directory for the journals of the guardians
   * @param warn is told what an operator should know
   * @throws Error when a program that every job needs is not installed; the system error when the directory cannot be used
   */
  constructor(
    private readonly clock: Clock,
    directory: string,
    programs: Programs = findPrograms(),
    warn: (message: string) => void = () => undefined,
  ) {
    this.journals = new Journals(directory);
    this.guardians = new GuardianPool(programs, this.journals, clock, {
      line: (run, text) => this.heard(run, text),
      refused: (run, error) => this.refuse(run, error),
      lost: (run) => this.followLost(run),
      isSettled: (journal) => this.isSettled(journal),
      perlFailed: (perl) =>
        warn(`${perl} does not run as it should; jobs are started by bash from now on, which takes more CPU`),
    });
  }

  start(run: Run, events: RunEvents): void {
    this.sweep();
    const active = this.register(run.path, events);
    try {
      const tooBig = tooLong(run);
      if (tooBig !== undefined) throw new Error(tooBig);
      active.journal = this.guardians.run(active, encodeRequest(run));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.later(`end ${run.path}`, 0, () => this.refuse(active, why));
    }
  }

  adopt(path: string, epoch: string, events: RunEvents): void {
    const run = this.register(path, events);
    if (epoch === this.epoch) this.follow(run);
    else this.later(`look ${path}`, 0, () => this.endAfterReboot(run));
  }

  isOver(path: string): boolean {
    const run = this.runs.get(path);
    return run?.end !== undefined || (run !== undefined && this.notes(run)?.exit !== undefined);
  }

  kill(path: string, graceMs: number): void {
    const run = this.runs.get(path);
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

  private register(path: string, events: RunEvents): ActiveRun {
    const run: ActiveRun = {
      path,
      events,
      journal: undefined,
      polled: false,
      started: false,
      graceMs: undefined,
      killer: undefined,
      family: 'unharmed',
      end: undefined,
      unseenSince: undefined,
    };
    this.runs.set(path, run);
    return run;
  }

  private heard(run: ActiveRun, line: string): void {
    if (run.end) return;
    const [word = ''] = line.split(' ', 1);
    const rest = line.slice(word.length + 1);
    if (word === 'started') this.started(run, ...startOf(rest));
    else if (word === 'exited')
      this.end(run, plainEnd(rest) ?? this.noted(run) ?? this.lost('its exit record is unreadable'));
  }

  // --- what guardians have noted

  private notes(run: ActiveRun): RunNotes | undefined {
    const name = basename(run.path);
    run.journal ??= this.journals.holder(name);
    return run.journal === undefined ? undefined : this.journals.read(run.journal).runs.get(name);
  }

  private noted(run: ActiveRun): RunEnd | undefined {
    const exit = this.notes(run)?.exit;
    return exit && endOf(run.path, exit);
  }

  private isSettled(journal: string): boolean {
    return ![...this.runs.values()].some((run) => run.journal === journal);
  }

  /** Guardians of the agents before this one that are gone, and of whose runs none is to be followed, leave nothing. */
  private sweep(): void {
    if (this.swept) return;
    const names = new Set([...this.runs.keys()].map((path) => basename(path)));
    const isFollowed = ({ runs }: Journal): boolean => [...runs.keys()].some((name) => names.has(name));
    const isNeeded = (journal: Journal): boolean =>
      isFollowed(journal) || (journal.guardian !== undefined && isAlive(journal.guardian));
    try {
      this.journals.sweep(isNeeded);
      this.swept = true;
    } catch {
      // out of descriptors, say: with a later start
    }
  }

  // --- runs that no guardian of this agent reports on

  private follow(run: ActiveRun): void {
    run.polled = true;
    this.later('poll', 0, () => this.poll());
  }

  /** Its guardian is gone; the child may still be about to start. */
  private followLost(run: ActiveRun): void {
    try {
      if (run.journal !== undefined) run.journal = this.journals.revoke(run.journal);
    } catch (error) {
      // without a journal nothing starts
      if (!hasCode(error, 'ENOENT')) {
        this.later(`revoke ${run.path}`, POLL_MS, () => this.followLost(run));
        return;
      }
    }
    this.follow(run);
  }

  private poll(): void {
    const polled = [...this.runs.values()].filter((run) => run.polled && !run.end);
    for (const run of polled) this.look(run);
    if (polled.length > 0) this.later('poll', POLL_MS, () => this.poll());
  }

  private look(run: ActiveRun): void {
    const notes = this.notes(run);
    const end = notes?.exit && endOf(run.path, notes.exit);
    if (notes?.never) this.end(run, { kind: 'never' });
    else if (end) this.end(run, end);
    // Whoever makes the claim knows: nobody else will ever start this run.
    else if (isAgents(run.path)) this.end(run, { kind: 'never' });
    else if (notes?.leader) this.lookAtProcesses(run, notes);
    else if (this.tryClaim(run)) this.end(run, { kind: 'never' });
    else this.lookAtProcesses(run, this.notes(run));
  }

  private tryClaim(run: ActiveRun): boolean {
    try {
      return claimForAgent(run.path);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return true; // no spool, no run
      throw error;
    }
  }

  private lookAtProcesses(run: ActiveRun, notes: RunNotes | undefined): void {
    const { leader, guardian, begun } = notes ?? {};
    if (leader && !run.started) this.started(run, leader.pid, begun);
    if ((leader && isAlive(leader)) || (guardian && isAlive(guardian))) {
      run.unseenSince = undefined;
      return;
    }
    // the child of a dead guardian that has no claim yet will not get one any more
    if (this.tryClaim(run)) {
      this.end(run, { kind: 'never' });
      return;
    }
    run.unseenSince ??= this.clock.now();
    if (!leader && this.clock.now() - run.unseenSince < SETTLE_MS) return;
    // once more: the note may have been written between the two looks
    this.end(run, this.noted(run) ?? this.lost('how it ended is unknown: its guardian process was killed'));
  }

  /** Files written shortly before a power cut may be gone: that there is no claim proves nothing then. */
  private endAfterReboot(run: ActiveRun): void {
    this.end(
      run,
      this.noted(run) ?? this.lost('how it ended is unknown: the machine was rebooted while it ran'),
    );
  }

  // --- both

  private started(run: ActiveRun, pid: number, at: number | undefined): void {
    run.started = true;
    run.events.started(pid, at);
  }

  private startKiller(run: ActiveRun): void {
    if (run.end || run.graceMs === undefined) return;
    const leader = this.notes(run)?.leader;
    if (!leader) {
      this.later(`kill ${run.path}`, 20, () => this.startKiller(run));
      return;
    }
    run.family = 'dying';
    run.killer = new Killer(leader, run.path, run.graceMs, this.clock, () => {
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
    this.runs.delete(run.path);
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
