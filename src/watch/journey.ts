import type { WatchDefinition } from '../config/schema.js';
import { describeError } from '../lib/errors.js';
import { bytesToBuffer, bytesToText, textToBytes } from '../lib/text.js';
import { BatchSizes } from './batch-sizes.js';
import { HintBuffer } from './hint-buffer.js';
import { createHints, type Hints } from './hints.js';
import { Claim } from './claim.js';
import { createParts, type JourneyPorts, type Parts, type PartsEvents } from './journey-parts.js';
import { isFinished } from '../protocol/job.js';
import { scopeOf } from './ledger.js';
import { parseLeaseName } from './lease.js';
import { leftoversOf, type Leftovers } from './leftovers.js';
import type { PlanInput } from './observation.js';
import { noCounts, plan, type Action, type Plan, type PlanCounts } from './plan.js';
import { Pace } from './pace.js';
import { baseName } from './select.js';
import { noEvents } from './trouble.js';
import { Turns } from './turns.js';

/** Rounds of evidence in one turn: sentinel, closed, check, and one to spare. */
const MOST_PROBE_ROUNDS = 4;
const PROBE_AGAIN_MS = 10;
const AFTER_ERROR_MS = 1000;
/** Turns for results alone may take a tenth of the time, while at least so many jobs keep the agent busy. */
const PATIENCE = 9;
const FED_JOBS = 64;
/** A slice of looks takes up to 5 ms: they are to take a third of the time. */
const PATROL_PAUSE_MS = 15;

/**
 * The journey of the files of one watch: observed, selected, planned, submitted, tracked, marked, cleaned up. Events,
 * finished jobs and timers only say that a turn is wanted; a turn looks, plans and does.
 */
export class Journey {
  readonly #parts: Parts;
  readonly #hints: Hints;
  readonly #turns: Turns;
  readonly #claim: Claim;
  readonly #unsubscribe: () => void;
  readonly #hinted = new HintBuffer();
  #scanWanted = true;
  #thorough = true;
  #nextScan = 0;
  #nextRefresh = Infinity;
  #nextPatrol = Infinity;
  /** something happened since the last plan */
  #news = true;
  #wakeAt = 0;
  #submitting = true;
  readonly #batches = new BatchSizes();
  /** the claim is ours and earlier jobs are taken up */
  #held = false;
  #cannotRecord = false;
  #stopped = false;
  #plan: Plan | undefined;
  /** the plan is one of before */
  #isPlanning = false;
  readonly #rootName: string;

