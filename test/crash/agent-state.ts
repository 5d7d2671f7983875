import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Answer } from './evidence.js';

/**
 * What an agent answers after a start, read from a copy of its state while it is down: nothing is started by asking.
 * @param scratch a directory for the copy
 */
export function storedJobs(state: string, scratch: string): Answer[] {
  const names = ['agent.db', 'agent.db-wal'];
  if (!existsSync(join(state, 'agent.db'))) return [];
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch);
  for (const name of names)
    if (existsSync(join(state, name))) copyFileSync(join(state, name), join(scratch, name));
  const db = new Database(join(scratch, 'agent.db'));
  try {
    const tables = db
      .prepare<[], { name: string }>("SELECT name FROM sqlite_master WHERE name = 'jobs'")
      .all();
    if (tables.length === 0) return [];
    return db
      .prepare<[], { record: string }>('SELECT record FROM jobs')
      .all()
      .map(({ record }) => JSON.parse(record) as Answer);
  } finally {
    db.close();
  }
}
