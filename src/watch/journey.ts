import type { WatchDefinition } from '../config/schema.js';
import type { Clock } from '../lib/clock.js';
import { describeError } from '../lib/errors.js';
import type { Log } from '../lib/log.js';
import { bytesToBuffer, bytesToText, printable, textToBytes } from '../lib/text.js';
import type { AgentPort } from '../protocol/agent.js';
import { HintBuffer } from './hint-buffer.js';
import { createHints, type Hints } from './hints.js';
import { Claim } from './claim.js';
import { scopeOf, type Ledger } from './ledger.js';
import { leftoversOf, type Leftovers } from './leftovers.js';
import { MarkerStore } from './marker-store.js';
import type { PlanInput } from './observation.js';
import { isMissing, Observer } from './observer.js';
import { noCounts, plan, type Action, type Plan, type PlanCounts } from './plan.js';
import { Prober } from './prober.js';
import { Recorder } from './recorder.js';
import { absolute } from './render.js';
import { Reporter } from './reporter.js';
import { baseName, compileSelector } from './select.js';
import { Submitter } from './submitter.js';
import { Tracker } from './tracker.js';
import { Turns } from './turns.js';

export interface JourneyPorts {
  readonly agent: AgentPort;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Log;
  /** called after every turn, for progress and status */
  readonly onTurn: (name: string, counts: PlanCounts) => void;
}

/** Rounds of evidence in one turn: sentinel, closed, check, and one to spare. */
const MOST_PROBE_ROUNDS = 4;
const PROBE_AGAIN_MS = 10;
const AFTER_ERROR_MS = 1000;

/**
 * The journey of the files of one watch: observed, selected, planned, submitted, tracked, marked, cleaned up. Events,
 * finished jobs and timers only say that a turn is wanted; a turn looks, plans and does.
 */
export class Journey {
  readonly #observer: Observer;
  readonly #store: MarkerStore;
  readonly #tracker: Tracker;
  readonly #prober: Prober;
  readonly #recorder: Recorder;
  readonly #reporter: Reporter;
  readonly #hints: Hints;
  readonly #turns: Turns;
  readonly #claim: Claim;
  readonly #unsubscribe: () => void;
  readonly #hinted = new HintBuffer();
  readonly #submitter: Submitter;
  #scanWanted = true;
  #thorough = true;
  #nextScan = 0;
  #nextRefresh = Infinity;
  /** something happened since the last plan */
  #news = true;
  #wakeAt = 0;
  #submitting = true;
  /** the claim is ours and earlier jobs are taken up */
  #held = false;
  #cannotRecord = false;
  #stopped = false;
  #plan: Plan | undefined;
  readonly #rootName: string;

