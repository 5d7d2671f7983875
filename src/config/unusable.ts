import type { Problem } from './problem.js';
import type { Location, Tree } from './tree.js';

/** Deeper nesting or more values than this is no configuration but an accident or an attack. */
export const MAX_DEPTH = 100;
export const MAX_NODES = 500_000;
export const MAX_BYTES = 16 * 1024 * 1024;
export const TOO_DEEP = `nested more than ${MAX_DEPTH} levels deep`;

/** What a parser of one format gives back: the first syntax error is enough, the rest follow from it. */
export interface ParsedTree {
  readonly tree?: Tree;
  readonly problems: readonly Problem[];
}

/** Thrown inside the parsers for what a file cannot be used with; `parse` makes it a problem. */
export class UnusableFile extends Error {
  constructor(
    readonly at: Location,
    message: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}

/** `__proto__` would reach the prototype of an object somewhere downstream. */
export function refuseKey(key: string, at: Location): void {
  if (key === '__proto__') throw new UnusableFile(at, '"__proto__" cannot be a key', 'rename it');
}
