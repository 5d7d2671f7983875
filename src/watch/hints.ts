import { closeSync, existsSync, readFileSync, watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import { watch as watchPaths, type FSWatcher as PathWatcher } from 'chokidar';
import { hasCode } from '../lib/errors.js';
import { loadLibc } from '../lib/load-libc.js';

/**
 * File-system events, as hints only: what they lose, the next rescan finds. One kernel watch a folder
 * (chokidar would take one a file); chokidar for paths that do not exist yet.
 */
export interface Hints {
  /**
   * Watches a folder; a second call for the same folder does nothing. Failure is reported once and survived.
   * @param isLarge has the event loop not wait for the kernel: see `flagged`
   */
  add(folder: string, path: Buffer, isLarge: boolean): void | Promise<void>;
  remove(folder: string): void;
  /** Calls `onAppeared` once when something happens on the way to a missing path. */
  awaitPath(path: string, onAppeared: () => void): void;
  close(): void;
}

export interface HintListener {
  /** @param name bytes of the name; undefined when the kernel did not say */
  changed(folder: string, name: string | undefined, kind: 'rename' | 'change'): void;
  /** The kernel's queue ran over somewhere: events of any folder may be missing. */
  overflowed(): void;
  failed(folder: string, error: unknown): void;
}

export function createHints(listener: HintListener): Hints {
  const watchers = new Map<string, FSWatcher>();
  /** folders whose failure was told */
  const failed = new Set<string>();
  let awaiting: PathWatcher | undefined;
  overflow.listeners.add(listener);
  const remove = (folder: string): void => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };
  const stopAwaiting = (): void => {
    void awaiting?.close();
    awaiting = undefined;
  };
  const watchFolder = (folder: string, path: Buffer): void => {
    try {
      const watcher = watch(path, { encoding: 'latin1', persistent: true }, (kind, name) => {
        overflow.count();
        listener.changed(folder, name ?? undefined, kind);
      });
      watcher.on('error', (error) => {
        remove(folder);
        listener.failed(folder, error);
      });
      watchers.set(folder, watcher);
      failed.delete(folder);
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR') || failed.has(folder)) return;
      failed.add(folder);
      listener.failed(folder, error);
    }
  };
  let isClosed = false;
  return {
    add(folder, path, isLarge) {
      if (watchers.has(folder)) return undefined;
      const add = (): void => (isClosed ? undefined : watchFolder(folder, path));
      return isLarge ? flagged(path, add) : add();
    },
    remove,
    awaitPath(path, onAppeared) {
      stopAwaiting();
      const base = nearestExisting(path);
      awaiting = watchPaths(base, {
        depth: 0,
        ignoreInitial: true,
        ignored: (p) => p !== base && !isOnTheWay(p, path),
      });
      awaiting.on('all', () => {
        stopAwaiting();
        onAppeared();
      });
      awaiting.on('error', stopAwaiting);
    },
    close() {
      isClosed = true;
      overflow.listeners.delete(listener);
      stopAwaiting();
      for (const folder of watchers.keys()) remove(folder);
    },
  };
}

/**
 * The first watch of a directory has the kernel flag all entries it has in memory: 0.2 s for a million. A watch that is
 * taken beside the event loop, and given up after, leaves nothing of that to do (so measured on Linux 6.18; older kernels
 * may do it twice). To list the folder meanwhile is no faster, and makes the loop wait: the kernel does not let go of a CPU.
 */
async function flagged(path: Buffer, add: () => void): Promise<void> {
  const fd = await (await loadLibc())?.watchBeside(path);
  try {
    add();
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function nearestExisting(path: string): string {
  let base = dirname(path);
  while (!existsSync(base) && base !== dirname(base)) base = dirname(base);
  return base;
}

const isOnTheWay = (path: string, target: string): boolean =>
  target === path || target.startsWith(`${path}/`);

/**
 * Node drops the kernel's overflow notice, so it is inferred: as many events in one turn of the loop as the
 * queue can hold mean that some were lost (limits: 16,384 of 50,000 arrived). One queue serves the process.
 */
class OverflowDetector {
  readonly listeners = new Set<HintListener>();
  #events = 0;
  #scheduled = false;
  readonly #limit = readQueueLimit();

  count(): void {
    this.#events++;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      const lost = this.#events >= this.#limit;
      this.#events = 0;
      this.#scheduled = false;
      if (lost) for (const listener of this.listeners) listener.overflowed();
    });
  }
}

function readQueueLimit(): number {
  try {
    return Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
  } catch {
    return 16_384;
  }
}

const overflow = new OverflowDetector();
