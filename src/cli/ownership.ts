import { chmodSync, lstatSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describeError, UserError } from '../lib/errors.js';
import { makeDirectory } from '../lib/make-directory.js';
import { exitCodes } from './context.js';

/**
 * Makes the state directory, for this user only. What is in it decides which commands run: nobody else may have put it there.
 * @throws UserError when it cannot be made, or it or something in it belongs to another user
 */
export function ownStateDirectory(directory: string): void {
  try {
    makeDirectory(directory, 0o700);
    mustBeOurs(directory, directory);
    chmodSync(directory, 0o700);
    for (const name of readdirSync(directory)) mustBeOurs(join(directory, name), directory);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(
      `cannot make the state directory ${directory}: ${describeError(error)}; set state_dir to a directory you may write`,
      exitCodes.trouble,
    );
  }
}

function mustBeOurs(path: string, directory: string): void {
  const owner = lstatSync(path, { throwIfNoEntry: false })?.uid;
  const user = process.geteuid?.();
  if (owner === undefined || owner === user) return;
  throw new UserError(
    `cannot use the state directory ${directory}: ${path} belongs to user ${owner}, who could have jobs run as user ${user}; give all of it to one user (chown -R), or set state_dir`,
    exitCodes.trouble,
  );
}

/** Why configuration files cannot be trusted: whoever may write them decides what runs as this user. */
export function openConfigurations(files: readonly string[], cwd: string): string[] {
  return files.flatMap((file) =>
    isWritableByAll(resolve(cwd, file))
      ? [`anybody may write ${file} and so decide what runs here; chmod o-w ${file}`]
      : [],
  );
}

function isWritableByAll(path: string): boolean {
  try {
    return (statSync(path).mode & 0o002) !== 0;
  } catch {
    return false;
  }
}
