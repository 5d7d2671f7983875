import { constants } from 'node:fs';
import { dirname } from 'node:path';
import type { WatchDefinition } from '../config/schema.js';
import type { Clock } from '../lib/clock.js';
import { describeError, hasCode } from '../lib/errors.js';
import type { FileSystem } from '../lib/file-system.js';
import type { Log } from '../lib/log.js';
import { bytesToBuffer, printable, textToBytes } from '../lib/text.js';
import { identityOf, isOtherFile, pythonMtime, type Identity } from './identity.js';
import type { Observer } from './observer.js';
import { Overwrites } from './overwrites.js';
import type { Action } from './plan.js';
import { isReplaced, unitIdentity } from './progress.js';
import { withoutJob, type RecordRef, type Result } from './record.js';
import type { NewRecord, RecordStore } from './record-store.js';
import type { Reporter } from './reporter.js';
import { folderOf } from './select.js';
import type { Finished, Tracker } from './tracker.js';
import type { Unit } from './unit.js';

const FIRST_RETRY_MS = 1000;
const allStates = ['done', 'failed', 'killed', 'mtime'] as const;

type MarkAction = Extract<Action, { kind: 'mark' }>;

/** Turns results into records, and removes records of files that are gone. What cannot be written is kept and tried again. */
export class Recorder {
  #retryMs = FIRST_RETRY_MS;
  readonly #overwrites = new Overwrites();
  /** ms since the epoch before which writing is not tried again; 0 when it works */
  blockedUntil = 0;
  /** a watcher on another machine may have processed a file meanwhile */
  isShared = false;

  constructor(
    private readonly watch: WatchDefinition,
    private readonly store: RecordStore,
    private readonly observer: Observer,
    private readonly tracker: Tracker,
    private readonly agent: string,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly reporter: Reporter,
    private readonly fs: FileSystem,
  ) {}

  /** Every job in flight has finished and none of the results can be written. */
  get isStuck(): boolean {
    return this.blockedUntil > 0 && this.tracker.unrecorded === this.tracker.size;
  }

  /** Records all finished jobs. @returns their paths */
  async record(): Promise<string[]> {
    if (this.clock.now() < this.blockedUntil) return [];
    this.blockedUntil = 0;
    const finished = this.tracker.takeFinished();
    if (finished.length === 0) return [];
    const errors = await this.#write(finished);
    const recorded = finished.filter((_, i) => errors[i] === undefined);
    const failed = finished.filter((_, i) => errors[i] !== undefined);
    const reason = errors.findLast((error) => error !== undefined);
    try {
      if (recorded.length > 0) await this.store.flushed();
      this.tracker.close(recorded);
    } catch (error) {
      // written again later: the same markers, and then the ledger
      this.#postpone([...recorded, ...failed], error);
      return [];
    }
    for (const one of recorded) this.#logResult(one);
    if (failed.length > 0) this.#postpone(failed, reason);
    else this.#works();
    return recorded.map(({ submission }) => submission.path);
  }

  /** Empty job specs in a list: the files count as processed. @returns how many could be marked */
  markEmpty(actions: readonly MarkAction[]): number {
    let marked = 0;
    const inside = actions.filter(({ unit }) => this.observer.isInside(unit.file.path));
    for (const action of inside) {
      try {
        this.#markOne(action);
        marked++;
      } catch (error) {
        const { path } = action.unit.file;
        this.reporter.about(
          'mark',
          `cannot record that there is no job for ${printable(path)}: ${describeError(error)}; trying again at every scan`,
        );
      }
    }
    if (marked > 0) this.store.flush();
    if (marked === inside.length) this.reporter.resolved('mark');
    return marked;
  }

  #markOne({ unit, step, identity }: MarkAction): void {
    const ref = { path: unit.file.path, step };
    if (unit.file.replaced) this.removeAll(ref.path);
    this.observer.forgetReplacement(ref.path);
    const result = withoutJob(ref, this.watch.name, identity, 'none: empty job spec', this.clock.now());
    this.store.write({ ...result, seen: unit.file.stat }, this.#mtimeMarker(step, identity));
  }

