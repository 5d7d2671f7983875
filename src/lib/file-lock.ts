import { accessSync, closeSync, constants, lstatSync, openSync, statSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import Database from 'better-sqlite3';

/** Where locks between processes of this machine are kept: /run/lock where there is one (FHS 3.0, 3.15 and 5.9). */
export function lockDirectory(): string {
  try {
    accessSync('/run/lock', constants.W_OK);
    return '/run/lock';
  } catch {
    return tmpdir();
  }
}

/**
 * Takes a lock that is the kernel's: an open SQLite transaction, so it ends with the process, however that ends.
 * @returns the release function, which removes the file; undefined when somebody else holds the lock
 * @throws when the file cannot be made, or is one that another user has put there
 */
export function tryLock(path: string): (() => void) | undefined {
  for (let attempt = 0; attempt < 3; attempt++) {
    makeFile(path);
    mustBeOurs(path);
    const database = new Database(path, { timeout: 0 });
    try {
      const inode = inodeOf(path);
      database.pragma('journal_mode = MEMORY');
      database.exec('BEGIN EXCLUSIVE');
      // the holder before may have removed the file after we opened it: then this is a lock on nothing
      if (inode !== undefined && inode === inodeOf(path)) return () => release(database, path);
      database.close();
    } catch (error) {
      database.close();
      if (isBusy(error)) return undefined;
      throw error;
    }
  }
  return undefined;
}

/** For this user only: whoever can open a lock file could hold it for ever. */
function makeFile(path: string): void {
  try {
    closeSync(openSync(path, 'ax', 0o600));
  } catch {
    // it is there already, or opening it says what is wrong
  }
}

/** In a directory where everybody may write, another user could hold our lock for ever, or have a link followed. */
function mustBeOurs(path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat !== undefined && (!stat.isFile() || stat.uid !== process.geteuid?.() || stat.nlink > 1))
    throw new Error(`${path} is not a lock of this user; remove it`);
}

const isBusy = (error: unknown): boolean =>
  error instanceof Database.SqliteError &&
  (error.code.startsWith('SQLITE_BUSY') || error.code === 'SQLITE_LOCKED');

function release(database: Database.Database, path: string): void {
  if (!database.open) return;
  try {
    unlinkSync(path);
  } catch {
    // an unlocked file hinders nobody
  }
  database.close();
}

function inodeOf(path: string): bigint | undefined {
  try {
    return statSync(path, { bigint: true }).ino;
  } catch {
    return undefined;
  }
}
