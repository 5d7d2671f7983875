import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { bytesToText, isUtf8Text, printable, textToBuffer, textToBytes } from '../../src/lib/text.js';

// pieces of valid and broken UTF-8 beside bytes of any kind
const piece = fc.constantFrom(
  'a',
  '\u00c3\u00bc',
  '\u00e6\u0097\u00a5',
  '\u00f0\u009f\u0098\u0080',
  '\u00f0\u009f\u0082\u00a1',
  '\u00ed\u00b2\u0080',
  '\u00ed\u00a0\u0080',
  '\u00c3',
  '\u00e6\u0097',
  '\u00f0\u009f\u0098',
  '\u00c0\u0080',
  '\u00f5',
  '\u00ef\u00bb\u00bf',
  '\u00ff',
);
const anyByte = fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte));
const bytes = fc.array(fc.oneof(piece, anyByte), { maxLength: 20 }).map((parts) => parts.join(''));

it('bytes become text and the same bytes again', () => {
  fc.assert(
    fc.property(bytes, (name) => {
      const text = bytesToText(name);
      expect(textToBytes(text)).toBe(name);
      expect(textToBuffer(text)).toEqual(Buffer.from(name, 'latin1'));
      expect(textToBytes(JSON.parse(JSON.stringify(text)) as string)).toBe(name);
    }),
    { numRuns: 3000 },
  );
});

it('two byte strings never have the same text', () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(bytesToText(a) === bytesToText(b)).toBe(a === b);
    }),
  );
});

it('valid UTF-8 is decoded, everything else is told apart', () => {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  fc.assert(
    fc.property(bytes, (name) => {
      let expected: string | undefined;
      try {
        expected = strict.decode(Buffer.from(name, 'latin1'));
      } catch {
        expected = undefined;
      }
      const text = bytesToText(name);
      expect(isUtf8Text(text)).toBe(expected !== undefined);
      if (expected !== undefined) expect(text).toBe(expected);
    }),
    { numRuns: 2000 },
  );
});

it('a printable name has no control characters and no stray bytes', () => {
  fc.assert(
    fc.property(bytes, (name) => {
      expect(printable(bytesToText(name))).not.toMatch(/[\u0000-\u001f\u007f-\u009f]|[\ud800-\udfff]/u);
    }),
    { numRuns: 2000 },
  );
});
