import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { processStat } from '../../src/executors/process/proc.js';
import { processOf } from './checker.js';
import { EPOCH, parseLog, type LogLine, type SeenMarker, type Start } from './evidence.js';
import { watchNames, type WatchName } from './scenario.js';
import type { World } from './world.js';

const SAMPLE_MS = 60;

/** Looks, from outside and all the time, at what must always hold: markers are whole, and which jobs are alive. */
export class TortureObserver {
  readonly seen: SeenMarker[] = [];
  readonly torn: { name: string; at: number; content: string }[] = [];
  readonly aliveUntil = new Map<string, number>();
  samples = 0;
  readonly #known = new Map<string, { inode: bigint; mtimeNs: bigint; marker: SeenMarker | undefined }>();
  readonly #open = new Map<string, Start>();
  #log: LogLine[] = [];
  #offset = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly world: World) {}

  start(): void {
    let turn = 0;
    this.#timer = setInterval(() => {
      for (let i = 0; i < 2; i++) this.readMarkers(watchNames[turn++ % watchNames.length]!);
      this.readLog();
      this.lookAtOpen();
      this.samples++;
    }, SAMPLE_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The jobs' log as far as it goes now. */
  readLog(): readonly LogLine[] {
    const bytes = readFileSync(this.world.runLog);
    const end = bytes.lastIndexOf(10) + 1;
    if (end > this.#offset) {
      const lines = parseLog(bytes.toString('latin1', this.#offset, end));
      this.#offset = end;
      this.#log.push(...lines);
      for (const line of lines) {
        if (line.kind === 'S') this.#open.set(processOf(line), line);
        else this.#open.delete(processOf(line));
      }
    }
    return this.#log;
  }

  /** Attempts that did not tell their end, and whose process is there. */
  alive(): Start[] {
    return [...this.#open.values()].filter(({ pid, birth }) => processStat(pid)?.birth === birth);
  }

  /** All markers as they are now. */
  markers(): SeenMarker[] {
    return watchNames.flatMap((watch) => this.readMarkers(watch));
  }

  private lookAtOpen(): void {
    const now = Date.now() / 1000;
    for (const start of this.alive()) this.aliveUntil.set(processOf(start), now);
  }

  private readMarkers(watch: WatchName): SeenMarker[] {
    const directory = this.world.in(watch);
    const names = readdirSync(directory, { encoding: 'latin1' });
    return names.flatMap((name) => {
      const [, step, state] = /^\._[a-z]+_(\d+)_[^]*\.(done|failed|killed|mtime)$/.exec(name) ?? [];
      if (state === undefined) return [];
      const marker = this.readOne(join(directory, name), watch, Number(step), state);
      return marker === undefined ? [] : [marker];
    });
  }

  private readOne(path: string, watch: WatchName, step: number, state: string): SeenMarker | undefined {
    const bytes = Buffer.from(path, 'latin1');
    try {
      const { ino, mtimeNs } = statSync(bytes, { bigint: true });
      const known = this.#known.get(path);
      if (known?.inode === ino && known.mtimeNs === mtimeNs) return known.marker;
      const content = readFileSync(bytes, 'utf8');
      const marker = this.take(content, path, watch, step, state);
      this.#known.set(path, { inode: ino, mtimeNs, marker });
      return marker;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
        this.#known.delete(path);
        return undefined;
      }
      throw error;
    }
  }

  private take(
    content: string,
    path: string,
    watch: WatchName,
    step: number,
    state: string,
  ): SeenMarker | undefined {
    const at = Date.now() / 1000;
    const whole = state === 'mtime' ? Number(content) > EPOCH : parse(content);
    if (whole === undefined || whole === false) {
      this.torn.push({ name: path, at, content: content.slice(0, 80) });
      return undefined;
    }
    if (whole === true) return undefined;
    const marker = {
      watch,
      step,
      state,
      serial: Number(BigInt(whole.identity.mtime_ns) / 1_000_000_000n) - EPOCH,
      job: whole.id,
      attempt: whole.attempt,
      at,
      path,
    };
    this.seen.push(marker);
    return marker;
  }
}

interface Content {
  readonly id: string;
  readonly attempt: number;
  readonly identity: { readonly mtime_ns: string };
}

function parse(content: string): Content | undefined {
  try {
    return JSON.parse(content) as Content;
  } catch {
    return undefined;
  }
}
