import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { WatchDefinition } from '../config/schema.js';
import type { Clock } from '../lib/clock.js';
import { describeError } from '../lib/errors.js';
import { lockDirectory, tryLock } from '../lib/file-lock.js';
import type { Log } from '../lib/log.js';
import { printable } from '../lib/text.js';
import { digest } from './identity.js';

const POLL_MS = 1000;

/**
 * Of several watchers of this machine with the same watch on the same directory one works; the others stand by and
 * take over when it ends (contract, "Exactly once"). The lock is not kept in the directory: data directories hold
 * nothing but data and markers.
 */
export class Claim {
  #release: (() => void) | undefined;
  #cancel: (() => void) | undefined;
  standingBy = false;

  constructor(
    private readonly watch: WatchDefinition,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  /** Calls `onHeld` once the claim is ours: at once, or when the other watcher ends. True when it was at once. */
  acquire(onHeld: () => void): boolean {
    if (this.#tryNow()) return true;
    this.standingBy = true;
    const directory = printable(this.#directory);
    this.log.warn(
      { watch: this.watch.name },
      `another watcher works on watch ${this.watch.name} in ${directory}; standing by, taking over when it ends`,
    );
    this.#poll(onHeld);
    return false;
  }

  release(): void {
    this.#cancel?.();
    this.#release?.();
    this.#release = undefined;
  }

  #poll(onHeld: () => void): void {
    this.#cancel = this.clock.after(POLL_MS, () => {
      if (!this.#tryNow()) return this.#poll(onHeld);
      this.standingBy = false;
      this.log.info({ watch: this.watch.name }, 'the other watcher ended; taking over');
      onHeld();
    });
  }

  /** Where no lock can be made the watch works without: results are still recorded once each by this watcher. */
  #tryNow(): boolean {
    try {
      this.#release = tryLock(this.#lockPath());
      return this.#release !== undefined;
    } catch (error) {
      this.log.debug(
        { watch: this.watch.name, error: describeError(error) },
        'cannot take the lock of the watch',
      );
      return true;
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