  /** A job may run only where its result can be recorded: the record keeps it from running twice. */
  canRecord(): boolean {
    const { statePath, path } = this.watch;
    const root = statePath ?? path!;
    try {
      this.#mustBeWritable(root, statePath !== undefined);
      this.reporter.resolved('record');
      return true;
    } catch (error) {
      const advice = statePath === undefined ? '; set state_path to keep the markers elsewhere' : '';
      this.reporter.about(
        'record',
        `cannot record results in ${printable(root)}: ${describeError(error)}; nothing is run there until that works${advice}`,
      );
      return false;
    }
  }

  /** @param mayBeMade a directory that is not there is made with the first result, where the one above allows that */
  #mustBeWritable(directory: string, mayBeMade: boolean): void {
    try {
      this.fs.accessSync(bytesToBuffer(textToBytes(directory)), constants.W_OK);
    } catch (error) {
      const above = dirname(directory);
      if (!mayBeMade || !hasCode(error, 'ENOENT') || above === directory) throw error;
      this.#mustBeWritable(above, true);
    }
  }

  /** ms since the epoch when there is something to do by itself; Infinity for never */
  get nextAt(): number {
    return Math.min(this.blockedUntil > 0 ? this.blockedUntil : Infinity, this.#overwrites.nextAt);
  }

  /** A single rename event for a file: if another one stands under its name, that is noted in a moment. */
  mayBeOverwritten(path: string): void {
    if (this.observer.get(path)?.overwritten === true) this.#overwrites.add(path, this.clock.now());
  }

  /** Notes which processed files were renamed over, so that a later start does not take these for new arrivals. */
  noteOverwritten(): void {
    for (const path of this.#overwrites.takeCertain(this.clock.now())) {
      const current = this.observer.get(path);
      if (current?.overwritten !== true || !this.observer.isInside(path)) continue;
      this.watch.steps.forEach((_, step) => {
        if (this.store.read({ path, step }).states.size > 0)
          this.store.reidentify({ path, step }, identityOf(current.stat));
      });
    }
  }

  /** Records of files that are gone, also such that vanished while nobody watched. */
  removeOrphans(): void {
    if (!this.watch.cleanup || !this.observer.rootPresent) return;
    // an empty directory may be one that is not mounted; its markers are elsewhere and still there
    if (this.watch.statePath !== undefined && this.observer.count === 0) return;
    for (const folder of this.observer.folders()) {
      for (const ref of this.store.list(folder)) if (!this.observer.exists(ref.path)) this.#remove(ref);
    }
  }

  /** Records of files that were just seen to vanish. */
  removeGone(paths: readonly string[]): void {
    if (!this.watch.cleanup || !this.observer.rootPresent) return;
    for (const path of paths) if (this.observer.get(path) === undefined) this.removeAll(path);
  }

  /**
   * Removes what was recorded for another file of this name. A step that was recorded for the file itself stays: a
   * power cut may bring back the markers of the other file beside it.
   */
  removeReplaced(unit: Unit): void {
    const { path, stat } = unit.file;
    this.watch.steps.forEach((_, step) => {
      const ref = { path, step };
      if (isReplaced(this.watch, unit, this.store.read(ref, stat), unitIdentity(unit))) this.#remove(ref);
    });
    this.observer.finish(path, undefined);
    this.store.flush();
  }

  removeAll(path: string): void {
    this.watch.steps.forEach((_, step) => this.#remove({ path, step }));
    this.observer.finish(path, undefined);
  }

  /** @returns the error of each that failed, in their order; what needs no record has none */
  async #write(finished: readonly Finished[]): Promise<unknown[]> {
    const errors: unknown[] = finished.map(() => undefined);
    const entries: NewRecord[] = [];
    const places: number[] = [];
    finished.forEach((one, i) => {
      try {
        if (!this.#needsRecord(one)) return;
        entries.push(this.#recordOf(one));
        places.push(i);
      } catch (error) {
        errors[i] = error;
      }
    });
    const written = await this.store.writeAll(entries);
    written.forEach((error, i) => (errors[places[i]!] = error));
    return errors;
  }

  #needsRecord(finished: Finished): boolean {
    const { path, identity } = finished.submission;
    return !this.#isObsolete(path, identity) && !this.#isDoneByOther(finished);
  }

  #recordOf({ submission, job }: Finished): NewRecord {
    const { path, step, identity, attempt } = submission;
    const current = this.observer.get(path);
    const isUncertain = this.#overwrites.isUncertain(path);
    const identityNow = current?.overwritten === true && !isUncertain ? identityOf(current.stat) : undefined;
    const result: Result = {
      ref: { path, step },
      watch: this.watch.name,
      identity,
      identityNow,
      attempt,
      agent: this.agent,
      job,
      // a marker that says it was written for what may be a new arrival would hide that from the next start
      seen: isUncertain ? undefined : current?.stat,
    };
    return { result, mtime: this.#mtimeMarker(step, identity) };
  }

  /** A file that its job moved away needs no record; one dropped anew under its name has a journey of its own. */
  #isObsolete(path: string, identity: Identity): boolean {
    if (!this.observer.isInside(path)) return true;
    if (!this.watch.cleanup || !this.observer.rootPresent) return false;
    const current = this.observer.get(path);
    if (current === undefined) return !this.observer.exists(path);
    return current.replaced || (!current.overwritten && isOtherFile(identity, identityOf(current.stat)));
  }

  /** What ended here without success may have succeeded elsewhere, after this watcher had lost its lease. */
  #isDoneByOther({ submission, job }: Finished): boolean {
    if (!this.isShared || job.state === 'done') return false;
    const { path, step, identity } = submission;
    const current = this.observer.get(path)?.stat;
    const record = this.store.read({ path, step }, current);
    return (
      record.states.has('done') && (record.identity === undefined || !isOtherFile(record.identity, identity))
    );
  }

  #mtimeMarker = (step: number, identity: Identity): string | undefined =>
    this.watch.updated && step === 0 ? pythonMtime(identity.mtime_ns) : undefined;

  #postpone(failed: readonly Finished[], reason: unknown): void {
    this.tracker.putBack(failed);
    const file = failed[0]!.submission.path;
    this.reporter.about(
      'write',
      `cannot record results in ${printable(this.watch.statePath ?? (folderOf(file) || this.watch.path!))}: ${describeError(reason)}; they are kept and written when it works again`,
    );
    this.blockedUntil = this.clock.now() + this.#retryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, this.watch.rescan * 1000);
  }

  #works(): void {
    this.#retryMs = FIRST_RETRY_MS;
    this.reporter.resolved('write');
  }

  #logResult({ submission, job }: Finished): void {
    const { path, step, attempt } = submission;
    const fields = {
      watch: this.watch.name,
      file: path,
      step,
      attempt,
      job: job.id,
      rc: job.rc,
      reason: job.reason,
    };
    if (job.state === 'done') {
      this.log.info(fields, `done ${printable(path)}`);
      return;
    }
    const why =
      job.error ?? (job.signal === undefined ? `exit code ${job.rc ?? '?'}` : `signal ${job.signal}`);
    const output =
      job.stderr_path === undefined || job.reason === 'start' ? '' : `; output in ${job.stderr_path}`;
    this.log.warn(fields, `${job.state} ${printable(path)}: ${why}${output}`);
  }

  #remove(ref: RecordRef): void {
    try {
      if (!this.observer.isInside(ref.path)) return;
      if (this.store.read(ref).states.size > 0 && this.store.owns(ref)) this.store.remove(ref, allStates);
    } catch (error) {
      this.reporter.about(
        'cleanup',
        `cannot remove the marker of ${printable(ref.path)}: ${describeError(error)}`,
      );
    }
  }
}
