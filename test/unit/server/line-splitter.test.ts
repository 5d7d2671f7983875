import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LineSplitter } from '../../../src/server/line-splitter.js';

it('finds the same lines however the bytes are cut', () => {
  const text = fc.stringMatching(/^[ab\n]{0,40}$/);
  fc.assert(
    fc.property(text, fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }), (whole, cuts) => {
      const splitter = new LineSplitter(100);
      const lines: string[] = [];
      let rest = Buffer.from(whole);
      for (let i = 0; rest.length > 0; i++) {
        const size = cuts[i % cuts.length]!;
        lines.push(...(splitter.push(rest.subarray(0, size)) ?? []).map(String));
        rest = rest.subarray(size);
      }
      lines.push(splitter.rest().toString());
      expect(lines).toEqual(whole.split('\n'));
    }),
  );
});

it('gives up on a line that is too long, and counts what it holds', () => {
  const splitter = new LineSplitter(5);
  expect(splitter.push(Buffer.from('abc\nde'))?.map(String)).toEqual(['abc']);
  expect(splitter.pending).toBe(2);
  expect(splitter.push(Buffer.from('fghi'))).toBeUndefined();
  expect(new LineSplitter(5).push(Buffer.from('abcdef\n'))).toBeUndefined();
});

it('holds a line that comes a byte at a time in one piece', () => {
  const splitter = new LineSplitter(4_000_000);
  const used = (): number => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  const before = used();
  for (let i = 0; i < 2_000_000; i++) splitter.push(Buffer.from('x'));
  expect(used() - before).toBeLessThan(60e6);
  expect(splitter.push(Buffer.from('\n'))![0]!.length).toBe(2_000_000);
});
