import { accessSync, constants } from 'node:fs';
import type { WatchDefinition } from '../config/schema.js';
import type { Clock } from '../lib/clock.js';
import { describeError } from '../lib/errors.js';
import type { Log } from '../lib/log.js';
import { bytesToBuffer, printable, textToBytes } from '../lib/text.js';
import type { AgentPort } from '../protocol/agent.js';
import type { Job } from '../protocol/job.js';
import { createHints, type Hints } from './hints.js';
import { identityOf, isOtherFile, pythonMtime } from './identity.js';
import type { Ledger } from './ledger.js';
import { MarkerStore } from './marker-store.js';
import type { ObservedFile, PlanInput } from './observation.js';
import { isMissing, Observer } from './observer.js';
import { plan, type Action, type Plan, type PlanCounts } from './plan.js';
import { Prober } from './prober.js';
import type { RecordRef } from './record.js';
import { absolute } from './render.js';
import { compileSelector, folderOf } from './select.js';
import { Tracker, type Finished } from './tracker.js';

export interface JourneyPorts {
  readonly agent: AgentPort;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Log;
  /** called after every turn, for progress and status */
  readonly onTurn: (name: string, counts: PlanCounts) => void;
}

/** ms between a hint and the look at it: a burst of events becomes one turn. */
const HINT_DELAY_MS = 2;
/** While events keep coming, planning may take about a third of the time. */
const BUSY_FACTOR = 2;
const LONGEST_HINT_DELAY_MS = 1000;
const WRITE_RETRY_FIRST_MS = 1000;
const allStates = ['done', 'failed', 'killed', 'mtime'] as const;

/**
 * The journey of the files of one watch: observed, selected, planned, submitted, tracked, marked, cleaned up. One turn
 * at a time; events, finished jobs and timers only say that a turn is wanted.
 */
export class Journey {
  readonly #observer: Observer;
  readonly #store: MarkerStore;
  readonly #tracker: Tracker;
  readonly #prober: Prober;
  readonly #hints: Hints;
  readonly #unsubscribe: () => void;
  /** folder -> name -> number of renames seen */
  #hinted = new Map<string, Map<string, number>>();
  #scanWanted = true;
  #thorough = true;
  #nextScan = 0;
  #turning: Promise<void> | undefined;
  #turnWanted = false;
  #cancelTimer: (() => void) | undefined;
  #timerAt = Infinity;
  #lastPlanMs = 0;
  #writeRetryMs = WRITE_RETRY_FIRST_MS;
  #writeBlockedUntil = 0;
  #submitting = true;
  #stopped = false;
  /** path -> message of a problem already reported */
  readonly #reported = new Map<string, string>();
  readonly #refusedUntil = new Map<string, number>();
  lastPlan: Plan | undefined;

