import Database from 'better-sqlite3';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isFinished, jobStates } from '../protocol/job.js';
import type { JobState } from '../protocol/job.js';
import type { JobRecord } from './types.js';

const VERSION = 2;
/** Sequence numbers are reserved in blocks, so that taking one needs no write. */
const SEQ_BLOCK = 10_000;
const ENVS_KEPT = 64;
/** Bigger files are not read through at start. */
const CHECK_BYTES = 64 * 1024 * 1024;

/**
 * The durable jobs. Records are JSON text: JSON.stringify escapes lone surrogates, which SQLite's text could not
 * hold; ids are stored as JSON for the same reason. Every method throws when the disk does.
 */
export class Store {
  private readonly db: Database.Database;
  private readonly statements: Statements;
  private seq = 0;
  private ceiling = 0;
  /** environments known to be on disk, so that a thousand jobs of one submitter write one */
  private envs = new Map<string, string>();

  /** @throws Error that says what to do when the file is damaged or of a later version */
  constructor(directory: string) {
    const path = join(directory, 'agent.db');
    try {
      this.db = open(path);
      this.statements = prepare(this.db);
      const row = this.db.prepare<[], { value: number }>("SELECT value FROM meta WHERE name = 'seq'").get();
      this.seq = row?.value ?? 0;
      this.ceiling = this.seq;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`cannot open ${path}: ${why}; move it away to start with an empty agent`, {
        cause: error,
      });
    }
  }

  /** Larger than any before, also over restarts. */
  nextSeq(): number {
    if (this.seq >= this.ceiling) {
      const ceiling = this.seq + SEQ_BLOCK;
      this.statements.setSeq.run(ceiling);
      this.ceiling = ceiling;
    }
    return ++this.seq;
  }

  get lastSeq(): number {
    return this.seq;
  }

  get(id: string): JobRecord | undefined {
    const row = this.statements.get.get(JSON.stringify(id));
    return row && parse(row.record);
  }

  /** Writes all or none. @returns the records as written, each with its sequence number and time */
  write(records: Iterable<JobRecord>, now: number): JobRecord[] {
    const written: JobRecord[] = [];
    try {
      this.db.transaction(() => {
        for (const record of records) {
          const stamped = this.withoutEnv({ ...record, seq: this.nextSeq(), ts: now });
          this.put(stamped);
          written.push(stamped);
        }
      })();
    } catch (error) {
      this.ceiling = 0; // the reservation may have been rolled back
      this.envs.clear();
      throw error;
    }
    return written;
  }

  /** The environment a submitter gave for a job. */
  env(record: JobRecord): Readonly<Record<string, string>> | undefined {
    if (record.env === undefined) return record.spec.env;
    const text = this.envs.get(record.env) ?? this.statements.getEnv.get(record.env)?.env;
    return text === undefined ? undefined : (JSON.parse(text) as Record<string, string>);
  }

  /** Jobs that changed after `seq`, in that order: the first `most`. */
  since(seq: number, most: number): JobRecord[] {
    return this.statements.since.all(seq, most).map((row) => parse(row.record));
  }

  /** Jobs for which `wanted` is true; the others cost no memory. It must not use the store. */
  select(states: readonly JobState[], wanted: (record: JobRecord) => boolean): JobRecord[] {
    const found: JobRecord[] = [];
    for (const state of states)
      for (const row of this.statements.byState.iterate(state)) {
        const record = parse(row.record);
        if (wanted(record)) found.push(record);
      }
    return found;
  }

  list(states: readonly JobState[] = jobStates): JobRecord[] {
    return states.flatMap((state) => this.statements.byState.all(state).map((row) => parse(row.record)));
  }

  /** Marks results as seen; a job that is not finished has none yet. */
  release(ids: readonly string[]): void {
    this.db.transaction(() => {
      for (const id of ids) this.statements.release.run(JSON.stringify(id));
    })();
  }

  /** Everything that ended before `until` seconds, seen by its submitter or not: at most `most`. */
  abandoned(until: number, most: number): JobRecord[] {
    return this.statements.abandoned.all(until, most).map((row) => parse(row.record));
  }

  /** Forgets environments that no job has any more. */
  pruneEnvs(): void {
    this.statements.pruneEnvs.run();
    this.envs.clear();
  }

  /** Released results that ended before `until` seconds: at most `most`. */
  expired(until: number, most: number): JobRecord[] {
    return this.statements.expired.all(until, most).map((row) => parse(row.record));
  }

  /** Forgets jobs, but none that changed meanwhile. */
  remove(jobs: readonly Pick<JobRecord, 'id' | 'seq'>[]): void {
    this.db.transaction(() => {
      for (const { id, seq } of jobs) this.statements.remove.run(JSON.stringify(id), seq);
    })();
  }

  close(): void {
    this.db.close();
  }

  private put(record: JobRecord): void {
    const finished = isFinished(record.state) ? (record.end_ts ?? record.ts) : null;
    const id = JSON.stringify(record.id);
    const text = JSON.stringify(record);
    this.statements.put.run(id, record.state, finished, record.seq, record.env ?? null, text);
  }

  /** Moves the environment of a spec into its own table: it is large, secret and mostly the same. */
  private withoutEnv(record: JobRecord): JobRecord {
    if (record.spec.env === undefined) return record;
    const { env, ...spec } = record.spec;
    const text = JSON.stringify(env);
    const name = createHash('sha256').update(text).digest('base64url').slice(0, 27);
    if (!this.envs.has(name)) {
      if (this.envs.size >= ENVS_KEPT) this.envs.clear();
      this.statements.putEnv.run(name, text);
      this.envs.set(name, text);
    }
    return { ...record, spec, env: name };
  }
}

