import { accessSync, constants } from 'node:fs';
import type { WatchDefinition } from '../config/schema.js';
import type { Clock } from '../lib/clock.js';
import { describeError } from '../lib/errors.js';
import type { Log } from '../lib/log.js';
import { bytesToBuffer, printable, textToBytes } from '../lib/text.js';
import { identityOf, isOtherFile, pythonMtime, type Identity } from './identity.js';
import type { Observer } from './observer.js';
import type { Action } from './plan.js';
import { withoutJob, type RecordRef } from './record.js';
import type { RecordStore } from './record-store.js';
import type { Reporter } from './reporter.js';
import { folderOf } from './select.js';
import type { Finished, Tracker } from './tracker.js';

const FIRST_RETRY_MS = 1000;
const allStates = ['done', 'failed', 'killed', 'mtime'] as const;

/** Turns results into records, and removes records of files that are gone. What cannot be written is kept and tried again. */
export class Recorder {
  #retryMs = FIRST_RETRY_MS;
  /** ms since the epoch before which writing is not tried again; 0 when it works */
  blockedUntil = 0;

  constructor(
    private readonly watch: WatchDefinition,
    private readonly store: RecordStore,
    private readonly observer: Observer,
    private readonly tracker: Tracker,
    private readonly agent: string,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly reporter: Reporter,
  ) {}

  /** Every job in flight has finished and none of the results can be written. */
  get isStuck(): boolean {
    return this.blockedUntil > 0 && this.tracker.unrecorded === this.tracker.size;
  }

  /** Records all finished jobs. @returns their paths */
  async record(): Promise<string[]> {
    if (this.clock.now() < this.blockedUntil) return [];
    this.blockedUntil = 0;
    const recorded: Finished[] = [];
    const failed: Finished[] = [];
    let reason: unknown;
    for (const finished of this.tracker.takeFinished()) {
      try {
        this.#recordOne(finished);
        recorded.push(finished);
      } catch (error) {
        failed.push(finished);
        reason = error;
      }
    }
    try {
      if (recorded.length > 0) this.store.flush();
      await this.tracker.close(recorded);
    } catch (error) {
      // written again later: the same markers, and then the ledger
      this.#postpone([...recorded, ...failed], error);
      return [];
    }
    if (failed.length > 0) this.#postpone(failed, reason);
    else if (recorded.length > 0) this.#works();
    return recorded.map(({ submission }) => submission.path);
  }

  /** Empty job specs in a list: the files count as processed. */
  markEmpty(actions: readonly Extract<Action, { kind: 'mark' }>[]): void {
    for (const { unit, step, identity } of actions) {
      const ref = { path: unit.file.path, step };
      if (unit.file.replaced) this.removeAll(ref.path);
      this.observer.forgetReplacement(ref.path);
      const result = withoutJob(ref, this.watch.name, identity, 'none: empty job spec', this.clock.now());
      this.store.write(result, this.#mtimeMarker(step, identity));
    }
    if (actions.length > 0) this.store.flush();
  }

  /** A job may run only where its result can be recorded: the record keeps it from running twice. */
  canRecord(): boolean {
    if (this.watch.statePath !== undefined) return true;
    try {
      accessSync(bytesToBuffer(textToBytes(this.watch.path!)), constants.W_OK);
      this.reporter.resolved('record');
      return true;
    } catch (error) {
      this.reporter.about(
        'record',
        `cannot record results in ${printable(this.watch.path!)}: ${describeError(error)}; nothing is run there until that works; set state_path to keep the markers elsewhere`,
      );
      return false;
    }
  }

  /** A file was renamed over a processed one: notes it, so that a later start does not take it for a new arrival. */
  noteOverwritten(path: string): void {
    const current = this.observer.get(path);
    if (current === undefined) return;
    this.watch.steps.forEach((_, step) => {
      if (this.store.read({ path, step }).states.size > 0)
        this.store.reidentify({ path, step }, identityOf(current.stat));
    });
  }

  /** Records of files that are gone, also such that vanished while nobody watched. */
  removeOrphans(): void {
    if (!this.watch.cleanup || !this.observer.rootPresent) return;
    // an empty directory may be one that is not mounted; its markers are elsewhere and still there
    if (this.watch.statePath !== undefined && this.observer.files().length === 0) return;
    for (const folder of this.observer.folders()) {
      for (const ref of this.store.list(folder)) if (!this.observer.exists(ref.path)) this.#remove(ref);
    }
  }

  /** Records of files that were just seen to vanish. */
  removeGone(paths: readonly string[]): void {
    if (!this.watch.cleanup || !this.observer.rootPresent) return;
    for (const path of paths) if (this.observer.get(path) === undefined) this.removeAll(path);
  }

  removeAll(path: string): void {
    this.watch.steps.forEach((_, step) => this.#remove({ path, step }));
    this.observer.finish(path, undefined);
  }

  #recordOne(finished: Finished): void {
    const { submission, job } = finished;
    const ref = { path: submission.path, step: submission.step };
    if (!this.#isObsolete(submission.path, submission.identity)) {
      const { identity, attempt } = submission;
      const current = this.observer.get(ref.path);
      const identityNow = current?.overwritten === true ? identityOf(current.stat) : undefined;
      const result = { ref, watch: this.watch.name, identity, identityNow, attempt, agent: this.agent, job };
      this.store.write(result, this.#mtimeMarker(ref.step, identity));
    }
    this.#logResult(finished);
  }

  /** A file that its job moved away needs no record; one dropped anew under its name has a journey of its own. */
  #isObsolete(path: string, identity: Identity): boolean {
    if (!this.watch.cleanup || !this.observer.rootPresent) return false;
    const current = this.observer.get(path);
    if (current === undefined) return !this.observer.exists(path);
    return current.replaced || (!current.overwritten && isOtherFile(identity, identityOf(current.stat)));
  }

  #mtimeMarker = (step: number, identity: Identity): string | undefined =>
    this.watch.updated && step === 0 ? pythonMtime(identity.mtime_ns) : undefined;

  #postpone(failed: readonly Finished[], reason: unknown): void {
    this.tracker.putBack(failed);
    const file = failed[0]!.submission.path;
    this.reporter.about(
      'write',
      `cannot record results in ${printable(folderOf(file) || this.watch.path!)}: ${describeError(reason)}; they are kept and written when it works again`,
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
      if (this.store.read(ref).states.size > 0 && this.store.owns(ref)) this.store.remove(ref, allStates);
    } catch (error) {
      this.reporter.about(
        'cleanup',
        `cannot remove the marker of ${printable(ref.path)}: ${describeError(error)}`,
      );
    }
  }
}
