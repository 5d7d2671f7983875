import type { Clock } from '../../lib/clock.js';
import { describeError, hasCode } from '../../lib/errors.js';
import { Guardian, bashTooOld } from './guardian.js';
import type { Programs } from './guardian.js';
import type { Journals } from './journals.js';
import type { Request } from './run-files.js';

const IDLE_MS = 10_000;
/** A journal has at most so many runs: some 30 KB. */
const RUNS_A_JOURNAL = 256;

export interface PoolEvents<T> {
  /** one line of the guardian that works for `owner`, see guardian.sh */
  line(owner: T, text: string): void;
  /** no guardian could be started for it; nothing has run */
  refused(owner: T, error: string): void;
  /** its guardian died */
  lost(owner: T): void;
  /** whether nothing in this journal is needed any more */
  isSettled(journal: string): boolean;
  /** This Perl does not come up: bash takes its place, from now on. */
  perlFailed(perl: string): void;
}

/** Guardians, one an owner; the idle ones are reused, last in first out, and let go after a while. */
export class GuardianPool<T> {
  private readonly working = new Map<Guardian, T>();
  private readonly idle: { readonly guardian: Guardian; readonly since: number }[] = [];
  /** of guardians that were let go */
  private left: string[] = [];
  private cancelReap: (() => void) | undefined;

  constructor(
    private programs: Programs,
    private readonly journals: Journals,
    private readonly clock: Clock,
    private readonly events: PoolEvents<T>,
  ) {}

  /**
   * @returns the journal in which it will be
   * @throws the system error when there can be no more processes
   */
  run(owner: T, request: Request): string {
    this.tidy();
    const guardian = this.idle.pop()?.guardian ?? this.spawn();
    const { journal } = guardian;
    if (guardian.runs >= RUNS_A_JOURNAL && this.events.isSettled(journal)) {
      this.journals.trim(journal);
      guardian.runs = 0;
    }
    this.working.set(guardian, owner);
    guardian.run(request);
    return journal;
  }

  stop(): void {
    this.cancelReap?.();
    for (const guardian of this.working.keys()) guardian.leave();
    for (const { guardian } of this.idle) guardian.leave();
    this.working.clear();
    this.idle.length = 0;
  }

  private tidy(): void {
    if (this.left.length === 0) return;
    const [settled, needed] = partition(this.left, (journal) => this.events.isSettled(journal));
    for (const journal of settled) this.journals.remove(journal);
    this.left = needed;
  }

  private spawn(): Guardian {
    const guardian: Guardian = new Guardian(this.programs, this.journals.create(), {
      line: (text) => this.heard(guardian, text),
      closed: (error) => this.closed(guardian, error),
    });
    return guardian;
  }

  private heard(guardian: Guardian, line: string): void {
    const owner = this.working.get(guardian);
    if (owner === undefined) return;
    if (line.startsWith('ready ') || line.startsWith('unfit ')) {
      const problem = line.startsWith('unfit ') ? line.slice(6) : bashTooOld(line.slice(6));
      if (problem !== undefined) this.dismiss(guardian, owner, problem);
      return;
    }
    if (!line.startsWith('started ')) this.release(guardian);
    this.events.line(owner, line);
  }

  private release(guardian: Guardian): void {
    this.working.delete(guardian);
    this.idle.push({ guardian, since: this.clock.now() });
    this.cancelReap ??= this.clock.after(IDLE_MS, () => this.reap());
  }

  /** The least recently used ones are at the front. */
  private reap(): void {
    this.cancelReap = undefined;
    while (this.idle[0] && this.idle[0].since + IDLE_MS <= this.clock.now())
      this.letGo(this.idle.shift()!.guardian);
    const [next] = this.idle;
    if (next) this.cancelReap = this.clock.after(next.since + IDLE_MS - this.clock.now(), () => this.reap());
  }

  private letGo(guardian: Guardian): void {
    guardian.leave();
    this.left.push(guardian.journal);
  }

  private dismiss(guardian: Guardian, owner: T, problem: string): void {
    this.working.delete(guardian);
    this.letGo(guardian);
    this.events.refused(owner, problem);
  }

  private closed(guardian: Guardian, error: Error | undefined): void {
    const owner = this.working.get(guardian);
    this.working.delete(guardian);
    const at = this.idle.findIndex((entry) => entry.guardian === guardian);
    if (at >= 0) this.idle.splice(at, 1);
    if (owner === undefined) return;
    const isUnfit = guardian.isPerl && !guardian.isReady && !isForWant(error);
    // a Perl without its modules, or that is being installed: bash takes the run once it is certain that it did not begin
    if (isUnfit) this.giveUpPerl();
    if (error === undefined || isUnfit) this.events.lost(owner);
    else
      this.events.refused(
        owner,
        `${guardian.isPerl ? 'perl' : 'bash'}: ${isForWant(error) ? describeError(error) : error.message}`,
      );
  }

  private giveUpPerl(): void {
    const { perl } = this.programs;
    if (perl === undefined) return;
    this.programs = { ...this.programs, perl: undefined };
    this.events.perlFailed(perl);
  }
}

/** Whether the machine, or this user, has run out of something: any program could not be started then. */
const isForWant = (error: Error | undefined): boolean =>
  hasCode(error, 'EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE', 'ENOBUFS');

function partition<T>(all: readonly T[], isFirst: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))];
}
