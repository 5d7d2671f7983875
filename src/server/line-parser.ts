import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { decodeLine, isMapping, mustBeModest, parseText } from './json.js';

/** A longer one is parsed each time. */
const LONGEST = 16 * 1024;
const [QUOTE, BACKSLASH, SPACE, CLOSE] = [34, 92, 32, 125];
const KEY = Buffer.from('"env":');
/** Nobody can have sent it. */
const PLACE_VALUE = randomUUID();
const PLACE = `"${PLACE_VALUE}"`;
const NOTHING = Buffer.alloc(0);

/**
 * Parses the lines of one client. Its jobs mostly have the same environment, which is most of their bytes: they are
 * recognised, and stand for one frozen object. The values are those that JSON.parse makes of the whole line.
 *
 * Why that is safe: an unescaped `"env":` in a valid line is a key. What follows is replaced only where it is the known
 * text, and the replacement counts only where it comes out as the environment of a submit; else all is parsed.
 */
export class LineParser {
  /** the environment that came twice, as it was written: UTF-8 */
  private known = NOTHING;
  private env: Readonly<Record<string, string>> = {};
  /** the one that came last */
  private last: Readonly<Record<string, unknown>> | undefined;

  /** @throws RequestError */
  parse(line: Buffer): unknown {
    mustBeModest(line);
    const known = this.known.length === 0 ? undefined : this.withKnown(line);
    if (known !== undefined) return known;
    const value = parseText(decodeLine(line));
    this.learn(line, value);
    return value;
  }

  private withKnown(line: Buffer): unknown {
    let text = '';
    let count = 0;
    let from = 0;
    for (let at = find(line, 0); at >= 0; at = find(line, from)) {
      const end = at + this.known.length;
      if (end > line.length || line.compare(this.known, 0, this.known.length, at, end) !== 0)
        return undefined;
      const piece = line.subarray(from, at);
      if (!isUtf8(piece)) return undefined;
      text += piece.toString('utf8') + PLACE;
      count++;
      from = end;
    }
    const rest = line.subarray(from);
    if (count === 0 || !isUtf8(rest)) return undefined;
    try {
      const value = parseText(text + rest.toString('utf8'));
      return this.fill(value) === count ? value : undefined;
    } catch {
      return undefined; // the error of the whole line is the one to tell
    }
  }

  /** Puts the environment where it belongs. @returns how often */
  private fill(value: unknown): number {
    let filled = 0;
    for (const request of Array.isArray(value) ? (value as unknown[]) : []) {
      const job = isMapping(request) ? request['submit'] : undefined;
      if (!isMapping(job) || job['env'] !== PLACE_VALUE) continue;
      job['env'] = this.env;
      filled++;
    }
    return filled;
  }

  private learn(line: Buffer, value: unknown): void {
    const env = firstEnvironment(value);
    if (env === undefined || sizeOf(env) > LONGEST) return;
    const isRepeated = this.last !== undefined && isSame(env, this.last);
    this.last = env;
    if (!isRepeated) return;
    const known = textOfMapping(line, find(line, 0));
    const copy = known.length > LONGEST ? undefined : mappingOf(known);
    if (copy === undefined || !isSame(copy, env)) return;
    // a part of the line would keep all of it
    this.known = Buffer.from(known);
    this.env = Object.freeze(copy as Record<string, string>);
  }
}

/** Where the value of the next `"env"` key begins. */
function find(line: Buffer, from: number): number {
  for (let at = line.indexOf(KEY, from); at >= 0; at = line.indexOf(KEY, at + 1))
    if (line[at - 1] !== BACKSLASH) {
      const value = at + KEY.length;
      return line[value] === SPACE ? value + 1 : value;
    }
  return -1;
}

/** What is written of a mapping of texts, if that is what begins there. */
function textOfMapping(line: Buffer, start: number): Buffer {
  if (start < 0) return NOTHING;
  let isText = false;
  for (let i = start; i < line.length; i++) {
    const byte = line[i];
    if (isText && byte === BACKSLASH) i++;
    else if (byte === QUOTE) isText = !isText;
    else if (byte === CLOSE && !isText) return line.subarray(start, i + 1);
  }
  return NOTHING;
}

function mappingOf(known: Buffer): Record<string, unknown> | undefined {
  if (!isUtf8(known)) return undefined;
  try {
    const value: unknown = JSON.parse(known.toString('utf8'));
    return isMapping(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function firstEnvironment(value: unknown): Record<string, unknown> | undefined {
  const first: unknown = Array.isArray(value) ? value[0] : undefined;
  const job = isMapping(first) ? first['submit'] : undefined;
  const env = isMapping(job) ? job['env'] : undefined;
  return isMapping(env) ? env : undefined;
}

/** Characters of its names and texts. */
function sizeOf(env: Readonly<Record<string, unknown>>): number {
  let size = 0;
  for (const name in env) size += name.length + (typeof env[name] === 'string' ? env[name].length : Infinity);
  return size;
}

/** True for two mappings of the same names to the same texts. */
function isSame(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  let left = 0;
  for (const name in a) {
    if (typeof a[name] !== 'string' || name === '__proto__' || a[name] !== b[name]) return false;
    left++;
  }
  for (const _ in b) left--;
  return left === 0;
}
