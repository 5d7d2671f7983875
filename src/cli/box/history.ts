import type { AgentCore } from '../../agent/core.js';
import type { JobRecord } from '../../agent/types.js';
import { describeError } from '../../lib/errors.js';
import type { Log } from '../../lib/log.js';
import { isFinished } from '../../protocol/job.js';
import { appendLine, repair, sync, tailLines } from './line-file.js';

const MARK = 'history';
const FLUSH_MS = 5000;
const BATCH = 500;
/** Lines that may have been written after the last mark are looked for in so much of the end of the file. */
const TAIL_BYTES = 16 * 1024 * 1024;

type Core = Pick<AgentCore, 'mark' | 'setMark' | 'lastSeq' | 'changedSince'>;

/**
 * `state.history`: every finished job as one JSON line, without its environment. A mark in the state says up to which
 * change the file is complete and on disk; what came after it is compared with the end of the file at the next start, so
 * that a crash loses no line and writes none twice. (Twice only if the file is moved away just before a crash.)
 */
export class History {
  private core: Core | undefined;
  private path: string | undefined;
  /** false: something is missing in the file, it has to be compared */
  private isComplete = false;
  private isTold = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly log: Log) {}

  /** Takes up where the last run ended. @param path undefined: no history is wanted */
  start(core: Core, path: string | undefined): void {
    this.core = core;
    this.path = path;
    this.attempt(() => {
      if (path === undefined) core.setMark(MARK, undefined);
      else if (core.mark(MARK) === undefined) this.begin(core);
      else this.catchUp(core, path);
    });
    this.timer = setInterval(() => this.flush(), FLUSH_MS).unref();
  }

  /** Another file begins with what ends from now on. */
  configure(path: string | undefined): void {
    const { core } = this;
    if (core === undefined || path === this.path) return;
    this.flush();
    this.path = path;
    this.attempt(() => (path === undefined ? core.setMark(MARK, undefined) : this.begin(core)));
  }

  add(record: JobRecord): void {
    const { path } = this;
    if (path === undefined || !this.isComplete) return;
    this.attempt(() => appendLine(path, lineOf(record)));
  }

  stop(): void {
    clearInterval(this.timer);
    this.flush();
  }

  private flush(): void {
    const { core, path } = this;
    if (core === undefined || path === undefined) return;
    this.attempt(() => {
      if (!this.isComplete) this.catchUp(core, path);
      else if (core.mark(MARK) !== core.lastSeq) {
        sync(path);
        core.setMark(MARK, core.lastSeq);
      }
    });
  }

  private begin(core: Core): void {
    core.setMark(MARK, core.lastSeq);
    this.isComplete = true;
  }

  private catchUp(core: Core, path: string): void {
    repair(path);
    const known = new Set(tailLines(path, TAIL_BYTES).map(endOfLine));
    for (let next = core.mark(MARK); next !== undefined;) {
      const changed = core.changedSince(next, BATCH);
      for (const record of changed.records)
        if (isFinished(record.state) && !known.has(endOf(record))) appendLine(path, lineOf(record));
      next = changed.next;
    }
    this.isComplete = true;
  }

  private attempt(action: () => void): void {
    try {
      action();
      this.isTold = false;
    } catch (error) {
      this.isComplete = false;
      if (!this.isTold)
        this.log.error(
          { err: error },
          `cannot write the history to ${this.path}: ${describeError(error)}; trying again until it works`,
        );
      this.isTold = true;
    }
  }
}

function lineOf(record: JobRecord): string {
  const { spec, wire: _wire, env: _env, owner: _owner, ...rest } = record;
  const { env: _private, ...shown } = spec;
  return JSON.stringify({ ...shown, ...rest });
}

/** What makes one end of one job: a restarted job ends again. */
const endOf = ({ id, run, end_ts }: Pick<JobRecord, 'id' | 'run' | 'end_ts'>): string =>
  JSON.stringify([id, run, end_ts]);

function endOfLine(line: string): string {
  try {
    return endOf(JSON.parse(line) as JobRecord);
  } catch {
    return '';
  }
}
