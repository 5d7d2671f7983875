import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { hasCode } from './errors.js';

/**
 * `mkdir -p`. Not Node's recursive mkdirSync: where a directory cannot be made although its parent exists (below
 * /proc, say) that one tries for ever.
 * @throws the system error
 */
export function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (hasCode(error, 'ENOENT') && dirname(path) !== path && !isDirectory(dirname(path))) {
      makeDirectory(dirname(path), mode);
      mkdirSync(path, { mode });
    } else if (!hasCode(error, 'EEXIST') || !isDirectory(path)) {
      throw error;
    }
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
