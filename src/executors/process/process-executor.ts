import { mkdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.js';
import type { Executor, Run, RunEnd, RunEvents } from '../executor.js';
import { Guardian, bashTooOld, findPrograms } from './guardian.js';
import type { Programs } from './guardian.js';
import { Killer } from './killer.js';
import { bootId, isAlive } from './proc.js';
import type { Identity } from './proc.js';
import { claimForAgent, encodeRequest, readEnd, readLeader, readRun, tooLong } from './run-files.js';

const IDLE_MS = 10_000;
/** How often runs without a guardian of ours are looked at. */
const POLL_MS = 200;
/** A guardian killed between its fork and the child's first line: the child may still come up. */
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
  private readonly runs = new Map<string, ActiveRun>();
  private readonly guardians = new Map<Guardian, ActiveRun | undefined>();
  private readonly idle: { guardian: Guardian; since: number }[] = [];
  private readonly timers = new Map<string, () => void>();
  private stopped = false;

  constructor(
    private readonly clock: Clock,
    private readonly programs: Programs = findPrograms(),
  ) {}

  start(run: Run, events: RunEvents): void {
    const active = this.register(run.directory, events);
    const tooBig = tooLong(run);
    if (tooBig !== undefined) {
      this.endSoon(active, { kind: 'start', error: tooBig, at: this.now() });
      return;
    }
    try {
      this.prepare(run);
      this.assign(active);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.endSoon(active, { kind: 'start', error: `cannot start: ${text}`, at: this.now() });
    }
  }

  adopt(directory: string, events: RunEvents): void {
    this.follow(this.register(directory, events));
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
    for (const guardian of this.guardians.keys()) guardian.leave();
    this.timers.clear();
    this.runs.clear();
    this.guardians.clear();
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

  private prepare(run: Run): void {
    makeEmptyDirectory(run.directory);
    writeFileSync(join(run.directory, 'request'), encodeRequest(run), { mode: 0o600 });
  }

  // --- guardians

  private assign(run: ActiveRun): void {
    const guardian = this.idle.pop()?.guardian ?? this.spawnGuardian();
    this.guardians.set(guardian, run);
    guardian.run(run.directory);
  }

  private spawnGuardian(): Guardian {
    const guardian: Guardian = new Guardian(this.programs, {
      line: (text) => this.heard(guardian, text),
      closed: (error) => this.lostGuardian(guardian, error),
    });
    this.guardians.set(guardian, undefined);
    return guardian;
  }

  private heard(guardian: Guardian, line: string): void {
    const run = this.guardians.get(guardian);
    const word = line.split(' ', 1)[0];
    if (word === 'ready') {
      const problem = bashTooOld(line.slice(6));
      if (problem !== undefined) this.dismiss(guardian, problem);
    } else if (!run) {
      return;
    } else if (word === 'started') {
      this.started(run, Number(line.slice(8)));
    } else if (word === 'exited') {
      this.release(guardian);
      this.end(run, readEnd(run.directory, line) ?? this.lost('its exit record is unreadable'));
    } else if (word === 'refused') {
      this.release(guardian);
      this.end(run, { kind: 'start', error: line.slice(8), at: this.now() });
    } else if (word === 'taken') {
      this.release(guardian);
      this.follow(run);
    }
  }

  private release(guardian: Guardian): void {
    this.guardians.set(guardian, undefined);
    this.idle.push({ guardian, since: this.clock.now() });
    if (!this.timers.has('idle')) this.later('idle', IDLE_MS, () => this.reap());
  }

  /** The least recently used ones are at the front. */
  private reap(): void {
    while (this.idle[0] && this.idle[0].since + IDLE_MS <= this.clock.now()) {
      const { guardian } = this.idle.shift()!;
      this.guardians.delete(guardian);
      guardian.leave();
    }
    const next = this.idle[0];
    if (next) this.later('idle', next.since + IDLE_MS - this.clock.now(), () => this.reap());
  }

  private dismiss(guardian: Guardian, problem: string): void {
    const run = this.guardians.get(guardian);
    this.guardians.delete(guardian);
    guardian.leave();
    if (run) this.end(run, { kind: 'start', error: `cannot start: ${problem}`, at: this.now() });
  }

  private lostGuardian(guardian: Guardian, error: string | undefined): void {
    const run = this.guardians.get(guardian);
    this.guardians.delete(guardian);
    const at = this.idle.findIndex((entry) => entry.guardian === guardian);
    if (at >= 0) this.idle.splice(at, 1);
    if (!run || this.stopped) return;
    if (error !== undefined)
      this.end(run, { kind: 'start', error: `cannot start bash: ${error}`, at: this.now() });
    else this.follow(run);
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
    const state = readRun(run.directory);
    if (state.end) {
      this.end(run, state.end);
    } else if (!state.claim) {
      // Whoever makes the claim knows: nobody else will ever start this run.
      if (this.tryClaim(run)) this.end(run, { kind: 'never' });
    } else if (state.claim.by === 'agent') {
      this.end(run, { kind: 'never' });
    } else {
      this.lookAtProcesses(run, state.leader, state.claim.who);
    }
  }

  private tryClaim(run: ActiveRun): boolean {
    try {
      return claimForAgent(run.directory);
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
    run.unseenSince ??= this.clock.now();
    const rebooted = (leader ?? guardian)?.boot !== bootId() && (leader ?? guardian) !== undefined;
    if (!leader && !rebooted && this.clock.now() - run.unseenSince < SETTLE_MS) return;
    // once more: the record may have been written between the two looks
    const end = readEnd(run.directory);
    const why = rebooted ? 'the machine was rebooted while it ran' : 'its guardian process was killed';
    this.end(run, end ?? this.lost(`how it ended is unknown: ${why}`));
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

  private endSoon(run: ActiveRun, end: RunEnd): void {
    this.later(`end ${run.directory}`, 0, () => this.end(run, end));
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
