import type { Clock } from '../lib/clock.js';
import { describeError } from '../lib/errors.js';
import type { FileSystem } from '../lib/file-system.js';
import {
  describeOwner,
  leaseContent,
  renewedUntil,
  sighted,
  takeableAt,
  trustedFor,
  type LeaseFile,
  type Sight,
} from './lease.js';
import { LeaseFiles } from './lease-files.js';
import type { LeaseHost } from './lease-host.js';

const POLL_MS = 1000;
/** an owner that acts looks at its file again after this long */
const VERIFY_MS = 1000;

/** From the take-over until the lease is lost. Times are ms by `elapsed`. */
interface Tenure {
  readonly epoch: number;
  readonly id: string;
  trustedUntil: number;
  renewals: number;
  beganAt: number;
  verifiedAt: number;
}

export interface LeaseEvents {
  /** not called for a lease that `start` took at once */
  taken(): void;
  /** nothing may be done any more; the keeper is at its end */
  lost(why: string): void;
  /** why it stands by, or is about to, in words; '' for no trouble. Called when that changes */
  says(why: string): void;
}

export interface LeaseSettings {
  /** absolute, text */
  readonly directory: string;
  readonly watch: string;
  /** seconds */
  readonly ttl: number;
}

/**
 * Takes the lease of a watch on a directory, keeps it, and knows when it is lost. At most one keeper's `holds` is true
 * at a time, wherever the others run (docs/architecture.md, "Two watchers").
 */
export class LeaseKeeper {
  readonly #files: LeaseFiles;
  #sight: Sight | undefined;
  #tenure: Tenure | undefined;
  #cancel: (() => void) | undefined;
  #why = '';
  #stopped = false;

  constructor(
    private readonly settings: LeaseSettings,
    fs: FileSystem,
    private readonly clock: Clock,
    private readonly host: LeaseHost,
    private readonly events: LeaseEvents,
  ) {
    this.#files = new LeaseFiles(settings.directory, settings.watch, fs);
  }

  /** @returns whether the lease was taken at once; otherwise it is waited for */
  start(): boolean {
    const taken = this.#tryTake();
    this.#tickLater();
    return taken;
  }

