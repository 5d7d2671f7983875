import { readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Removes the `agent.pid` of a state directory after a stop, if it names this process: the next one may have taken over.
 * It is for people; that it cannot be removed is no trouble.
 */
export function removePidFile(directory: string, pid = process.pid): void {
  const file = join(directory, 'agent.pid');
  try {
    if (readFileSync(file, 'utf8').trim() === String(pid)) unlinkSync(file);
  } catch {
    // it is not there, or cannot be removed: the next start writes it anew
  }
}