  constructor(
    readonly watch: WatchDefinition,
    private readonly ports: JourneyPorts,
  ) {
    const { agent, clock } = ports;
    this.#rootName = textToBytes(baseName(watch.path!));
    this.#turns = new Turns(clock, () => this.#turn());
    this.#claim = new Claim(watch, ports, () => ports.onLost?.(this));
    this.#hints = this.#createHints();
    const events: PartsEvents = {
      wake: () => {
        this.#news = true;
        this.#turns.want(this.#isAgentFed ? PATIENCE : undefined);
      },
      folderFound: (folder, path, isLarge) =>
        watch.events ? this.#hints.add(folder, bytesToBuffer(path), isLarge) : undefined,
      folderGone: (folder) => this.#hints.remove(folder),
    };
    this.#parts = createParts(watch, ports, events, this.#claim.isOpen);
    this.#unsubscribe = agent.onJob((job) => {
      this.#parts.tracker.noticed(job);
      this.#parts.prober.noticed(job);
    });
  }

  /** Takes up the jobs of an earlier run, then makes the first turn. Resolves after it, or when another watcher works here. */
  async start(): Promise<void> {
    if (this.#claim.acquire(() => void this.#begin())) await this.#begin();
  }

  async #begin(): Promise<void> {
    try {
      await this.#parts.tracker.adopt();
      if (this.#claim.isShared) await this.#learnJobs();
    } catch (error) {
      if (this.#stopped) return;
      this.#parts.reporter.about(
        'adopt',
        `cannot ask the agent for the jobs of the last run: ${describeError(error)}; trying again`,
      );
      this.ports.clock.after(AFTER_ERROR_MS, () => void (this.#stopped || this.#begin()));
      return;
    }
    this.#parts.reporter.resolved('adopt');
    this.#held = true;
    await this.#turns.now();
  }

  /** Jobs that a watcher on another machine gave to the same agent are taken up when they are submitted again. */
  async #learnJobs(): Promise<void> {
    const jobs = await this.ports.agent.list();
    const keyed = jobs.flatMap(({ key, state }) =>
      key === undefined ? [] : [[key, !isFinished(state)] as const],
    );
    this.#parts.submitter.known = new Map(keyed);
    this.#parts.recorder.isShared = true;
  }

  /** Resolves when no turn is under way. */
  async idle(): Promise<void> {
    await this.#turns.idle();
  }

  /** Asks for a full scan, soon, after a change by a person. */
  rescan(): void {
    this.#parts.observer.hurry(this.ports.clock.now());
    this.#scanWanted = true;
    this.#turns.want();
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
    await this.#parts.recorder.record();
  }

  /** Idempotent. Jobs in flight stay in the ledger for the next start. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#submitting = false;
    await this.#turns.stop();
    this.#unsubscribe();
    this.#parts.tracker.stop();
    this.#hints.close();
    this.#claim.release();
  }

  /** What its submissions are kept under in the ledger. */
  get scope(): string {
    return scopeOf(this.watch);
  }

  get inFlight(): number {
    return this.#parts.tracker.size;
  }

  /** Jobs whose end is not known yet, those of checks too. */
  jobIds(): string[] {
    return [...this.#parts.tracker.jobIds(), ...this.#parts.prober.jobIds()];
  }

  /** Jobs of this run that ended without success. */
  get failures(): number {
    return this.#parts.tracker.failures;
  }

  /** The counts of now: those of the last plan, and which of its jobs run. */
  get counts(): PlanCounts {
    const counts = this.#plan?.counts ?? noCounts;
    const { running, size } = this.#parts.tracker;
    return { ...counts, ready: (this.#plan?.held ?? 0) + size - running, running };
  }

  get problems(): string[] {
    const { standingBy } = this.#claim;
    const standby = standingBy === undefined ? [] : [`standing by: ${standingBy}`];
    return [...standby, ...this.#parts.reporter.problems];
  }

  /** Nothing is left that this run could still process: the rest waits for time, for files or for a person. */
  get isSettled(): boolean {
    if (this.#claim.standingBy !== undefined || this.#cannotRecord || this.#parts.recorder.isStuck)
      return true;
    if (this.#plan === undefined || this.#isPlanning || this.#parts.tracker.size > 0) return false;
    if (this.#plan.held > 0 || this.#plan.actions.length > 0 || this.#parts.observer.isPatrolling)
      return false;
    return !this.#plan.waiting.some(
      ({ rule, until }) => rule === 'ready.stable' || (rule === 'ready.check' && until === undefined),
    );
  }

  /** What was not processed and why, in words; without what the rules keep out on purpose. */
  get leftovers(): Leftovers {
    const { waiting, failed } = leftoversOf(this.#plan ?? { waiting: [], counts: noCounts });
    const { standingBy } = this.#claim;
    const troubles: [boolean, string][] = [
      [this.#parts.recorder.isStuck, `${this.#parts.tracker.size} results not recorded`],
      [this.#cannotRecord, `${this.#plan?.counts.ready ?? 0} not run, because results could not be recorded`],
      [standingBy !== undefined, standingBy ?? ''],
      [standingBy === undefined && this.#parts.observer.hasTrouble, 'not everything could be looked at'],
    ];
    return { waiting, failed: [...failed, ...troubles.flatMap(([holds, what]) => (holds ? [what] : []))] };
  }

  /** One turn. @returns ms since the epoch when the next is due though nothing happens */
  async #turn(): Promise<number> {
    const { clock } = this.ports;
    if (!this.#held || !this.#claim.holds()) return Infinity;
    try {
      await this.#observe(clock.now());
      if (!this.#claim.isOpen()) return Infinity;
      if (clock.now() >= this.#nextRefresh) this.#refresh(clock.now());
      this.#patrol(clock.now());
      await this.#record();
      if (!this.#claim.isOpen()) return Infinity;
      if (this.#news || clock.now() >= this.#wakeAt) await this.#advance();
      this.#parts.reporter.resolved('turn');
      if (!this.#asks) this.#nextRefresh = Infinity;
      else if (this.#nextRefresh === Infinity) this.#nextRefresh = clock.now() + this.watch.refresh * 1000;
      return Math.min(this.#wakeAt, this.#nextScan, this.#nextRefresh, this.#nextPatrol);
    } catch (error) {
      // a turn handles what can be expected; the next scan starts from what is there
      this.#parts.reporter.about('turn', `${describeError(error)}; trying again`);
      this.#scanWanted = true;
      this.#news = true;
      this.#isPlanning = false;
      return clock.now() + AFTER_ERROR_MS;
    }
  }

  async #observe(now: number): Promise<void> {
    const { isUncertain } = this.#hinted;
    const hinted = this.#hinted.take();
    if (this.#scanWanted || this.#isScanDue(now)) await this.#scan(now);
    if (hinted.length > 0 && this.#parts.prober.hint()) this.#news = true;
    let scanFolders = false;
    for (const { folder, name, renames } of hinted) {
      // the scan that an overflow leads to comes first: it may leave looks at processed files for later
      if (isUncertain && this.#parts.observer.lookAt(folder, name, 0, now) !== 'same') this.#news = true;
      const found = this.#parts.observer.lookAt(folder, name, renames, now);
      if (found !== 'same') this.#news = true;
      if (found === 'changed') this.#noteChange(folder, name, renames);
      if (found === 'scan') scanFolders = true;
    }
    if (scanFolders) await this.#parts.observer.scan(now, false);
    this.#parts.recorder.noteOverwritten();
  }

  /** A few looks at files that need nothing more, in what time events leave. */
  #patrol(now: number): void {
    const { observer } = this.#parts;
    const wait = this.#nextPatrol - now;
    if (!observer.isPatrolling) this.#nextPatrol = Infinity;
    else if (wait > 0 && wait <= PATROL_PAUSE_MS) return;
    else {
      // the first slice comes a moment after the scan; also when the clock was set back
      if (this.#nextPatrol !== Infinity && observer.patrol(now)) this.#news = true;
      // its end may be what --once waits for
      if (!observer.isPatrolling) this.#news = true;
      this.#nextPatrol = now + PATROL_PAUSE_MS;
    }
  }

  /** Also when the clock was set back. */
  #isScanDue = (now: number): boolean =>
    now >= this.#nextScan || this.#nextScan - now > this.watch.rescan * 1000;

  #noteChange(folder: string, name: string, renames: number): void {
    const path = bytesToText(folder === '' ? name : `${folder}/${name}`);
    this.#parts.prober.changed(path);
    if (renames === 1) this.#parts.recorder.mayBeOverwritten(path);
  }

  async #scan(now: number): Promise<void> {
    const thorough = this.#thorough || this.watch.updated || !this.watch.events;
    this.#scanWanted = false;
    this.#thorough = false;
    this.#news = true;
    await this.#parts.observer.scan(now, thorough);
    this.#nextScan = now + this.watch.rescan * 1000;
    this.#refresh(now);
    if (this.#claim.isOpen()) this.#parts.recorder.removeOrphans();
    if (!this.#parts.observer.rootPresent && this.watch.events)
      this.#hints.awaitPath(this.watch.path!, () => this.#scanAll());
  }

  /** Whether the agent has so much to do that it can wait for more. */
  get #isAgentFed(): boolean {
    return this.#parts.tracker.unfinished >= Math.max(FED_JOBS, this.watch.maxJobs * 0.75);
  }

  /** Whether there are jobs to ask the agent for. */
  get #asks(): boolean {
    return this.#parts.tracker.size > 0 || this.#parts.prober.isChecking;
  }

  #refresh(now: number): void {
    this.#parts.tracker.refresh();
    this.#parts.prober.refresh();
    this.#nextRefresh = now + this.watch.refresh * 1000;
  }

  async #record(): Promise<void> {
    const recorded = await this.#parts.recorder.record();
    if (recorded.length > 0) this.#news = true;
    for (const path of recorded) this.#parts.prober.forget(path);
    const gone = this.#parts.observer.takeGone();
    for (const path of gone) {
      this.#parts.prober.forget(path);
      this.#parts.submitter.forget(path);
    }
    this.#parts.recorder.removeGone(gone);
  }

  async #advance(): Promise<void> {
    const { clock } = this.ports;
    const pace = new Pace();
    this.#news = false;
    this.#isPlanning = true;
    let next = this.#makePlan();
    for (let round = 0; round < MOST_PROBE_ROUNDS && next.actions.some(isProbe); round++) {
      await pace.keep();
      this.#parts.prober.gather(next.actions.filter(isProbe));
      next = this.#makePlan();
    }
    this.#plan = next;
    this.#isPlanning = false;
    for (const { file, memo } of next.finished) this.#parts.observer.finish(file.path, memo);
    await this.#apply(next.actions, pace);
    this.#sayProblems(next);
    const probeAgain = next.actions.some(isProbe) ? clock.now() + PROBE_AGAIN_MS : Infinity;
    const { recorder, submitter } = this.#parts;
    this.#wakeAt = Math.min(next.wakeAt, probeAgain, recorder.nextAt, submitter.nextOffer);
    this.ports.onTurn(this.watch.name, this.counts);
    this.#turns.cost = pace.worked;
  }

  #makePlan = (): Plan => plan(this.watch, this.#planInput());

  #planInput(): PlanInput {
    return {
      files: this.#parts.observer.rootPresent ? this.#parts.observer.files() : [],
      folded: this.#parts.observer.folded,
      now: this.ports.clock.now(),
      record: (path, step) => this.#parts.store.read({ path, step }, this.#parts.observer.get(path)?.stat),
      inFlight: (path) => this.#parts.tracker.inFlight(path),
      inFlightCount: this.#parts.tracker.size,
      evidence: (path) => this.#parts.prober.evidence(path),
      backlogInFlight: this.#parts.tracker.backlogInFlight,
    };
  }

  /** What happens while the event loop is let go is for the next plan; files are looked at again before their jobs are. */
  async #apply(actions: readonly Action[], pace: Pace): Promise<void> {
    const marks = actions.filter((action) => action.kind === 'mark');
    const submits = this.#parts.submitter.select(actions);
    if (!this.#submitting || marks.length + submits.length === 0) return;
    this.#cannotRecord = !this.#parts.recorder.canRecord();
    if (this.#cannotRecord) return;
    const marked = this.#parts.recorder.markEmpty(marks);
    let asPlanned = true;
    for (const batch of this.#batches.of(submits)) {
      await pace.keep();
      if (!this.#submitting) return;
      if (!this.#claim.isOpen()) {
        asPlanned = false;
        break;
      }
      asPlanned = this.#parts.submitter.submit(batch) && asPlanned;
    }
    if (marked === 0 && asPlanned) return;
    this.#news = true;
    this.#turns.want();
  }

  #createHints(): Hints {
    return (this.ports.createHints ?? createHints)({
      changed: (folder, name, kind) => this.#hint(folder, name, kind),
      overflowed: () => {
        this.#hinted.overflow();
        this.#scanAll();
      },
      failed: (folder, error) => {
        this.#parts.observer.distrust(folder);
        this.ports.log.warn(
          { watch: this.watch.name, folder, error: describeError(error) },
          noEvents(this.watch, folder, error),
        );
      },
    });
  }

  #hint(folder: string, name: string | undefined, kind: 'rename' | 'change'): void {
    // the kernel names the watched directory itself when it is removed or renamed
    if (name === undefined || (folder === '' && kind === 'rename' && name === this.#rootName))
      return this.#scanAll();
    // temporary names of our own markers, renewals of the lease
    if (name.startsWith('._') && name.endsWith('.tmp')) return;
    if (parseLeaseName(textToBytes(this.watch.name), name) !== undefined) return;
    this.#hinted.add(folder, name, kind);
    this.#turns.want();
  }

  #sayProblems(next: Plan): void {
    const troubled = next.waiting.filter((waiting) => waiting.rule === 'error');
    for (const { file, detail } of troubled) this.#parts.reporter.file(file.path, detail);
    const paths = new Set(troubled.map(({ file }) => file.path));
    this.#parts.reporter.keepFiles((path) => paths.has(path) || this.#parts.submitter.isRefused(path));
  }
}

const isProbe = (action: Action): action is Extract<Action, { kind: 'probe' }> => action.kind === 'probe';
