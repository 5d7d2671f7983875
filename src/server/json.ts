import { isAscii, isUtf8 } from 'node:buffer';
import { bytesToText } from '../lib/text.js';
import { RequestError } from './errors.js';

/** Deeper values are no requests; the walks over them are recursive. */
const DEEPEST = 64;

/** Shorter lines cannot hold enough to matter. */
const SHORT = 64 * 1024;
/** Values in one line: each costs many times the two bytes it may be written in. */
const MOST_VALUES = 1_000_000;

/** The text of a line. Bytes that are no UTF-8 become lone surrogates, see lib/text. */
export function decodeLine(line: Buffer): string {
  if (isAscii(line)) return line.toString('latin1');
  return isUtf8(line) ? line.toString('utf8') : bytesToText(line.toString('latin1'));
}

/** The value of a line. @throws RequestError */
export function parseLine(line: Buffer): unknown {
  mustBeModest(line);
  return parseText(decodeLine(line));
}

/** The value of the text of a line. @throws RequestError */
export function parseText(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RequestError(`not JSON: ${reasonOf(error)}`);
  }
  if (isDeeper(value, DEEPEST)) throw tooDeep();
  return value;
}

/** Node's words without the piece of the line that it quotes: that may be a secret. */
function reasonOf(error: unknown): string {
  const [words = ''] = (error instanceof Error ? error.message : '').split(/, (?:\.\.\.)?"/);
  return words === '' ? 'unexpected text' : words.charAt(0).toLowerCase() + words.slice(1);
}

const [QUOTE, COMMA, BACKSLASH] = [34, 44, 92];
const [OPEN_LIST, CLOSE_LIST, OPEN_MAP, CLOSE_MAP] = [91, 93, 123, 125];

/** Looks at the bytes alone: made into values they might not fit into memory. @throws RequestError */
export function mustBeModest(line: Buffer): void {
  if (line.length <= SHORT) return;
  let depth = 0;
  let values = 0;
  let isText = false;
  for (let i = 0; i < line.length; i++) {
    const byte = line[i];
    if (isText) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) isText = false;
    } else if (byte === QUOTE) isText = true;
    else if (byte === COMMA) values++;
    else if (byte === OPEN_LIST || byte === OPEN_MAP) {
      values++;
      depth++;
    } else if (byte === CLOSE_LIST || byte === CLOSE_MAP) depth--;
    if (depth > DEEPEST) throw tooDeep();
    if (values > MOST_VALUES)
      throw new RequestError(`more than ${MOST_VALUES} values in a line; send several lines`);
  }
}

const tooDeep = (): RequestError => new RequestError(`nested more than ${DEEPEST} levels deep`);

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) {
    for (const child of value) if (typeof child === 'object' && isDeeper(child, levels - 1)) return true;
    return false;
  }
  const mapping = value as Record<string, unknown>;
  for (const key in mapping)
    if (typeof mapping[key] === 'object' && isDeeper(mapping[key], levels - 1)) return true;
  return false;
}

/** JSON in plain ASCII, as the original writes it. */
export function toAscii(value: unknown): string {
  const text = JSON.stringify(value);
  return /[^\0-\x7f]/.test(text) ? text.replace(/[^\0-\x7f]/g, escape) : text;
}

const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** For `options.pretty`: the answer as indented text, keys sorted. */
export function pretty(value: unknown): string {
  return JSON.stringify(sorted(value), null, 4).replace(/[^\0-\x7f]/g, escape);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, child]) => [key, sorted(child)]),
  );
}

export const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
