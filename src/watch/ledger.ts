import { chmodSync, existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import type { WatchDefinition } from '../config/schema.js';
import { describeError } from '../lib/errors.js';
import { jobId, submissionKey, type Attempt, type Identity } from './identity.js';

/** A submission that is intended, made, or recorded. Written before the agent hears of it. */
export interface Submission extends Attempt {
  /** the watch and the directory it looks at: the same name on another directory is another matter */
  readonly scope: string;
  readonly jobId: string;
  readonly key: string;
  readonly backlog: boolean;
}

interface Row {
  readonly scope: string;
  readonly watch: string;
  readonly step: number;
  readonly path: string;
  readonly identity: string;
  readonly attempt: number;
  readonly generation: number;
  readonly job_id: string;
  readonly key: string;
  readonly backlog: number;
  readonly recorded: number;
}

const SCHEMA_VERSION = 1;
const RECORDED = 1;
const WITHDRAWN = 2;

/**
 * The watcher's durable memory of its own submissions, a SQLite file in the state directory. It tells a crash between
 * a job's end and its marker (open: collect the result) from a marker that a person removed (recorded: run again).
 */
export class Ledger {
  readonly #db: Database.Database;
  readonly #path: string;
  readonly #statements: ReturnType<typeof prepareStatements>;

  /** A ledger to look at, for dry runs; undefined when there is none. */
  static peek(path: string): Pick<Ledger, 'open' | 'close'> | undefined {
    if (!existsSync(path)) return undefined;
    const db = new Database(path, { readonly: true });
    return { open: (scope) => openSubmissions(db, scope), close: () => db.close() };
  }

  /** @throws when the file cannot be opened or is no ledger */
  constructor(path: string) {
    this.#path = path;
    this.#db = new Database(path);
    chmodSync(path, 0o600);
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma('synchronous = FULL');
    const version = Number(this.#db.pragma('user_version', { simple: true }));
    if (version > SCHEMA_VERSION)
      throw new Error(`${path} was written by a newer meeseeks (version ${version})`);
    this.#db.exec(`
      CREATE TABLE IF NOT EXISTS submission (
        scope TEXT NOT NULL, watch TEXT NOT NULL, step INTEGER NOT NULL, path TEXT NOT NULL, identity TEXT NOT NULL,
        attempt INTEGER NOT NULL, generation INTEGER NOT NULL, job_id TEXT NOT NULL, key TEXT NOT NULL,
        backlog INTEGER NOT NULL, recorded INTEGER NOT NULL DEFAULT 0, changed_at INTEGER NOT NULL,
        PRIMARY KEY (scope, step, path)
      ) WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS open_submission ON submission (scope) WHERE recorded = 0;
      PRAGMA user_version = ${SCHEMA_VERSION};
    `);
    this.#statements = prepareStatements(this.#db);
  }

  /** Submissions of a watch whose result has not been recorded. */
  open(scope: string): Submission[] {
    return openSubmissions(this.#db, scope);
  }

  /** Scopes that have open submissions, also such that no configuration names any more. */
  openScopes(): string[] {
    return this.#db
      .prepare<[], { scope: string }>('SELECT DISTINCT scope FROM submission WHERE recorded = 0')
      .all()
      .map((row) => row.scope);
  }

  /** Keys of the submissions whose result is recorded. */
  recordedKeys(): Set<string> {
    const rows = this.#db
      .prepare<[], { key: string }>(`SELECT key FROM submission WHERE recorded = ${RECORDED}`)
      .all();
    return new Set(rows.map((row) => row.key));
  }

  /**
   * Fixes key and id of an attempt. The same attempt that was intended before keeps its key, so that the agent knows it
   * again; one whose result was recorded gets the next generation: its marker was removed by a person.
   * @param known jobs of another watcher that may have submitted the same attempt, in a generation of its own
   */
  prepare(
    attempt: Omit<Attempt, 'generation'> & { readonly scope: string },
    id: string | undefined,
    backlog: boolean,
    known: KnownJobs = new Map(),
  ): Submission {
    const row = this.#statements.get.get(attempt.scope, attempt.step, JSON.stringify(attempt.path));
    const own = nextGeneration(row, attempt);
    const full = { ...attempt, generation: knownGeneration(row, attempt, known, own) ?? own };
    return { ...full, key: submissionKey(full), jobId: id ?? jobId(full), backlog };
  }

  /** Durable when it returns. */
  intend(submissions: readonly Submission[], now: number): void {
    this.#write(() => {
      for (const s of submissions) {
        this.#statements.intend.run(
          s.scope,
          s.watch,
          s.step,
          JSON.stringify(s.path),
          JSON.stringify(s.identity),
          s.attempt,
          s.generation,
          s.jobId,
          s.key,
          Number(s.backlog),
          now,
        );
      }
    });
  }

  /**
   * The results of these are in their markers, or need none. Not synced: a power cut may open them again, and the same
   * markers are written again. Whatever is intended later makes it durable, too.
   */
  record(submissions: readonly Submission[], now: number): void {
    this.#writeUnsynced(() => {
      for (const s of submissions)
        this.#statements.close.run(RECORDED, now, s.scope, s.step, JSON.stringify(s.path));
    });
  }

  /** Closes submissions that never reached an agent; the attempt may be made again under the same key. */
  withdraw(submissions: readonly Submission[]): void {
    this.#writeUnsynced(() => {
      for (const s of submissions)
        this.#statements.close.run(WITHDRAWN, null, s.scope, s.step, JSON.stringify(s.path));
    });
  }

  /** Drops recorded submissions older than `before` (ms): the agent has forgotten their jobs by then. */
  prune(before: number): void {
    this.#db.prepare('DELETE FROM submission WHERE recorded <> 0 AND changed_at < ?').run(before);
  }

  close(): void {
    this.#db.close();
  }

  #writeUnsynced(changes: () => void): void {
    this.#db.pragma('synchronous = NORMAL');
    try {
      this.#write(changes);
    } finally {
      this.#db.pragma('synchronous = FULL');
    }
  }

  #write(changes: () => void): void {
    try {
      this.#db.transaction(changes)();
    } catch (error) {
      throw new Error(`cannot write ${this.#path}: ${describeError(error)}`, { cause: error });
    }
  }
}

const prepareStatements = (db: Database.Database) => ({
  get: db.prepare<[string, number, string], Row>(
    'SELECT * FROM submission WHERE scope = ? AND step = ? AND path = ?',
  ),
  intend: db.prepare(
    `INSERT OR REPLACE INTO submission (scope, watch, step, path, identity, attempt, generation, job_id, key, backlog, recorded, changed_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`,
  ),
  close: db.prepare<[number, number | null, string, number, string]>(
    'UPDATE submission SET recorded = ?, changed_at = coalesce(?, changed_at) WHERE scope = ? AND step = ? AND path = ?',
  ),
});

function nextGeneration(
  row: Row | undefined,
  attempt: Omit<Attempt, 'generation'> & { readonly scope: string },
): number {
  if (row === undefined) return 0;
  // another identity counts on as well: a file may come back to what it was
  const isSame = row.identity === JSON.stringify(attempt.identity);
  const goesOn = !isSame
    ? false
    : row.recorded === RECORDED
      ? attempt.attempt > row.attempt
      : attempt.attempt >= row.attempt;
  return goesOn ? row.generation : row.generation + 1;
}

/** Keys of jobs the agent has, and whether they are still to end. */
export type KnownJobs = ReadonlyMap<string, boolean>;
const MOST_GENERATIONS = 64;

/** The generation under which another watcher submitted this attempt; of a file that we know, only while that job is to end. */
function knownGeneration(
  row: Row | undefined,
  attempt: Omit<Attempt, 'generation'>,
  known: KnownJobs,
  own: number,
): number | undefined {
  if (known.size === 0) return undefined;
  const isSame = row?.identity === JSON.stringify(attempt.identity);
  for (let generation = MOST_GENERATIONS; generation >= (isSame ? own : 0); generation--) {
    const isActive = known.get(submissionKey({ ...attempt, generation }));
    if (isActive === true || (isActive === false && row === undefined)) return generation;
  }
  return undefined;
}

/** Where the submissions of a watch are kept apart: by its name, and by its directory if it looks at one. */
export const scopeOf = (watch: Pick<WatchDefinition, 'name' | 'path' | 'lists'>): string =>
  JSON.stringify(watch.lists.length === 0 ? [watch.name] : [watch.name, watch.path]);

/** The name of the watch, where the scope is one that keeps jobs running and looks at no directory. */
export function serviceOfScope(scope: string): string | undefined {
  const parts = JSON.parse(scope) as string[];
  return parts.length === 1 ? parts[0] : undefined;
}

const openSubmissions = (db: Database.Database, scope: string): Submission[] =>
  db
    .prepare<[string], Row>('SELECT * FROM submission WHERE scope = ? AND recorded = 0')
    .all(scope)
    .map(fromRow);

const fromRow = (row: Row): Submission => ({
  scope: row.scope,
  watch: row.watch,
  step: row.step,
  path: JSON.parse(row.path) as string,
  identity: JSON.parse(row.identity) as Identity,
  attempt: row.attempt,
  generation: row.generation,
  jobId: row.job_id,
  key: row.key,
  backlog: row.backlog === 1,
});