  constructor(
    readonly watch: WatchDefinition,
    private readonly ports: JourneyPorts,
  ) {
    const { agent, ledger, clock, log } = ports;
    const wake = (): void => this.#want(0);
    const root = watch.statePath ?? watch.path!;
    this.#store = new MarkerStore(watch.name, root, watch.statePath === undefined, watch.updated);
    this.#tracker = new Tracker(watch.name, agent, ledger, clock, log, wake);
    this.#observer = new Observer(watch, compileSelector(watch), this.#store, {
      trouble: (path, error) => this.#trouble(path, error),
      recovered: (path) =>
        log.info(
          { watch: watch.name, path: this.#full(path) },
          `can look at ${printable(this.#full(path))} again`,
        ),
      folderFound: (folder, path) => watch.events && this.#hints.add(folder, bytesToBuffer(path)),
      folderGone: (folder) => this.#hints.remove(folder),
    });
    this.#prober = new Prober(watch, agent, clock, (path) => this.#observer.mode(path), wake);
    this.#hints = createHints({
      changed: (folder, name, kind) => this.#hint(folder, name, kind),
      overflowed: () => this.rescan(),
      failed: (folder, error) =>
        log.warn(
          { watch: watch.name, folder, error: describeError(error) },
          `no file-system events for ${printable(this.#full(folder))}: ${watchAdvice(error)}; files are found by the scan every ${watch.rescan} s`,
        ),
    });
    this.#unsubscribe = agent.onJob((job) => this.#jobChanged(job));
  }

  /** Takes up earlier jobs, then makes the first turn. Resolves after it. */
  async start(): Promise<void> {
    await this.#tracker.adopt();
    this.#want(0);
    await this.idle();
  }

  /** Resolves when no turn is under way or due at once. */
  async idle(): Promise<void> {
    while (this.#turning !== undefined) await this.#turning;
  }

  get inFlight(): number {
    return this.#tracker.size;
  }

  /** Nothing is left that this run could still process: the rest waits for time, for files or for a person. */
  get isSettled(): boolean {
    if (this.lastPlan === undefined || this.#tracker.size > 0 || this.lastPlan.actions.length > 0)
      return false;
    return !this.lastPlan.waiting.some(
      ({ rule, until }) =>
        rule === 'max_jobs' || rule === 'ready.stable' || (rule === 'ready.check' && until === undefined),
    );
  }

  /** Files that failed and wait for a rerun, or that can have no job. */
  get unfinished(): number {
    return this.lastPlan?.waiting.filter(({ rule }) => rule === 'retry' || rule === 'error').length ?? 0;
  }

  get reported(): ReadonlyMap<string, string> {
    return this.#reported;
  }

  jobIds(): string[] {
    return this.#tracker.submissions().map((submission) => submission.jobId);
  }

  /** Asks for a full scan, now. */
  rescan(): void {
    this.#scanWanted = true;
    this.#thorough = true;
    this.#want(0);
  }

  /** From here on nothing new is submitted; results are still recorded. */
  stopSubmitting(): void {
    this.#submitting = false;
  }

  /** Idempotent. Jobs in flight stay in the ledger for the next start. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#submitting = false;
    await this.idle();
    this.#stopped = true;
    this.#unsubscribe();
    this.#cancelTimer?.();
    this.#tracker.stop();
    this.#hints.close();
    this.#store.flush();
  }

  // -- when ---------------------------------------------------------------------------------------------------

  #hint(folder: string, name: string | undefined, kind: 'rename' | 'change'): void {
    if (name === undefined) return this.rescan();
    let names = this.#hinted.get(folder);
    if (names === undefined) this.#hinted.set(folder, (names = new Map()));
    names.set(name, (names.get(name) ?? 0) + (kind === 'rename' ? 1 : 0));
    this.#want(this.#hintDelay());
  }

  #hintDelay = (): number =>
    Math.min(Math.max(HINT_DELAY_MS, this.#lastPlanMs * BUSY_FACTOR), LONGEST_HINT_DELAY_MS);

  #jobChanged(job: Job): void {
    this.#tracker.noticed(job);
    this.#prober.noticed(job);
  }

  /** Wants a turn within `ms`. */
  #want(ms: number): void {
    if (this.#stopped) return;
    if (this.#turning !== undefined) {
      this.#turnWanted = true;
      return;
    }
    const at = this.ports.clock.now() + ms;
    if (at >= this.#timerAt) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    if (ms === 0) {
      this.#run();
      return;
    }
    this.#cancelTimer = this.ports.clock.after(ms, () => this.#run());
  }

  #run(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#timerAt = Infinity;
    this.#turning = this.#turn()
      .catch((error: unknown) => {
        // a turn handles what can be expected; the next scan starts from what is there
        this.ports.log.error(
          { watch: this.watch.name, err: error },
          `watch ${this.watch.name}: ${describeError(error)}; trying again`,
        );
        this.#scanWanted = true;
        return this.ports.clock.now() + 1000;
      })
      .then((wakeAt) => {
        this.#turning = undefined;
        if (this.#stopped) return;
        const again = this.#turnWanted || this.#hinted.size > 0;
        this.#turnWanted = false;
        const now = this.ports.clock.now();
        this.#want(again ? this.#hintDelay() : Math.max(wakeAt - now, 1));
      });
  }

  // -- what ---------------------------------------------------------------------------------------------------

  /** @returns ms since the epoch when the next turn is due even if nothing happens */
  async #turn(): Promise<number> {
    const { clock } = this.ports;
    await this.#observe(clock.now());
    await this.#recordFinished();
    this.#cleanUp();
    let next = this.#plan(clock.now());
    for (let round = 0; round < 4 && next.actions.some((action) => action.kind === 'probe'); round++) {
      await this.#prober.gather(next.actions.filter((action) => action.kind === 'probe'));
      next = this.#plan(clock.now());
    }
    await this.#apply(next);
    this.#settle(next);
    this.lastPlan = next;
    this.ports.onTurn(this.watch.name, { ...next.counts, ready: 0, running: this.#tracker.size });
    const leftOver = next.actions.some((action) => action.kind === 'probe') ? clock.now() + 10 : Infinity;
    return Math.min(
      next.wakeAt,
      this.#nextScan,
      leftOver,
      this.#writeBlockedUntil || Infinity,
      ...this.#refusedUntil.values(),
    );
  }

  async #observe(now: number): Promise<void> {
    const hinted = this.#hinted;
    this.#hinted = new Map();
    if (now >= this.#nextScan) this.#scanWanted = true;
    if (this.#scanWanted) {
      this.#scanWanted = false;
      const thorough = this.#thorough || this.watch.updated || !this.watch.events;
      this.#thorough = false;
      await this.#observer.scan(now, thorough);
      this.#nextScan = now + this.watch.rescan * 1000;
      await this.#tracker.refresh();
      this.#findOrphans();
      this.#awaitRoot();
      if (hinted.size > 0) this.#prober.hint();
      return this.#follow(hinted, now);
    }
    if (hinted.size > 0) this.#prober.hint();
    return this.#follow(hinted, now);
  }

  async #follow(hinted: ReadonlyMap<string, ReadonlyMap<string, number>>, now: number): Promise<void> {
    let wholeFolders = false;
    for (const [folder, names] of hinted) {
      for (const [name, renames] of names) {
        if (!this.#observer.lookAt(folder, name, renames, now)) wholeFolders = true;
      }
    }
    if (wholeFolders) await this.#observer.scan(now, false);
  }

  #plan(now: number): Plan {
    const begin = performance.now();
    const next = plan(this.watch, this.planInput(now));
    this.#lastPlanMs = performance.now() - begin;
    return next;
  }

  /** What the planner works on, for this service's turns and for its `status`. */
  planInput(now: number): PlanInput {
    return {
      files: this.#mayRun() ? this.#observer.files() : [],
      now,
      record: (path, step) => this.#store.read({ path, step }, this.#observer.get(path)?.stat),
      inFlight: (path) => this.#tracker.inFlight(path),
      inFlightCount: this.#tracker.size,
      evidence: (path) => this.#prober.evidence(path),
      backlogInFlight: this.#tracker.backlogInFlight,
    };
  }

  #mayRun = (): boolean => this.#observer.rootPresent;

  async #apply(next: Plan): Promise<void> {
    for (const waiting of next.waiting)
      if (waiting.rule === 'error') this.#report(waiting.file.path, waiting.detail);
    if (!this.#submitting) return;
    const now = this.ports.clock.now();
    const ready = next.actions.filter(
      (action) => action.kind === 'submit' && now >= (this.#refusedUntil.get(action.unit.file.path) ?? 0),
    );
    const wanted = next.actions.filter((action) => action.kind === 'mark');
    if ((ready.length > 0 || wanted.length > 0) && !this.#canRecord()) return;
    await this.#markEmpty(wanted);
    await this.#submit(ready.filter((action) => action.kind === 'submit'));
  }

  async #submit(actions: readonly Extract<Action, { kind: 'submit' }>[]): Promise<void> {
    const { ledger, clock, log } = this.ports;
    const news = actions.map((action) => {
      const { unit, step, attempt, identity, spec } = action;
      if (action.reason === 'replaced') this.#removeAll(unit.file.path);
      this.#observer.forgetReplacement(unit.file.path);
      const submission = ledger.prepare(
        { watch: this.watch.name, step, path: unit.file.path, identity, attempt },
        spec.id,
        unit.file.backlog,
      );
      const withPriority =
        unit.file.backlog && spec.priority === undefined ? { ...spec, priority: -1 } : spec;
      return { submission, spec: withPriority };
    });
    const refused = await this.#tracker.submit(news);
    for (const { submission } of news) {
      log.debug(
        {
          watch: this.watch.name,
          file: submission.path,
          step: submission.step,
          attempt: submission.attempt,
          job: submission.jobId,
        },
        'submitted',
      );
    }
    for (const { submission, error } of refused) {
      this.#report(submission.path, `the agent refused the job: ${error}`);
      this.#refusedUntil.set(submission.path, clock.now() + this.watch.rescan * 1000);
    }
    for (const { submission } of news)
      if (!refused.some((r) => r.submission === submission)) this.#refusedUntil.delete(submission.path);
  }

  async #markEmpty(actions: readonly Action[]): Promise<void> {
    for (const action of actions) {
      if (action.kind !== 'mark') continue;
      const now = this.ports.clock.now() / 1000;
      const job = {
        id: '',
        key: '',
        pool: '',
        args: [],
        node: '',
        state: 'done' as const,
        active: false,
        seq: 0,
        ts: now,
        submit_ts: now,
        start_count: 0,
        fail_count: 0,
      };
      if (action.identity !== undefined && this.#observer.get(action.unit.file.path)?.replaced)
        this.#removeAll(action.unit.file.path);
      this.#observer.forgetReplacement(action.unit.file.path);
      this.#store.write(
        {
          ref: { path: action.unit.file.path, step: action.step },
          watch: this.watch.name,
          identity: action.identity,
          attempt: 0,
          agent: 'none: empty job spec',
          job,
        },
        this.#mtimeMarker(action.step, action.identity.mtime_ns),
      );
    }
    if (actions.length > 0) {
      this.#store.flush();
      this.#turnWanted = true;
    }
  }

  // -- results ------------------------------------------------------------------------------------------------

  async #recordFinished(): Promise<void> {
    if (this.ports.clock.now() < this.#writeBlockedUntil) return;
    this.#writeBlockedUntil = 0;
    const recorded: Finished[] = [];
    const failed: Finished[] = [];
    let reason: unknown;
    for (const finished of this.#tracker.takeFinished()) {
      try {
        this.#recordOne(finished);
        recorded.push(finished);
      } catch (error) {
        failed.push(finished);
        reason = error;
      }
    }
    this.#store.flush();
    await this.#tracker.close(recorded);
    if (failed.length > 0) this.#postponeWrites(failed, reason);
    else if (recorded.length > 0) this.#writeRetryMs = WRITE_RETRY_FIRST_MS;
  }

  #recordOne(finished: Finished): void {
    const { submission, job } = finished;
    const current = this.#observer.get(submission.path);
    this.#logResult(finished);
    this.#prober.forget(submission.path);
    if (this.watch.cleanup && this.#isGone(submission.path, current)) return;
    if (
      this.watch.cleanup &&
      current !== undefined &&
      (current.replaced || isOtherFile(submission.identity, identityOf(current.stat)))
    )
      return;
    this.#store.write(
      {
        ref: { path: submission.path, step: submission.step },
        watch: this.watch.name,
        identity: submission.identity,
        attempt: submission.attempt,
        agent: this.ports.agent.description,
        job,
      },
      this.#mtimeMarker(submission.step, submission.identity.mtime_ns),
    );
  }

  /** A job that moved or deleted its file needs no marker; one of a missing root waits for the root. */
  #isGone(path: string, current: ObservedFile | undefined): boolean {
    if (current !== undefined) return false;
    if (!this.#observer.rootPresent) return false;
    return !this.#observer.exists(path);
  }

  #mtimeMarker = (step: number, mtimeNs: string): string | undefined =>
    this.watch.updated && step === 0 ? pythonMtime(mtimeNs) : undefined;

  #postponeWrites(failed: readonly Finished[], reason: unknown): void {
    this.#tracker.putBack(failed);
    const file = failed[0]!.submission.path;
    this.#report(
      `write:${folderOf(file)}`,
      `cannot record the result of ${printable(file)}: ${describeError(reason)}; ${failed.length} result(s) are kept and written when it works again`,
    );
    this.#writeBlockedUntil = this.ports.clock.now() + this.#writeRetryMs;
    this.#writeRetryMs = Math.min(this.#writeRetryMs * 2, this.watch.rescan * 1000);
  }

  #logResult({ submission, job }: Finished): void {
    const fields = {
      watch: this.watch.name,
      file: submission.path,
      step: submission.step,
      attempt: submission.attempt,
      job: job.id,
      rc: job.rc,
      reason: job.reason,
    };
    const file = printable(submission.path);
    if (job.state === 'done') return this.ports.log.info(fields, `done ${file}`);
    const why =
      job.error ?? (job.signal === undefined ? `exit code ${job.rc ?? '?'}` : `signal ${job.signal}`);
    const output = job.stderr_path === undefined ? '' : `; output in ${job.stderr_path}`;
    this.ports.log.warn(fields, `${job.state} ${file}: ${why}${output}`);
  }

  // -- cleaning up --------------------------------------------------------------------------------------------

  /** Records of files that are gone, also such that vanished while nobody watched. */
  #findOrphans(): void {
    if (!this.watch.cleanup || !this.#observer.rootPresent) return;
    if (this.watch.statePath !== undefined && this.#observer.files().length === 0) return; // maybe not mounted
    for (const folder of this.#observer.folders()) {
      for (const ref of this.#store.list(folder)) if (!this.#observer.exists(ref.path)) this.#removeOwn(ref);
    }
  }

  #cleanUp(): void {
    const gone = this.#observer.takeGone();
    for (const path of gone) {
      this.#prober.forget(path);
      this.#reported.delete(path);
      if (this.watch.cleanup && this.#observer.rootPresent && this.#observer.get(path) === undefined)
        this.#removeAll(path);
    }
  }

  #removeAll(path: string): void {
    this.watch.steps.forEach((_, step) => this.#removeOwn({ path, step }));
  }

  #removeOwn(ref: RecordRef): void {
    try {
      if (this.#store.read(ref).states.size > 0 && this.#store.owns(ref)) this.#store.remove(ref, allStates);
    } catch (error) {
      this.#report(
        `write:${folderOf(ref.path)}`,
        `cannot remove the marker of ${printable(ref.path)}: ${describeError(error)}`,
      );
    }
  }

  // -- saying -------------------------------------------------------------------------------------------------

  /** Results must have a place before a job may run: its record is what keeps it from running twice. */
  #canRecord(): boolean {
    const directory = this.watch.statePath ?? this.watch.path!;
    try {
      if (this.watch.statePath === undefined)
        accessSync(bytesToBuffer(textToBytes(directory)), constants.W_OK);
      this.#reported.delete('record');
      return true;
    } catch (error) {
      this.#report(
        'record',
        `cannot record results in ${printable(directory)}: ${describeError(error)}; nothing is run there until that works; set state_path to keep the markers elsewhere`,
      );
      return false;
    }
  }

  #settle(next: Plan): void {
    const unsettled = new Set([
      ...next.waiting.map((w) => w.file.path),
      ...next.running.map((u) => u.file.path),
    ]);
    for (const action of next.actions) unsettled.add(action.unit.file.path);
    for (const file of this.#observer.files()) this.#observer.settle(file.path, !unsettled.has(file.path));
    for (const [key] of this.#reported) {
      const isFile = !key.includes(':') && key !== 'record';
      if (isFile && !unsettled.has(key)) this.#reported.delete(key);
    }
  }

  #trouble(path: string, error: unknown): void {
    const what = path === '' ? `directory ${printable(this.#full(path))}` : printable(this.#full(path));
    const advice =
      path === '' && isMissing(error) ? '; waiting for it to appear' : '; trying again at every scan';
    this.ports.log.warn(
      { watch: this.watch.name, path: this.#full(path) },
      `cannot look at ${what}: ${describeError(error)}${advice}`,
    );
  }

  #awaitRoot(): void {
    if (this.#observer.rootPresent || !this.watch.events) return;
    this.#hints.awaitPath(this.watch.path!, () => this.rescan());
  }

  /** Says a problem of a file once, until it changes. */
  #report(key: string, message: string): void {
    if (this.#reported.get(key) === message) return;
    this.#reported.set(key, message);
    const isFile = key !== 'record' && !key.startsWith('write:');
    this.ports.log.error(
      { watch: this.watch.name, ...(isFile && { file: key }) },
      isFile ? `${printable(key)}: ${message}` : message,
    );
  }

  #full = (path: string): string => (path === '' ? this.watch.path! : absolute(this.watch, { path }));
}

function watchAdvice(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC'
    ? 'the kernel has no more watches (raise fs.inotify.max_user_watches)'
    : describeError(error);
}
