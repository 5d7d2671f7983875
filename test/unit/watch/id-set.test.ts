import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdSet } from '../../../src/watch/id-set.js';

describe('IdSet', () => {
  it('is what a Set of numbers from 1 is', () => {
    const id = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 100_000 }));
    fc.assert(
      fc.property(fc.array(id), fc.array(id), (ids, others) => {
        const set = new IdSet();
        expect([set.isEmpty, set.next(1)]).toEqual([true, 0]);
        for (const one of ids) set.add(one);
        const found: number[] = [];
        for (let one = set.next(1); one !== 0; one = set.next(one + 1)) found.push(one);
        expect(found).toEqual([...new Set(ids)].sort((a, b) => a - b));
        for (const one of [...ids, ...others]) expect(set.has(one)).toBe(ids.includes(one));
        expect(set.isEmpty).toBe(ids.length === 0);
      }),
    );
  });

  it('takes all below a limit, beside what it has', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 200 }),
        fc.array(fc.integer({ min: 1, max: 200 })),
        (limit, ids) => {
          const set = new IdSet();
          for (const id of ids) set.add(id);
          set.addBelow(limit);
          const found = Array.from({ length: 300 }, (_, id) => id).filter((id) => set.has(id));
          const below = Array.from({ length: limit }, (_, id) => id).slice(1);
          expect(found).toEqual([...new Set([...below, ...ids])].sort((a, b) => a - b));
          expect(set.isEmpty).toBe(found.length === 0);
        },
      ),
    );
  });
});
