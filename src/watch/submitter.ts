import type { WatchDefinition } from '../config/schema.js';
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import { printable } from '../lib/text.js';
import { scopeOf, type KnownJobs, type Ledger } from './ledger.js';
import type { Observer } from './observer.js';
import type { Action } from './plan.js';
import type { Recorder } from './recorder.js';
import type { Reporter } from './reporter.js';
import type { Refusal, Tracker } from './tracker.js';
import { membersOf } from './unit.js';

/** Refusals of one round that are told one by one. */
const MOST_REPORTED = 20;

type Submit = Extract<Action, { kind: 'submit' }>;

/** Hands planned jobs to the tracker, after a last look at their files; remembers what the agent refused. */
export class Submitter {
  /** path -> ms since the epoch before which it is not offered again */
  readonly #refused = new Map<string, number>();
  /** jobs that another watcher may have submitted */
  known: KnownJobs = new Map();

  constructor(
    private readonly watch: WatchDefinition,
    private readonly observer: Observer,
    private readonly recorder: Recorder,
    private readonly tracker: Tracker,
    private readonly ledger: Ledger,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly reporter: Reporter,
  ) {}

  isRefused = (path: string): boolean => this.#refused.has(path);

  forget(path: string): void {
    this.#refused.delete(path);
  }

  /** ms since the epoch when a refused job may be offered again; Infinity for none */
  get nextOffer(): number {
    let next = Infinity;
    for (const until of this.#refused.values()) next = Math.min(next, until);
    return next;
  }

  /** The submits that may be made now. */
  select(actions: readonly Action[]): Submit[] {
    const now = this.clock.now();
    for (const [path, until] of this.#refused) if (now >= until) this.#refused.delete(path);
    return actions
      .filter((action) => action.kind === 'submit')
      .filter(({ unit }) => !this.isRefused(unit.file.path));
  }

  /** @returns false when a file was not what the plan took it for: a new plan is wanted */
  submit(actions: readonly Submit[]): boolean {
    const now = this.clock.now();
    const present = actions.filter(({ unit }) =>
      membersOf(unit).every((file) => this.observer.isStill(file, now)),
    );
    const news = present.map((action) => this.#prepare(action));
    this.tracker.submit(news);
    for (const { submission } of news) {
      const { path, step, attempt, jobId } = submission;
      this.log.debug(
        { watch: this.watch.name, file: path, step, attempt, job: jobId },
        `submitted ${printable(path)}`,
      );
    }
    return present.length === actions.length;
  }

  /** The agent did not take these: they are offered again after a rescan. */
  refused(refusals: readonly Refusal[]): void {
    const until = this.clock.now() + this.watch.rescan * 1000;
    for (const { submission } of refusals) this.#refused.set(submission.path, until);
    for (const { submission, error } of refusals.slice(0, MOST_REPORTED)) {
      this.reporter.file(submission.path, `the agent refused the job: ${error}`);
    }
    if (refusals.length > MOST_REPORTED) {
      this.reporter.about('refused', `the agent refused ${refusals.length - MOST_REPORTED} more jobs`);
    }
  }

  #prepare({ unit, step, attempt, identity, spec, reason }: Submit) {
    const { path, backlog } = unit.file;
    if (reason === 'replaced') this.recorder.removeReplaced(unit);
    this.observer.forgetReplacement(path);
    const submission = this.ledger.prepare(
      { scope: scopeOf(this.watch), watch: this.watch.name, step, path, identity, attempt },
      spec.id,
      backlog,
      this.known,
    );
    return { submission, spec: backlog && spec.priority === undefined ? { ...spec, priority: -1 } : spec };
  }
}
