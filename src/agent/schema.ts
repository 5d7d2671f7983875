import Database from 'better-sqlite3';
import { chmodSync, existsSync, statSync } from 'node:fs';

const VERSION = 3;
/** Bigger files are not read through at start. */
const CHECK_BYTES = 64 * 1024 * 1024;

/** Opens agent.db, made when missing, with its tables as this version has them. @throws when it is damaged, or later */
export function openDatabase(path: string): Database.Database {
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
    makeTables(db);
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

/** Makes the tables, or brings those of an earlier version up to date: all or nothing. @throws for a later version */
function makeTables(db: Database.Database): void {
  const version = Number(db.pragma('user_version', { simple: true }));
  if (version === VERSION) return;
  if (version < 0 || version > VERSION)
    throw new Error(`it has version ${version}, this program knows ${VERSION}`);
  db.transaction(() => {
    for (const step of STEPS.slice(version)) db.exec(step);
    db.pragma(`user_version = ${VERSION}`);
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
`;

/**
 * A start reads the queue, and a count of all jobs is taken, from indices alone. Texts are JSON, as ids are. `queue`,
 * of queued jobs only: order, priority, hold, not_before, submitter; see store.ts.
 */
const THIRD = `
  ALTER TABLE jobs ADD COLUMN pool TEXT;
  ALTER TABLE jobs ADD COLUMN node TEXT;
  ALTER TABLE jobs ADD COLUMN queue TEXT;
  UPDATE jobs SET pool = record -> '$.spec.pool', node = record -> '$.spec.node';
  UPDATE jobs SET queue = '[' || (record -> '$.order') || ',' || coalesce(record -> '$.spec.priority', '0') || ',' ||
    CASE WHEN record -> '$.spec.hold' = 'true' THEN '1' ELSE '0' END || ',' ||
    coalesce(record -> '$.not_before', '0') || coalesce(',' || (record -> '$.submitter'), '') || ']'
    WHERE state = 'new';
  DROP INDEX jobs_state;
  CREATE INDEX jobs_state ON jobs (state, pool, node, queue) WHERE queue IS NULL;
  CREATE INDEX jobs_queue ON jobs (pool, node, queue, id) WHERE queue IS NOT NULL;
`;

const STEPS = [FIRST, SECOND, THIRD];