const parse = (text: string): JobRecord => JSON.parse(text) as JobRecord;

function open(path: string): Database.Database {
  const existed = existsSync(path);
  const db = new Database(path, { timeout: 1000 });
  try {
    if (!existed) chmodSync(path, 0o600);
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    // ids are random: with 100,000 jobs the pages of their index must stay at hand, and go back to the file seldom
    db.pragma('cache_size = -16384');
    db.pragma('wal_autocheckpoint = 4000');
    if (existed && statSync(path).size <= CHECK_BYTES) check(db);
    create(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function check(db: Database.Database): void {
  const result = db.pragma('quick_check(1)', { simple: true });
  if (result !== 'ok') throw new Error(`it is damaged (${String(result)})`);
}

function create(db: Database.Database): void {
  const version = Number(db.pragma('user_version', { simple: true }));
  if (version === VERSION) return;
  if (version !== 0 && version !== 1)
    throw new Error(`it has version ${version}, this program knows ${VERSION}`);
  db.transaction(() => {
    if (version === 0) db.exec(FIRST);
    db.exec(SECOND);
  })();
}

const FIRST = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE jobs (id TEXT PRIMARY KEY, state TEXT NOT NULL, end_ts REAL, released INTEGER NOT NULL,
    record TEXT NOT NULL);
  CREATE INDEX jobs_state ON jobs (state);
  CREATE INDEX jobs_expire ON jobs (end_ts) WHERE released = 1 AND end_ts IS NOT NULL;
`;

const SECOND = `
  CREATE TABLE envs (name TEXT PRIMARY KEY, env TEXT NOT NULL);
  ALTER TABLE jobs ADD COLUMN seq INTEGER;
  ALTER TABLE jobs ADD COLUMN env TEXT;
  UPDATE jobs SET seq = json_extract(record, '$.seq');
  CREATE INDEX jobs_seq ON jobs (seq);
  CREATE INDEX jobs_end ON jobs (end_ts) WHERE end_ts IS NOT NULL;
  CREATE INDEX jobs_env ON jobs (env) WHERE env IS NOT NULL;
  PRAGMA user_version = ${VERSION};
`;

interface Row {
  readonly record: string;
}

type Statements = ReturnType<typeof prepare>;

const prepare = (db: Database.Database) => ({
  setSeq: db.prepare<[number]>("INSERT OR REPLACE INTO meta (name, value) VALUES ('seq', ?)"),
  get: db.prepare<[string], Row>('SELECT record FROM jobs WHERE id = ?'),
  put: db.prepare<[string, string, number | null, number, string | null, string]>(
    `INSERT INTO jobs (id, state, end_ts, released, seq, env, record) VALUES (?, ?, ?, 0, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, end_ts = excluded.end_ts, released = 0,
       seq = excluded.seq, env = excluded.env, record = excluded.record`,
  ),
  getEnv: db.prepare<[string], { env: string }>('SELECT env FROM envs WHERE name = ?'),
  putEnv: db.prepare<[string, string]>('INSERT OR IGNORE INTO envs (name, env) VALUES (?, ?)'),
  pruneEnvs: db.prepare<[]>(
    'DELETE FROM envs WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.env = envs.name)',
  ),
  since: db.prepare<[number, number], Row>('SELECT record FROM jobs WHERE seq > ? ORDER BY seq LIMIT ?'),
  abandoned: db.prepare<[number, number], Row>(
    'SELECT record FROM jobs WHERE end_ts IS NOT NULL AND end_ts <= ? ORDER BY end_ts LIMIT ?',
  ),
  byState: db.prepare<[string], Row>('SELECT record FROM jobs WHERE state = ? ORDER BY rowid'),
  release: db.prepare<[string]>('UPDATE jobs SET released = 1 WHERE id = ? AND end_ts IS NOT NULL'),
  expired: db.prepare<[number, number], Row>(
    'SELECT record FROM jobs WHERE released = 1 AND end_ts IS NOT NULL AND end_ts <= ? ORDER BY end_ts LIMIT ?',
  ),
  remove: db.prepare<[string, number]>('DELETE FROM jobs WHERE id = ? AND seq = ?'),
});
