import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DEFAULT_LEASE, type WatchDefinition } from '../config/schema.js';
import type { Clock } from '../lib/clock.js';
import { describeError, hasCode } from '../lib/errors.js';
import { lockDirectory, tryLock } from '../lib/file-lock.js';
import { realFileSystem, type FileSystem } from '../lib/file-system.js';
import type { Log } from '../lib/log.js';
import { makeDirectory } from '../lib/make-directory.js';
import { bytesToBuffer, printable, textToBytes } from '../lib/text.js';
import { digest } from './identity.js';
import { thisHost, type LeaseHost } from './lease-host.js';
import { LeaseKeeper } from './lease-keeper.js';
import { isShared } from './network.js';

const POLL_MS = 1000;

export interface ClaimPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** what follows is the real one by default */
  readonly fs?: FileSystem | undefined;
  readonly lock?: typeof tryLock | undefined;
  readonly host?: LeaseHost | undefined;
}

/**
 * Of several watchers with the same watch on the same directory one works; the others stand by and take over when it
 * ends (contract, "Exactly once"). Those of one machine and user are kept apart by a lock of the kernel, which is not
 * in the directory; those of several machines by a lease, which has to be.
 */
export class Claim {
  #release: (() => void) | undefined;
  #cancel: (() => void) | undefined;
  #lease: LeaseKeeper | undefined;
  /** the file system that the choice between with and without a lease was made for */
  #device: bigint | undefined;
  #lost = false;
  #why: string | undefined;

  /** @param onLost called once when nothing may be done any more: everything begins anew with another claim */
  constructor(
    private readonly watch: WatchDefinition,
    private readonly ports: ClaimPorts,
    private readonly onLost: () => void,
  ) {}

  /** Calls `onHeld` once the claim is ours: at once, or when the other watcher ends. True when it was at once. */
  acquire(onHeld: () => void): boolean {
    if (this.#tryNow()) return this.#acquireLease(onHeld);
    this.#why = 'another watcher works on it';
    const directory = printable(this.#directory);
    this.ports.log.warn(
      { watch: this.watch.name },
      `another watcher works on watch ${this.watch.name} in ${directory}; standing by, taking over when it ends`,
    );
    this.#poll(onHeld);
    return false;
  }

  /** Whether this watcher may go on. */
  holds(): boolean {
    return this.isOpen() && !this.#isMounted();
  }

  /** The fence before every act: whether it may be done, now. Costs nothing where no lease is kept. */
  isOpen = (): boolean =>
    !this.#lost && this.#why === undefined && (this.#lease === undefined || this.#lease.holds());

  /** Another machine may have worked here since this watcher was started. */
  get isShared(): boolean {
    return this.#lease !== undefined;
  }

  /** Why it stands by; undefined when it works. */
  get standingBy(): string | undefined {
    return this.#why;
  }

  release(): void {
    this.#cancel?.();
    this.#lease?.stop();
    this.#release?.();
    this.#release = undefined;
  }

  #poll(onHeld: () => void): void {
    this.#cancel = this.ports.clock.after(POLL_MS, () => {
      if (!this.#tryNow()) return this.#poll(onHeld);
      this.#why = undefined;
      this.#sayTaken();
      if (this.#acquireLease(onHeld)) onHeld();
    });
  }

  #sayTaken = (): void =>
    this.ports.log.info({ watch: this.watch.name }, 'the other watcher ended; taking over');

  /** Where no lock can be made the watch works without: results are still recorded once each by this watcher. */
  #tryNow(): boolean {
    const { lock = tryLock, log } = this.ports;
    try {
      this.#release = lock(this.#lockPath());
      return this.#release !== undefined;
    } catch (error) {
      log.debug({ watch: this.watch.name, error: describeError(error) }, 'cannot take the lock of the watch');
      return true;
    }
  }

  #acquireLease(onHeld: () => void): boolean {
    this.#device = this.#deviceNow();
    if (!this.#needsLease()) return true;
    const { fs = realFileSystem, clock, host = thisHost() } = this.ports;
    const { lease } = this.watch;
    const ttl = lease === 'auto' ? DEFAULT_LEASE : lease;
    if (this.watch.statePath !== undefined) this.#makeDirectory(fs);
    this.#why = 'the lease is not taken yet';
    this.#lease = new LeaseKeeper(
      { directory: this.#directory, watch: this.watch.name, ttl },
      fs,
      clock,
      host,
      {
        taken: () => {
          this.#why = undefined;
          this.#sayTaken();
          onHeld();
        },
        lost: (why) => this.#lose(why),
        says: (why) => this.#say(why),
      },
    );
    const taken = this.#lease.start();
    if (taken) this.#why = undefined;
    return taken;
  }

  #say(why: string): void {
    if (this.#why !== undefined) this.#why = why;
    if (why === '') return;
    const standby = this.#why === undefined ? '' : '; standing by, taking over when that ends';
    this.ports.log.warn(
      { watch: this.watch.name },
      `watch ${printable(this.watch.name)} in ${printable(this.#directory)}: ${why}${standby}`,
    );
  }

  #lose(why: string): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#why = why;
    this.ports.log.warn(
      { watch: this.watch.name },
      `the lease on ${printable(this.#directory)} is lost: ${why}; watch ${printable(this.watch.name)} submits and records nothing more until it is taken again`,
    );
    this.onLost();
  }

  /** Whether another file system came in the place of the one the lease was decided on: a network mount that was late. */
  #isMounted(): boolean {
    if (this.watch.lease !== 'auto') return false;
    const device = this.#deviceNow();
    if (device === this.#device) return false;
    this.#device = device;
    if (this.#needsLease() === (this.#lease !== undefined)) return false;
    this.#lose('another file system is mounted there');
    return true;
  }

  #needsLease(): boolean {
    if (this.watch.lease !== 'auto') return this.watch.lease > 0;
    try {
      return isShared(this.#directory, this.ports.fs);
    } catch {
      // not there: looked at again when it is
      return false;
    }
  }

  #deviceNow(): bigint | undefined {
    const { fs = realFileSystem } = this.ports;
    try {
      return fs.statSync(bytesToBuffer(textToBytes(this.#directory)), { bigint: true }).dev;
    } catch (error) {
      return hasCode(error, 'ENOENT') ? undefined : this.#device;
    }
  }

  #makeDirectory(fs: FileSystem): void {
    try {
      makeDirectory(this.#directory, 0o777, fs);
    } catch {
      // taking the lease says what is wrong
    }
  }

  #lockPath(): string {
    return join(
      lockDirectory(),
      `meeseeks-${digest(realDirectory(this.#directory), this.watch.name).slice(0, 32)}.lock`,
    );
  }

  get #directory(): string {
    return this.watch.statePath ?? this.watch.path!;
  }
}

/** The directory by whatever name it is reached, as far as it is there. */
function realDirectory(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path === dirname(path) ? path : join(realDirectory(dirname(path)), basename(path));
  }
}