  /**
   * Whether this watcher may act, now. Looks at the file again when the last look was a while ago, and takes the lease
   * anew when it ran out and nobody else has.
   */
  holds(): boolean {
    const tenure = this.#tenure;
    if (tenure === undefined || this.#stopped) return false;
    const now = this.host.elapsed();
    if (now >= tenure.trustedUntil) return this.#runOut();
    if (now - tenure.beganAt >= this.#renewMs) this.#renew(tenure);
    else if (now - tenure.verifiedAt >= VERIFY_MS) this.#verify(tenure, now);
    // the file system may have taken its time
    return this.#tenure !== undefined && this.host.elapsed() < this.#tenure.trustedUntil;
  }

  /** Lets the next one take over at once. */
  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    const tenure = this.#tenure;
    this.#tenure = undefined;
    if (tenure === undefined) return;
    this.host.abandon(tenure.id);
    if (this.host.elapsed() >= tenure.trustedUntil) return;
    try {
      if (this.#files.isOf(tenure.epoch, tenure.id)) this.#files.remove(tenure.epoch);
    } catch {
      // it runs out by itself
    }
  }

  get #renewMs(): number {
    return (this.settings.ttl * 1000) / 4;
  }

  #tickLater(): void {
    if (this.#stopped) return;
    const ms = this.#tenure === undefined ? Math.min(POLL_MS, this.#renewMs) : this.#renewMs;
    this.#cancel = this.clock.after(ms, () => {
      this.#tick();
      this.#tickLater();
    });
  }

  #tick(): void {
    if (this.#tenure !== undefined) {
      const { trustedUntil } = this.#tenure;
      if (this.host.elapsed() >= trustedUntil) this.#runOut();
      else this.#renew(this.#tenure);
    } else if (this.#tryTake()) this.events.taken();
  }

  #tryTake(): boolean {
    try {
      const began = this.host.elapsed();
      if (!this.#isOpen(this.#look(), began))
        return this.#wait(`${describeOwner(this.#sight!.file!)} works on it`);
      // a look at one file may have missed a higher one
      const epochs = this.#files.list();
      const highest = epochs[0] === undefined ? undefined : this.#files.read(epochs[0]);
      if (!this.#isOpen(highest, began))
        return this.#wait(`${describeOwner(this.#sight!.file!)} works on it`);
      return this.#take(highest, epochs, began);
    } catch (error) {
      return this.#wait(
        `cannot take the lease in ${this.settings.directory}: ${describeError(error)}; trying again`,
      );
    }
  }

  /** Whether the lease may be taken by what was seen just now. @param began ms, before the look */
  #isOpen(file: LeaseFile | undefined, began: number): boolean {
    this.#sight = sighted(this.#sight, file, this.host.elapsed(), this.settings.ttl);
    const at = takeableAt(this.#sight, (one) => this.host.isDead(one));
    return at === undefined || at <= began;
  }

  /** The file that was seen last, as it is now; the highest when it is gone. */
  #look(): LeaseFile | undefined {
    const known = this.#sight?.file && this.#files.read(this.#sight.file.epoch);
    if (known !== undefined) return known;
    const [highest] = this.#files.list();
    return highest === undefined ? undefined : this.#files.read(highest);
  }

  #take(before: LeaseFile | undefined, epochs: readonly number[], began: number): boolean {
    const epoch = (before?.epoch ?? 0) + 1;
    const id = this.host.newId();
    try {
      if (!this.#files.create(epoch, id, this.#content(id, 0)))
        return this.#wait('another watcher takes over');
      const trustedUntil = began + trustedFor(this.settings.ttl);
      if (!this.#isAlone(epoch, before, epochs)) {
        if (this.#files.isOf(epoch, id)) this.#files.remove(epoch);
        return this.#wait('another watcher takes over');
      }
      for (const old of epochs) if (this.host.elapsed() < trustedUntil) this.#removeQuietly(old);
      if (this.host.elapsed() >= trustedUntil) return this.#wait('the file system is too slow');
      this.#tenure = { epoch, id, trustedUntil, renewals: 0, beganAt: began, verifiedAt: began };
    } finally {
      if (this.#tenure === undefined) this.host.abandon(id);
    }
    this.#sight = undefined;
    this.#say('');
    return true;
  }

  /** After a pause between look and creation the world may be another: then nobody was outlived. */
  #isAlone(epoch: number, before: LeaseFile | undefined, epochs: readonly number[]): boolean {
    const others = this.#files.list().filter((other) => other !== epoch);
    if (others.some((other) => !epochs.includes(other))) return false;
    return before === undefined || this.#files.read(before.epoch)?.content === before.content;
  }

  #removeQuietly(epoch: number): void {
    try {
      this.#files.remove(epoch);
    } catch {
      // the highest counts
    }
  }

  #renew(tenure: Tenure): void {
    const { epoch, id, trustedUntil } = tenure;
    const began = this.host.elapsed();
    try {
      const isOurs = this.#files.renew(epoch, id, this.#content(id, tenure.renewals + 1));
      if (!isOurs) return this.#lose('its file was taken away');
      const ended = this.host.elapsed();
      tenure.renewals++;
      this.#say('');
      tenure.trustedUntil = renewedUntil(trustedUntil, began, ended, this.settings.ttl);
      if (tenure.trustedUntil === trustedUntil) return;
      tenure.beganAt = began;
      tenure.verifiedAt = ended;
    } catch (error) {
      this.#say(`cannot renew the lease in ${this.settings.directory}: ${describeError(error)}`);
    }
  }

  #verify(tenure: Tenure, now: number): void {
    try {
      if (!this.#files.isOf(tenure.epoch, tenure.id)) return this.#lose('its file was taken away');
      tenure.verifiedAt = now;
    } catch {
      // unknown; the lease runs out when it cannot be renewed
    }
  }

  /** The time is over: nobody knows who acts, until the next epoch is created. */
  #runOut(): boolean {
    const tenure = this.#tenure!;
    this.#tenure = undefined;
    this.host.abandon(tenure.id);
    if (this.#tryTake()) return true;
    this.#lose(this.#why);
    return false;
  }

  #lose(why: string): void {
    if (this.#tenure !== undefined) this.host.abandon(this.#tenure.id);
    this.#tenure = undefined;
    this.#stopped = true;
    this.#cancel?.();
    this.events.lost(why);
  }

  #wait(why: string): false {
    this.#say(why);
    return false;
  }

  #say(why: string): void {
    if (why === this.#why) return;
    this.#why = why;
    this.events.says(why);
  }

  #content = (id: string, renewals: number): string =>
    leaseContent({ owner: id, ...this.host.self, ttl: this.settings.ttl, renewals });
}
