/**
 * File names are bytes. Inside the program a name has two spellings:
 * - `bytes`: a latin1 string with one character a byte. `<` on it is byte order, Buffer.from(x, 'latin1') is the name.
 * - `text`: the UTF-8 decoding, where bytes that are no UTF-8 become lone surrogates U+DC80..U+DCFF, the
 *   convention of Python's `surrogateescape`. JSON.stringify writes them as \udcXX, so they survive JSON.
 */
const ASCII = /^[\u0000-\u007f]*$/u;
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Decodes a latin1 byte string to text. Total: every byte string has exactly one text. */
export function bytesToText(bytes: string): string {
  if (ASCII.test(bytes)) return bytes;
  const buffer = Buffer.from(bytes, 'latin1');
  try {
    return strict.decode(buffer);
  } catch {
    return decodeEscaping(buffer);
  }
}

/** The bytes of a text, undoing bytesToText exactly. */
export function textToBuffer(text: string): Buffer {
  if (isUtf8Text(text)) return Buffer.from(text, 'utf8');
  const parts: Buffer[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0xd800 && code <= 0xdbff) {
      i++; // a high surrogate takes the next unit with it
    } else if (code >= 0xdc80 && code <= 0xdcff) {
      parts.push(Buffer.from(text.slice(start, i), 'utf8'), Buffer.from([code - 0xdc00]));
      start = i + 1;
    }
  }
  parts.push(Buffer.from(text.slice(start), 'utf8'));
  return Buffer.concat(parts);
}

export const textToBytes = (text: string): string =>
  ASCII.test(text) ? text : textToBuffer(text).toString('latin1');

export const bytesToBuffer = (bytes: string): Buffer => Buffer.from(bytes, 'latin1');

/** True when the name is valid UTF-8: no lone surrogate in its text. */
export const isUtf8Text = (text: string): boolean => !/[\udc80-\udcff]/u.test(text);

function decodeEscaping(buffer: Buffer): string {
  let out = '';
  let i = 0;
  while (i < buffer.length) {
    const length = sequenceLength(buffer, i);
    if (length === 0) {
      out += String.fromCharCode(0xdc00 + buffer[i]!);
      i += 1;
    } else {
      out += buffer.toString('utf8', i, i + length);
      i += length;
    }
  }
  return out;
}

/** Length of the valid UTF-8 sequence at `i`, 0 when there is none. */
function sequenceLength(buffer: Buffer, i: number): number {
  const first = buffer[i]!;
  const length =
    first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || i + length > buffer.length) return 0;
  try {
    strict.decode(buffer.subarray(i, i + length));
    return length;
  } catch {
    return 0;
  }
}

/**
 * A name as a person can read it on a terminal: control characters, quotes of the shell and stray bytes escaped.
 * Never feed the result to a program.
 */
export function printable(text: string): string {
  if (/^[\w.,:+@%/=-]+$/.test(text)) return text;
  const escaped = Array.from(text, escapeCharacter).join('');
  return escaped === text && !/[\s'"\\]/.test(text) ? text : `'${escaped}'`;
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0)!;
  if (character === '\n') return '\\n';
  if (character === '\t') return '\\t';
  if (character === "'" || character === '\\') return `\\${character}`;
  if (!isHidden(character)) return character;
  return `\\x${(code >= 0xdc80 ? code - 0xdc00 : code).toString(16).padStart(2, '0')}`;
}

/** The texts that `printable` shows like this, for who copies it from there: `bad\xff.dat` is a stray byte, or U+00FF. */
export function unprintable(shown: string): string[] {
  const texts = [0xdc00, 0].map((high) =>
    shown.replace(/\\(?:x([0-9a-f]{2})|([nt'\\]))/g, (_, hex: string | undefined, letter: string) => {
      if (hex === undefined) return { n: '\n', t: '\t' }[letter] ?? letter;
      const code = Number.parseInt(hex, 16);
      return String.fromCharCode(code < 0x80 ? code : high + code);
    }),
  );
  return [...new Set(texts)].filter((text) => text !== shown);
}

/** An argument as bash reads it back, byte for byte, and a terminal can show it: `$'...'` where it needs escapes. */
export function shellQuoted(text: string): string {
  if (/^[\p{L}\p{N}_.,:+@%/=-]+$/u.test(text)) return text;
  const characters = Array.from(text);
  if (!characters.some(isHidden)) return `'${text.replaceAll("'", `'\\''`)}'`;
  return `$'${characters.map(escapeForShell).join('')}'`;
}

/** Stray bytes and control characters. */
function isHidden(character: string): boolean {
  const code = character.codePointAt(0)!;
  const isStray = code >= 0xdc80 && code <= 0xdcff && character.length === 1;
  return isStray || code < 0x20 || (code >= 0x7f && code < 0xa0);
}

function escapeForShell(character: string): string {
  if (!isHidden(character) || character === '\n' || character === '\t') return escapeCharacter(character);
  return Array.from(textToBuffer(character), (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}

/** Whether a part of a buffer is there from a place on. */
export function startsWith(bytes: Buffer, from: number, part: Buffer): boolean {
  for (let i = 0; i < part.length; i++) if (bytes[from + i] !== part[i]) return false;
  return true;
}
