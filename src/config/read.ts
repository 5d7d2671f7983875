import { existsSync, readFileSync, statSync } from 'node:fs';
import { parse, type Parsed } from './parse.js';
import { errorAt } from './problem.js';
import { MAX_BYTES } from './unusable.js';

/** Reads and parses a file. What the system refuses comes back as a problem, never as an exception. */
export function readConfigFile(path: string, shown: string): Parsed {
  const refuse = (message: string, hint?: string): Parsed => ({
    problems: [errorAt({ file: shown }, [], message, hint)],
  });
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) return refuse('is a directory, expected a file', 'name the file in it');
    if (stat.size > MAX_BYTES) {
      return refuse(`is larger than ${MAX_BYTES / 1024 / 1024} MiB`, 'is it a data file?');
    }
    return parse(readFileSync(path), shown);
  } catch (error) {
    return refuse(...reasonOf(error, shown));
  }
}

function reasonOf(error: unknown, shown: string): [message: string, hint?: string] {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOENT') {
    const hint = /^[\w.]+$/.test(shown)
      ? 'check the name; settings are given as key=value'
      : 'check the name and the current directory';
    return ['there is no such file', hint];
  }
  if (code === 'EACCES') return ['cannot be read: permission denied', 'check its owner and mode'];
  return [`cannot be read: ${error instanceof Error ? error.message : String(error)}`];
}

export const fileExists = (path: string): boolean => existsSync(path);
