import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RareNumbers } from '../../../src/agent/rare-numbers.js';

it('has what was set last in each row, and 0 where nothing was', () => {
  const write = fc.tuple(fc.nat(300), fc.oneof(fc.constant(0), fc.double({ noNaN: true })));
  fc.assert(
    fc.property(fc.array(write), (writes) => {
      const column = new RareNumbers();
      const model = new Map<number, number>();
      for (const [row, value] of writes) {
        column.set(row, value);
        model.set(row, value);
      }
      for (let row = 0; row <= 301; row++) expect(column.get(row) === (model.get(row) ?? 0)).toBe(true);
    }),
  );
});
