import { dirname } from 'node:path';
import { hasCode } from './errors.js';
import { realFileSystem, type FileSystem } from './file-system.js';
import { bytesToBuffer, printable, textToBytes } from './text.js';

/**
 * `mkdir -p`. Not Node's recursive mkdirSync: where a directory cannot be made although its parent exists (below
 * /proc, say) that one tries for ever.
 * @param path text, see text.ts
 * @throws the system error; where something else has the name, one of code EEXIST that says so
 */
export function makeDirectory(
  path: string,
  mode: number,
  fs: Pick<FileSystem, 'mkdirSync' | 'statSync'> = realFileSystem,
): void {
  const bytes = bytesToBuffer(textToBytes(path));
  try {
    fs.mkdirSync(bytes, { mode });
  } catch (error) {
    const above = dirname(path);
    if (hasCode(error, 'ENOENT') && above !== path && !isDirectory(above, fs)) {
      makeDirectory(above, mode, fs);
      fs.mkdirSync(bytes, { mode });
    } else if (!hasCode(error, 'EEXIST')) {
      throw error;
    } else if (!isDirectory(path, fs)) {
      throw Object.assign(new Error(`${printable(path)} is there and is no directory`), { code: 'EEXIST' });
    }
  }
}

function isDirectory(path: string, fs: Pick<FileSystem, 'statSync'>): boolean {
  try {
    return fs.statSync(bytesToBuffer(textToBytes(path))).isDirectory();
  } catch {
    return false;
  }
}
