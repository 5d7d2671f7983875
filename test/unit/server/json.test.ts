import { expect, it } from 'vitest';
import { parseLine } from '../../../src/server/json.js';

const parse = (text: string): unknown => parseLine(Buffer.from(text));
const long = 'x'.repeat(100_000);

it('counts brackets and commas of values, not of texts', () => {
  const text = JSON.stringify(`${'[{'.repeat(100)}\\" \\\\ ,`.repeat(10_000));
  expect(text.length).toBeGreaterThan(2_000_000);
  expect(parse(text)).toBe(JSON.parse(text));
  expect(parse(`["${long}\\\\", "${long}\\\\\\"", "]"]`)).toEqual([`${long}\\`, `${long}\\"`, ']']);
  const pairs = `[${'[],'.repeat(100_000)}[]]`;
  expect(parse(pairs)).toEqual(JSON.parse(pairs));
});

it.each([
  ['['.repeat(65) + ']'.repeat(65), 'nested more than 64'],
  [`["${long}",${'['.repeat(70)}`, 'nested more than 64'],
  ['{"a":'.repeat(20_000), 'nested more than 64'],
  [`[${'1,'.repeat(1_000_001)}1]`, 'send several lines'],
  ['[1', 'not JSON'],
  [`["${long}`, 'not JSON'],
])('refuses what is too much, short or long: %#', (text, message) => {
  expect(() => parse(text)).toThrow(message);
});

it('takes exactly as much as it says', () => {
  expect(() => parse('['.repeat(64) + ']'.repeat(64))).not.toThrow();
  expect(() => parse(`[${'1,'.repeat(999_998)}1]`)).not.toThrow();
});
