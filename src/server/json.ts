import { isUtf8 } from 'node:buffer';
import { bytesToText } from '../lib/text.js';
import { RequestError } from './errors.js';

/** Deeper values are no requests; the walks over them are recursive. */
const DEEPEST = 64;

/** The value of a line. Bytes that are no UTF-8 become lone surrogates, see lib/text. @throws RequestError */
export function parseLine(line: Buffer): unknown {
  const text = isUtf8(line) ? line.toString('utf8') : bytesToText(line.toString('latin1'));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const why =
      error instanceof Error ? error.message.replace(/[\s\S]*(?= in JSON| at position)|"[\s\S]*$/, '') : '';
    throw new RequestError(`not JSON:${why === '' ? ' unexpected text' : why}`);
  }
  if (isDeeper(value, DEEPEST)) throw new RequestError(`nested more than ${DEEPEST} levels deep`);
  return value;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  const children: unknown[] = Array.isArray(value) ? value : Object.values(value);
  return children.some((child) => isDeeper(child, levels - 1));
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
