import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The journals of all guardians of a state directory; see guardian.sh for what is in them. */
export function journals(state: string): string[] {
  const directory = join(state, 'guardians');
  return files(directory).flatMap((name) => {
    try {
      return [readFileSync(join(directory, name), 'latin1')];
    } catch {
      return []; // a directory, or gone meanwhile
    }
  });
}

function files(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' });
  } catch {
    return [];
  }
}
