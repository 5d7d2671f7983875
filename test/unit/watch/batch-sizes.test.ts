import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { BatchSizes } from '../../../src/watch/batch-sizes.js';

it('submits all, in order, a few at first and never very many', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 300 }), { maxLength: 8 }), (lists) => {
      const sizes = new BatchSizes();
      let largest = 8;
      for (const length of lists) {
        const all = Array.from({ length }, (_, i) => i);
        const batches = [...sizes.of(all)];
        expect(batches.flat()).toEqual(all);
        for (const batch of batches) {
          expect(batch.length).toBeGreaterThan(0);
          expect(batch.length).toBeLessThanOrEqual(largest);
          if (batch.length === largest) largest = Math.min(largest * 2, 64);
        }
      }
    }),
  );
});
