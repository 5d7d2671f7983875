import { describe, expect, it } from 'vitest';
import {
  bytesToBuffer,
  bytesToText,
  isUtf8Text,
  printable,
  textToBuffer,
  textToBytes,
  unprintable,
} from '../../../src/lib/text.js';

const bytesOf = (...bytes: number[]): string => String.fromCharCode(...bytes);

describe('bytes and text', () => {
  it.each([
    ['plain', 'plain', 'plain'],
    ['UTF-8', bytesOf(0xc3, 0xbc), 'ü'],
    ['outside the basic plane', bytesOf(0xf0, 0x9f, 0x98, 0x80), '😀'],
    ['a byte order mark', bytesOf(0xef, 0xbb, 0xbf, 0x61), '\ufeffa'],
    ['a stray byte, as surrogateescape of Python', bytesOf(0x61, 0xff, 0x62), 'a\udcffb'],
    ['a sequence cut short', bytesOf(0xe6, 0x97), '\udce6\udc97'],
    ['an encoded surrogate', bytesOf(0xed, 0xb2, 0x80), '\udced\udcb2\udc80'],
    ['an overlong zero', bytesOf(0xc0, 0x80), '\udcc0\udc80'],
    ['broken beside valid', bytesOf(0xc3, 0xc3, 0xbc), '\udcc3ü'],
    ['a byte order mark beside a stray byte', bytesOf(0xef, 0xbb, 0xbf, 0xff), '\ufeff\udcff'],
    ['a stray byte after a pair', bytesOf(0xf0, 0x9f, 0x98, 0x80, 0xff), '😀\udcff'],
    // its second unit looks like an escaped byte
    ['a stray byte after U+1F0A1', bytesOf(0xf0, 0x9f, 0x82, 0xa1, 0xff), '\u{1f0a1}\udcff'],
    ['nothing', '', ''],
  ])('%s', (_, bytes, text) => {
    expect(bytesToText(bytes)).toBe(text);
    expect(textToBytes(text)).toBe(bytes);
    expect(textToBuffer(text)).toEqual(bytesToBuffer(bytes));
  });

  it('isUtf8Text tells whether there was a stray byte', () => {
    expect(['a', 'ü', '😀', 'a\udc80', '😀\udcff'].map(isUtf8Text)).toEqual([true, true, true, false, false]);
  });

  it('the order of bytes is that of the file system, not of UTF-16', () => {
    const [emoji, compatibility] = [textToBytes('😀'), textToBytes('\uffee')];
    expect(emoji > compatibility).toBe(true);
    expect(['\uffee', '😀'].toSorted()).toEqual(['😀', '\uffee']);
  });
});

describe('printable', () => {
  it.each([
    ['plain-1.0_x.nc', 'plain-1.0_x.nc'],
    ['/a/b', '/a/b'],
    ['ü', 'ü'],
    ['a b', "'a b'"],
    ['a\nb\t', "'a\\nb\\t'"],
    ["it's", "'it\\'s'"],
    ['a\\b', "'a\\\\b'"],
    ['\u001b[31m', "'\\x1b[31m'"],
    ['a\udcff', "'a\\xff'"],
    ['\u0000', "'\\x00'"],
    ['', ''],
  ])('%j', (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it('shows two names that differ differently', () => {
    const names = ['a b', 'a\nb', 'a\\nb', "a'b", "a\\'b", 'a\udcffb', 'a\\xffb'];
    expect(new Set(names.map(printable)).size).toBe(names.length);
  });
});

describe('unprintable', () => {
  it.each([
    'a\nb\t',
    "it's",
    'a\\b',
    '\u001b[31m',
    'a\udcffb',
    'a\\xffb',
    '\u0085',
    '\u0000',
    "\\'\\n\udc80ü",
  ])('finds the name that was copied from where it is shown: %j', (name) => {
    expect(unprintable(printable(name).slice(1, -1))).toContain(name);
  });

  it('has nothing to say of a name without escapes', () => {
    expect(unprintable('plain ü')).toEqual([]);
  });
});