  constructor(
    readonly watch: WatchDefinition,
    private readonly ports: JourneyPorts,
  ) {
    const { agent, ledger, clock, log } = ports;
    this.#rootName = textToBytes(baseName(watch.path!));
    const wake = (): void => {
      this.#news = true;
      this.#turns.want();
    };
    this.#turns = new Turns(clock, () => this.#turn());
    this.#claim = new Claim(watch, clock, log);
    this.#reporter = new Reporter(watch.name, log);
    this.#store = new MarkerStore(
      watch.name,
      watch.statePath ?? watch.path!,
      watch.statePath === undefined,
      watch.updated,
    );
    this.#tracker = new Tracker(watch.name, scopeOf(watch), agent, ledger, clock, log, wake);
    this.#hints = this.#createHints();
    this.#observer = new Observer(watch, compileSelector(watch), this.#store, {
      trouble: (path, error) => this.#sayTrouble(path, error),
      recovered: (path) =>
        log.info(
          { watch: watch.name, path: this.#full(path) },
          `can look at ${printable(this.#full(path))} again`,
        ),
      folderFound: (folder, path) => watch.events && this.#hints.add(folder, bytesToBuffer(path)),
      folderGone: (folder) => this.#hints.remove(folder),
    });
    this.#prober = new Prober(watch, agent, clock, (path) => this.#observer.mode(path), wake);
    this.#recorder = new Recorder(
      watch,
      this.#store,
      this.#observer,
      this.#tracker,
      agent.description,
      clock,
      log,
      this.#reporter,
    );
    this.#submitter = new Submitter(
      watch,
      this.#observer,
      this.#recorder,
      this.#tracker,
      ledger,
      clock,
      log,
      this.#reporter,
    );
    this.#unsubscribe = agent.onJob((job) => {
      this.#tracker.noticed(job);
      this.#prober.noticed(job);
    });
  }

  /** Takes up the jobs of an earlier run, then makes the first turn. Resolves after it, or when another watcher works here. */
  async start(): Promise<void> {
    if (this.#claim.acquire(() => void this.#begin())) await this.#begin();
  }

  async #begin(): Promise<void> {
    try {
      await this.#tracker.adopt();
    } catch (error) {
      this.#reporter.about(
        'adopt',
        `cannot ask the agent for the jobs of the last run: ${describeError(error)}; trying again`,
      );
      this.ports.clock.after(AFTER_ERROR_MS, () => void (this.#stopped || this.#begin()));
      return;
    }
    this.#reporter.resolved('adopt');
    this.#held = true;
    await this.#turns.now();
  }

  /** Resolves when no turn is under way. */
  async idle(): Promise<void> {
    await this.#turns.idle();
  }

  /** Asks for a full scan, soon, after a change by a person. */
  rescan(): void {
    this.#observer.hurry(this.ports.clock.now());
    this.#scanAll();
  }

  #scanAll(): void {
    this.#scanWanted = true;
    this.#thorough = true;
    this.#turns.want();
  }

  /** From here on nothing new is submitted; results are still recorded. */
  stopSubmitting(): void {
    this.#submitting = false;
  }

  /** Records what has finished. For the end, when the agent has stopped. */
  async recordRest(): Promise<void> {
    await this.#turns.idle();
    await this.#recorder.record();
  }

  /** Idempotent. Jobs in flight stay in the ledger for the next start. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#submitting = false;
    await this.#turns.stop();
    this.#unsubscribe();
    this.#tracker.stop();
    this.#hints.close();
    this.#claim.release();
  }

  /** What its submissions are kept under in the ledger. */
  get scope(): string {
    return scopeOf(this.watch);
  }

  get inFlight(): number {
    return this.#tracker.size;
  }

  /** The counts of now: those of the last plan, and which of its jobs run. */
  get counts(): PlanCounts {
    const counts = this.#plan?.counts ?? noCounts;
    const { running, size } = this.#tracker;
    return { ...counts, ready: (this.#plan?.held ?? 0) + size - running, running };
  }

  get problems(): string[] {
    const standby = this.#claim.standingBy ? ['standing by: another watcher works on it'] : [];
    return [...standby, ...this.#reporter.problems];
  }

  /** Nothing is left that this run could still process: the rest waits for time, for files or for a person. */
  get isSettled(): boolean {
    if (this.#claim.standingBy || this.#cannotRecord || this.#recorder.isStuck) return true;
    if (this.#plan === undefined || this.#tracker.size > 0) return false;
    if (this.#plan.held > 0 || this.#plan.actions.length > 0) return false;
    return !this.#plan.waiting.some(
      ({ rule, until }) => rule === 'ready.stable' || (rule === 'ready.check' && until === undefined),
    );
  }

  /** What was not processed and why, in words; without what the rules keep out on purpose. */
  get leftovers(): Leftovers {
    const { waiting, failed } = leftoversOf(this.#plan ?? { waiting: [], counts: noCounts });
    const troubles: [boolean, string][] = [
      [this.#recorder.isStuck, `${this.#tracker.size} results not recorded`],
      [this.#cannotRecord, `${this.#plan?.counts.ready ?? 0} not run, because results could not be recorded`],
      [this.#claim.standingBy, 'another watcher works on it'],
      [!this.#claim.standingBy && this.#observer.hasTrouble, 'not everything could be looked at'],
    ];
    return { waiting, failed: [...failed, ...troubles.flatMap(([holds, what]) => (holds ? [what] : []))] };
  }

  /** One turn. @returns ms since the epoch when the next is due though nothing happens */
  async #turn(): Promise<number> {
    const { clock } = this.ports;
    if (!this.#held) return Infinity;
    try {
      await this.#observe(clock.now());
      if (clock.now() >= this.#nextRefresh) await this.#tracker.refresh();
      await this.#record();
      if (this.#news || clock.now() >= this.#wakeAt) await this.#advance();
      this.#reporter.resolved('turn');
      this.#nextRefresh = this.#tracker.size > 0 ? clock.now() + this.watch.refresh * 1000 : Infinity;
      return Math.min(this.#wakeAt, this.#nextScan, this.#nextRefresh);
    } catch (error) {
      // a turn handles what can be expected; the next scan starts from what is there
      this.#reporter.about('turn', `${describeError(error)}; trying again`);
      this.#scanWanted = true;
      this.#news = true;
      return clock.now() + AFTER_ERROR_MS;
    }
  }

  async #observe(now: number): Promise<void> {
    const hinted = this.#hinted.take();
    if (this.#scanWanted || this.#isScanDue(now)) await this.#scan(now);
    if (hinted.length > 0 && this.#prober.hint()) this.#news = true;
    let scanFolders = false;
    for (const { folder, name, renames } of hinted) {
      const found = this.#observer.lookAt(folder, name, renames, now);
      if (found !== 'same') this.#news = true;
      if (found === 'changed') this.#noteChange(folder, name, renames);
      if (found === 'scan') scanFolders = true;
    }
    if (scanFolders) await this.#observer.scan(now, false);
  }

  /** Also when the clock was set back. */
  #isScanDue = (now: number): boolean =>
    now >= this.#nextScan || this.#nextScan - now > this.watch.rescan * 1000;

  #noteChange(folder: string, name: string, renames: number): void {
    const path = bytesToText(folder === '' ? name : `${folder}/${name}`);
    this.#prober.changed(path);
    if (renames === 1 && this.#observer.get(path)?.overwritten === true) this.#recorder.noteOverwritten(path);
  }

  async #scan(now: number): Promise<void> {
    const thorough = this.#thorough || this.watch.updated || !this.watch.events;
    this.#scanWanted = false;
    this.#thorough = false;
    this.#news = true;
    await this.#observer.scan(now, thorough);
    this.#nextScan = now + this.watch.rescan * 1000;
    await this.#tracker.refresh();
    this.#recorder.removeOrphans();
    if (!this.#observer.rootPresent && this.watch.events)
      this.#hints.awaitPath(this.watch.path!, () => this.#scanAll());
  }

  async #record(): Promise<void> {
    const recorded = await this.#recorder.record();
    if (recorded.length > 0) this.#news = true;
    for (const path of recorded) this.#prober.forget(path);
    const gone = this.#observer.takeGone();
    for (const path of gone) {
      this.#prober.forget(path);
      this.#submitter.forget(path);
    }
    this.#recorder.removeGone(gone);
  }

  async #advance(): Promise<void> {
    const { clock } = this.ports;
    this.#news = false;
    let next = this.#makePlan();
    for (let round = 0; round < MOST_PROBE_ROUNDS && next.actions.some(isProbe); round++) {
      await this.#prober.gather(next.actions.filter(isProbe));
      next = this.#makePlan();
    }
    this.#plan = next;
    for (const { file, memo } of next.finished) this.#observer.finish(file.path, memo);
    await this.#apply(next.actions);
    this.#sayProblems(next);
    const probeAgain = next.actions.some(isProbe) ? clock.now() + PROBE_AGAIN_MS : Infinity;
    const blocked = this.#recorder.blockedUntil > 0 ? this.#recorder.blockedUntil : Infinity;
    this.#wakeAt = Math.min(next.wakeAt, probeAgain, blocked, this.#submitter.nextOffer);
    this.ports.onTurn(this.watch.name, this.counts);
  }

  #makePlan(): Plan {
    const begin = performance.now();
    const next = plan(this.watch, this.#planInput());
    this.#turns.cost = performance.now() - begin;
    return next;
  }

  #planInput(): PlanInput {
    return {
      files: this.#observer.rootPresent ? this.#observer.files() : [],
      now: this.ports.clock.now(),
      record: (path, step) => this.#store.read({ path, step }, this.#observer.get(path)?.stat),
      inFlight: (path) => this.#tracker.inFlight(path),
      inFlightCount: this.#tracker.size,
      evidence: (path) => this.#prober.evidence(path),
      backlogInFlight: this.#tracker.backlogInFlight,
    };
  }

  async #apply(actions: readonly Action[]): Promise<void> {
    const marks = actions.filter((action) => action.kind === 'mark');
    const submits = this.#submitter.select(actions);
    if (!this.#submitting || marks.length + submits.length === 0) return;
    this.#cannotRecord = !this.#recorder.canRecord();
    if (this.#cannotRecord) return;
    this.#recorder.markEmpty(marks);
    const asPlanned = await this.#submitter.submit(submits);
    if (marks.length === 0 && asPlanned) return;
    this.#news = true;
    this.#turns.want();
  }

  #createHints(): Hints {
    return createHints({
      changed: (folder, name, kind) => this.#hint(folder, name, kind),
      overflowed: () => this.#scanAll(),
      failed: (folder, error) =>
        this.ports.log.warn(
          { watch: this.watch.name, folder, error: describeError(error) },
          `no file-system events for ${printable(this.#full(folder))}: ${watchAdvice(error)}; files are found by the scan every ${this.watch.rescan} s`,
        ),
    });
  }

  #hint(folder: string, name: string | undefined, kind: 'rename' | 'change'): void {
    // the kernel names the watched directory itself when it is removed or renamed
    if (name === undefined || (folder === '' && kind === 'rename' && name === this.#rootName))
      return this.#scanAll();
    // temporary names of our own markers
    if (name.startsWith('._') && name.endsWith('.tmp')) return;
    this.#hinted.add(folder, name, kind);
    this.#turns.want();
  }

  #sayProblems(next: Plan): void {
    const troubled = next.waiting.filter((waiting) => waiting.rule === 'error');
    for (const { file, detail } of troubled) this.#reporter.file(file.path, detail);
    const paths = new Set(troubled.map(({ file }) => file.path));
    this.#reporter.keepFiles((path) => paths.has(path) || this.#submitter.isRefused(path));
  }

  #sayTrouble(path: string, error: unknown): void {
    const what = path === '' ? `directory ${printable(this.#full(path))}` : printable(this.#full(path));
    const advice =
      path === '' && isMissing(error) ? 'waiting for it to appear' : 'trying again at every scan';
    this.ports.log.warn(
      { watch: this.watch.name, path: this.#full(path) },
      `cannot look at ${what}: ${describeError(error)}; ${advice}`,
    );
  }

  #full = (path: string): string => (path === '' ? this.watch.path! : absolute(this.watch, { path }));
}

const isProbe = (action: Action): action is Extract<Action, { kind: 'probe' }> => action.kind === 'probe';

function watchAdvice(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC'
    ? 'the kernel has no more watches (raise fs.inotify.max_user_watches)'
    : describeError(error);
}
