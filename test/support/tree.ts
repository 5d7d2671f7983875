import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Entry {
  readonly path: string;
  /** permission bits */
  readonly mode: number;
  readonly kind: 'file' | 'directory' | 'socket' | 'other';
  readonly content: string;
}

/** Everything below a directory, and itself, without following links. */
export function tree(root: string): Entry[] {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return [root, ...names.map((name) => join(root, name))].flatMap((path) => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    const kind = stat.isFile()
      ? 'file'
      : stat.isDirectory()
        ? 'directory'
        : stat.isSocket()
          ? 'socket'
          : 'other';
    return [
      { path, mode: stat.mode & 0o777, kind, content: kind === 'file' ? contentOf(path) : '' } as const,
    ];
  });
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** The command lines and titles of all processes, as `ps` shows them to anybody. */
export function commandLines(): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    return [`/proc/${pid}/cmdline`, `/proc/${pid}/comm`].map(contentOf);
  });
}
