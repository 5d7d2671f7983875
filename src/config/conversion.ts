import { sprintf } from 'sprintf-js';
import { toNumber } from './words.js';

const conversions = ['s', 'd', 'i', 'u', 'x', 'X', 'o', 'e', 'E', 'f', 'F', 'g', 'G'] as const;
export type Conversion = (typeof conversions)[number];
export const isConversion = (letter: string): letter is Conversion =>
  (conversions as readonly string[]).includes(letter);
export const knownConversions = conversions.join(' ');

export interface Format {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
  readonly conversion: Conversion;
}

/** Wider or more precise than this is a typing error, and would fill the memory. */
export const MAX_WIDTH = 1000;
export const MAX_PRECISION = 100;

/** A value in printf notation, as Python prints it; undefined when it is no number and has to be one. */
export function formatConversion(format: Format, value: string | number | boolean): string | undefined {
  if (format.conversion === 's') return pad(cut(String(value), format.precision), '', format);
  const body = 'diuxXo'.includes(format.conversion)
    ? formatInteger(format, value)
    : formatFloat(format, value);
  if (body === undefined) return undefined;
  const negative = body.startsWith('-');
  const sign = negative ? '-' : format.flags.includes('+') ? '+' : format.flags.includes(' ') ? ' ' : '';
  return pad(negative ? body.slice(1) : body, sign, format);
}

function pad(body: string, sign: string, { flags, width, conversion }: Format): string {
  const missing = Math.min(width, MAX_WIDTH) - sign.length - Array.from(body).length;
  if (missing <= 0) return sign + body;
  if (flags.includes('-')) return sign + body + ' '.repeat(missing);
  if (flags.includes('0') && conversion !== 's') return sign + '0'.repeat(missing) + body;
  return ' '.repeat(missing) + sign + body;
}

const cut = (text: string, precision: number | undefined): string =>
  precision === undefined ? text : Array.from(text).slice(0, precision).join('');

// Through BigInt: a part of a file name such as 20240101000000123456 must not lose digits.
function formatInteger(format: Format, value: string | number | boolean): string | undefined {
  const integer = toInteger(value);
  if (integer === undefined) return undefined;
  const { conversion, flags, precision = 0 } = format;
  const base = conversion === 'o' ? 8 : conversion.toLowerCase() === 'x' ? 16 : 10;
  const digits = (integer < 0n ? -integer : integer)
    .toString(base)
    .padStart(Math.min(precision, MAX_PRECISION), '0');
  const prefix = flags.includes('#') && base !== 10 ? (base === 16 ? '0x' : '0o') : '';
  const body = `${integer < 0n ? '-' : ''}${prefix}${digits}`;
  return conversion === 'X' ? body.toUpperCase() : body;
}

function toInteger(value: string | number | boolean): bigint | undefined {
  if (typeof value === 'string' && /^\s*[-+]?\d+\s*$/.test(value)) {
    return BigInt(value.trim().replace(/^\+/, ''));
  }
  const number = toNumber(value);
  return number === undefined ? undefined : BigInt(Math.trunc(number));
}

function formatFloat(format: Format, value: string | number | boolean): string | undefined {
  const number = toNumber(value);
  if (number === undefined) return undefined;
  const kind = format.conversion.toLowerCase();
  const wanted = Math.min(format.precision ?? 6, MAX_PRECISION);
  const precision = kind === 'g' ? Math.max(wanted, 1) : wanted;
  // printf writes at least two digits of exponent
  const body = sprintf(`%.${precision}${kind}`, number).replace(/e([-+])(\d)$/, 'e$10$2');
  return format.conversion === kind ? body : body.toUpperCase();
}
