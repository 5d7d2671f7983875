import Database from 'better-sqlite3';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Another agent works on this state directory. */
export class AgentLockedError extends Error {
  override readonly name = 'AgentLockedError';

  constructor(
    readonly directory: string,
    /** process id of the other agent, when known */
    readonly holder: number | undefined,
  ) {
    const who = holder === undefined ? 'another agent' : `another agent (process ${holder})`;
    super(`${who} is using ${directory}; stop it, or name another state directory`);
  }
}

/**
 * Makes this process the only agent of a state directory. The lock is the kernel's (an open SQLite transaction), so
 * it ends with the process, however that ends.
 * @returns the release function
 * @throws AgentLockedError
 */
export function lockDirectory(directory: string): () => void {
  const holderFile = join(directory, 'agent.pid');
  const database = new Database(join(directory, 'lock.db'), { timeout: 0 });
  try {
    chmodSync(join(directory, 'lock.db'), 0o600);
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY'))
      throw new AgentLockedError(directory, readHolder(holderFile));
    throw error;
  }
  writeFileSync(holderFile, `${process.pid}\n`, { mode: 0o600 });
  return () => {
    if (!database.open) return;
    database.exec('ROLLBACK');
    database.close();
  };
}

function readHolder(file: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(file, 'utf8'), 10) || undefined;
  } catch {
    return undefined;
  }
}
