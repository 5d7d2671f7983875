import { randomUUID } from 'node:crypto';
import { decodeLine, isMapping, parseText } from './json.js';

/** A longer one is parsed each time. */
const LONGEST = 16 * 1024;
const [QUOTE, BACKSLASH, SPACE, CLOSE] = [34, 92, 32, 125];
const KEY = '"env":';
/** Nobody can have sent it. */
const PLACE = randomUUID();

/**
 * Parses the lines of one client. Its jobs mostly have the same environment, which is most of their bytes: its text is
 * recognised, and stands for one frozen object. The values are those that JSON.parse makes of the whole line.
 *
 * Why that is safe: an unescaped `"env":` in a valid line is a key. What follows is replaced only where it is the known
 * text, and the replacement counts only where it comes out as the environment of a submit; else all is parsed.
 */
export class LineParser {
  /** the text of the environment that came twice */
  private text = '';
  private env: Readonly<Record<string, string>> = {};
  /** the one that came last */
  private last: Readonly<Record<string, unknown>> | undefined;

  /** @throws RequestError */
  parse(line: Buffer): unknown {
    const text = decodeLine(line);
    const known = this.text === '' ? undefined : this.withKnown(text);
    if (known !== undefined) return known;
    const value = parseText(text);
    this.learn(text, value);
    return value;
  }

  private withKnown(text: string): unknown {
    const pieces: string[] = [];
    let from = 0;
    for (let at = find(text, 0); at >= 0; at = find(text, from)) {
      if (!text.startsWith(this.text, at)) return undefined;
      pieces.push(text.slice(from, at));
      from = at + this.text.length;
    }
    if (pieces.length === 0) return undefined;
    try {
      const value = parseText(`${pieces.join(`"${PLACE}"`)}"${PLACE}"${text.slice(from)}`);
      return this.fill(value) === pieces.length ? value : undefined;
    } catch {
      return undefined; // the error of the whole line is the one to tell
    }
  }

  /** Puts the environment where it belongs. @returns how often */
  private fill(value: unknown): number {
    let filled = 0;
    for (const request of Array.isArray(value) ? (value as unknown[]) : []) {
      const job = isMapping(request) ? request['submit'] : undefined;
      if (!isMapping(job) || job['env'] !== PLACE) continue;
      job['env'] = this.env;
      filled++;
    }
    return filled;
  }

  private learn(text: string, value: unknown): void {
    const env = firstEnvironment(value);
    if (env === undefined || sizeOf(env) > LONGEST) return;
    const isRepeated = this.last !== undefined && isSame(env, this.last);
    this.last = env;
    if (!isRepeated) return;
    const known = textOfMapping(text, find(text, 0));
    const copy = known.length > LONGEST ? undefined : mappingOf(known);
    if (copy === undefined || !isSame(copy, env)) return;
    // a copy: a slice would keep the whole line
    this.text = Buffer.from(known, 'utf16le').toString('utf16le');
    this.env = Object.freeze(copy as Record<string, string>);
  }
}

/** Where the value of the next `"env"` key begins. */
function find(text: string, from: number): number {
  for (let at = text.indexOf(KEY, from); at >= 0; at = text.indexOf(KEY, at + 1))
    if (text.charCodeAt(at - 1) !== BACKSLASH) {
      const value = at + KEY.length;
      return text.charCodeAt(value) === SPACE ? value + 1 : value;
    }
  return -1;
}

/** The text of a mapping of texts, if that is what begins there. */
function textOfMapping(text: string, start: number): string {
  if (start < 0) return '';
  let isText = false;
  for (let i = start; i < text.length; i++) {
    const character = text.charCodeAt(i);
    if (isText && character === BACKSLASH) i++;
    else if (character === QUOTE) isText = !isText;
    else if (character === CLOSE && !isText) return text.slice(start, i + 1);
  }
  return '';
}

function mappingOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
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
