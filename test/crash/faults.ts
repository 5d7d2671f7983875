import { setTimeout as sleep } from 'node:timers/promises';
import { processStat, signalProcess } from '../../src/executors/process/proc.js';
import type { Fault, FaultKind } from './scenario.js';
import { guardedRuns, runsOf } from './processes.js';
import type { Participant } from './participant.js';
import type { TortureObserver } from './observer.js';
import type { World } from './world.js';

/** A drain waits for jobs; the torture does not. */
const DRAIN_MS = 2500;

export interface FaultRecord {
  readonly guardianKills: { job: string; at: number }[];
  readonly jobKills: { pid: number; birth: string; at: number }[];
  readonly killStops: { from: number; to: number }[];
  readonly done: Record<FaultKind, number>;
}

export interface Victims {
  /** one that works, and one that stands by where there are two */
  readonly watchers: readonly Participant[];
  /** the agent, where it is a process of its own */
  readonly box: Participant | undefined;
}

/** It has come so far that a SIGHUP is a reload, if only when it takes over. */
const UP = /^watching: |^ready, listening|standing by, taking over/;

const now = (): number => Date.now() / 1000;

/** Does to the processes what the scenario says, one fault after the other. */
export class Faults {
  readonly record: FaultRecord = {
    guardianKills: [],
    jobKills: [],
    killStops: [],
    done: { kill: 0, term: 0, freeze: 0, reload: 0, guardian: 0, job: 0, drain: 0, 'kill-jobs': 0 },
  };

  constructor(
    private readonly world: World,
    private readonly victims: Victims,
    private readonly observer: TortureObserver,
    private readonly hooks: { note(text: string): void; beforeStart(): void },
    /** ms that a fault waits at most for its victim to be up, with a job that runs */
    private readonly waitsFor = 0,
  ) {}

  async run(faults: readonly Fault[]): Promise<void> {
    const begin = Date.now();
    for (const fault of faults) {
      const wait = begin + fault.at - Date.now();
      if (wait > 0) await sleep(wait);
      await this.worthwhile(fault);
      await this.perform(fault);
    }
  }

  private async worthwhile(fault: Fault): Promise<void> {
    for (const end = Date.now() + this.waitsFor; Date.now() < end; await sleep(20)) {
      this.observer.readLog();
      if (this.observer.alive().length > 0 && this.targets(fault).every((one) => one.said(UP))) return;
    }
  }

  /** The usual configuration for those that are up. */
  settle(): void {
    this.world.configure();
    for (const one of this.all()) if (one.said(UP)) one.signal('SIGHUP');
  }

  /** Everybody up again, with the usual configuration. */
  restart(): void {
    this.world.configure();
    for (const one of this.all()) {
      if (one.isUp) continue;
      this.hooks.beforeStart();
      one.start();
    }
  }

  private all(): Participant[] {
    return [this.victims.box, ...this.victims.watchers].filter((one) => one !== undefined);
  }

  private targets(fault: Fault): Participant[] {
    const { watchers, box } = this.victims;
    // whichever of them works at the time
    const watcher = watchers[Math.floor(((fault.choice * 100) % 1) * watchers.length)]!;
    if (fault.target === 'watcher' || box === undefined) return [watcher];
    return fault.target === 'agent' ? [box] : [watcher, box];
  }

  private async perform(fault: Fault): Promise<void> {
    this.hooks.note(`fault ${fault.kind} of ${fault.target}, pause ${fault.pause}`);
    const targets = this.targets(fault);
    switch (fault.kind) {
      case 'kill':
        await Promise.all(targets.map((one) => one.kill()));
        break;
      case 'term':
        await Promise.all(targets.map((one) => stop(one, ['SIGTERM'], 5000)));
        break;
      case 'drain':
        await stop(targets[0]!, ['SIGINT'], DRAIN_MS);
        break;
      case 'kill-jobs':
        await this.killJobs(targets[0]!);
        break;
      case 'freeze':
        for (const one of targets) one.signal('SIGSTOP');
        await sleep(fault.pause);
        for (const one of targets) one.signal('SIGCONT');
        break;
      case 'reload':
        await this.reload(targets, fault);
        break;
      case 'guardian':
        if (!(await this.killGuardian(fault.choice))) return;
        break;
      case 'job':
        if (!this.killJob(fault.choice)) return;
        break;
    }
    this.record.done[fault.kind]++;
    if (this.all().every((one) => one.isUp)) return;
    await sleep(fault.pause);
    this.restart();
  }

  private async killJobs(one: Participant): Promise<void> {
    const from = now();
    await stop(one, ['SIGINT', 'SIGINT'], 5000);
    this.record.killStops.push({ from, to: now() });
  }

  /** Before it is up, a SIGHUP ends a process, as it does any. */
  private async reload(targets: readonly Participant[], { choice, pause }: Fault): Promise<void> {
    const up = targets.filter((one) => one.said(UP));
    const variant = choice < 0.4 ? 'changed' : choice < 0.7 ? 'less' : 'broken';
    this.world.configure(variant);
    for (const one of up) one.signal('SIGHUP');
    await sleep(pause);
    this.world.configure();
    if (choice % 0.1 < 0.05) for (const one of up) one.signal('SIGHUP');
  }

  private async killGuardian(choice: number): Promise<boolean> {
    const runs = guardedRuns(this.world.agentState);
    const run = runs[Math.floor(choice * runs.length)];
    if (run === undefined) return false;
    if (!signalProcess(run.pid, run.birth, 'SIGKILL')) return false;
    while (processStat(run.pid)?.birth === run.birth) await sleep(1);
    // guardians are used again: it may have gone on to the next job meanwhile
    const jobs = new Set([run.job, ...runsOf(this.world.agentState, run).map(({ job }) => job)]);
    for (const job of jobs) this.record.guardianKills.push({ job, at: now() });
    return true;
  }

  private killJob(choice: number): boolean {
    this.observer.readLog();
    const alive = this.observer.alive();
    const start = alive[Math.floor(choice * alive.length)];
    if (start === undefined) return false;
    this.record.jobKills.push({ pid: start.pid, birth: start.birth, at: now() });
    return signalProcess(start.pid, start.birth, 'SIGKILL');
  }
}

/** Signals, 60 ms apart, then SIGKILL when patience ends. */
async function stop(one: Participant, signals: readonly NodeJS.Signals[], ms: number): Promise<void> {
  for (const signal of signals) {
    one.signal(signal, true);
    await sleep(60);
  }
  if (!(await one.ended(ms))) await one.kill();
}
