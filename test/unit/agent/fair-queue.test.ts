import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FairQueue, before } from '../../../src/agent/fair-queue.js';

interface Item {
  readonly submitter: string;
  readonly order: number;
  readonly priority: number;
}
let order = 0;
const item = (submitter: string, priority = 0): Item => ({ submitter, priority, order: ++order });
const drain = (queue: FairQueue<Item>, most = Infinity): Item[] => {
  const taken: Item[] = [];
  for (let one = queue.pop(); one && taken.length < most; one = queue.pop()) taken.push(one);
  return taken;
};
const names = (items: readonly Item[]): string => items.map((one) => one.submitter).join('');

describe('FairQueue', () => {
  it('gives submitters turns, however long the backlog of one', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 6; i++) queue.push(item('a'));
    for (let i = 0; i < 2; i++) queue.push(item('b'));
    queue.push(item('c'));
    expect(names(drain(queue))).toBe('abcabaaaa');
  });

  it('serves a late submitter next, but does not make up for the time before', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 10; i++) queue.push(item('a'));
    for (let i = 0; i < 5; i++) queue.pop();
    for (let i = 0; i < 4; i++) queue.push(item('b'));
    expect(names(drain(queue))).toBe('babababaa'.slice(0, 9));
  });

  it('does not let one that submits one at a time overtake for ever', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 20; i++) queue.push(item('a'));
    let taken = '';
    for (let i = 0; i < 10; i++) {
      queue.push(item('b'));
      taken += names([queue.pop()!, queue.pop()!]);
    }
    expect(taken.split('a').length - 1).toBeGreaterThanOrEqual(9);
  });

  it('does not make up for the time in which a submitter waited for nothing', () => {
    const queue = new FairQueue<Item>();
    queue.push(item('b'));
    for (let i = 0; i < 10; i++) queue.push(item('a'));
    for (let i = 0; i < 6; i++) queue.pop();
    for (let i = 0; i < 4; i++) queue.push(item('b'));
    expect(names(drain(queue))).toBe('babababaa');
  });

  it('remembers whose turn it was, however many submitters come and go', () => {
    const queue = new FairQueue<Item>();
    const many = Array.from({ length: 70 }, (_, i) => `s${i}`);
    for (const one of [item('b'), item('b'), ...many.map((name) => item(name))]) queue.push(one);
    expect(new Set(Array.from({ length: 71 }, () => queue.pop()!.submitter))).toEqual(
      new Set(['b', ...many]),
    );
    queue.push(item('s0'));
    expect(drain(queue).map((one) => one.submitter)).toEqual(['b', 's0']);
  });

  describe('a turn that is given back', () => {
    const filled = (all: string): FairQueue<Item> => {
      const queue = new FairQueue<Item>();
      for (const submitter of all) queue.push(item(submitter));
      return queue;
    };

    it('is taken by the next job of that submitter', () => {
      const queue = filled('aabb');
      expect(names([queue.pop()!, queue.pop()!, ...drain(queue)])).toBe('abab');
      const again = filled('aabb');
      again.refund(again.pop()!);
      expect(names(drain(again))).toBe('abb');
      expect(again.pop()).toBeUndefined();
    });

    it('is kept for a submitter with no other job', () => {
      const spent = filled('abb');
      spent.pop();
      spent.push(item('a'));
      expect(names(drain(spent))).toBe('bba');
      const kept = filled('abb');
      kept.refund(kept.pop()!);
      kept.push(item('a'));
      expect(names(drain(kept))).toBe('bab');
    });

    it('is one for all that have no name', () => {
      const nameless = (): { order: number; priority: number; submitter?: string } => ({
        order: ++order,
        priority: 0,
      });
      const queue = new FairQueue<ReturnType<typeof nameless>>();
      const [first, second] = [nameless(), nameless()];
      for (const one of [first, second, item('b'), item('b')]) queue.push(one);
      queue.refund(queue.pop()!);
      expect(queue.pop()).toBe(second);
      queue.refund(second);
      const third = nameless();
      queue.push(third);
      expect([queue.pop()?.submitter, queue.pop()]).toEqual(['b', third]);
    });

    it('is nothing to a submitter that never had one', () => {
      const queue = new FairQueue<Item>();
      queue.refund(item('x'));
      for (const submitter of 'yxyxyzz') queue.push(item(submitter));
      expect(names(drain(queue))).toBe('yxzyxzy');
      queue.refund(item('w'));
      for (const submitter of 'wwwxx') queue.push(item(submitter));
      expect(names(drain(queue))).toBe('wxwxw');
    });
  });

  it('puts priority before turns', () => {
    const queue = new FairQueue<Item>();
    for (const one of [item('a', 5), item('a', 5), item('b'), item('a')]) queue.push(one);
    expect(names(drain(queue))).toBe('aaba');
  });

  it('takes everything once, a submitter in order, and no two submitters far apart', () => {
    const anItem = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 0, max: 1 }));
    fc.assert(
      fc.property(fc.array(anItem, { maxLength: 60, size: 'max' }), (all) => {
        const queue = new FairQueue<Item>();
        const items = all.map(([submitter, priority]) => item(submitter, priority));
        for (const one of items) queue.push(one);
        const taken = drain(queue);
        expect(new Set(taken)).toEqual(new Set(items));
        expect(taken.map((one) => one.priority)).toEqual(
          items.map((one) => one.priority).sort((x, y) => y - x),
        );
        for (const submitter of ['a', 'b', 'c']) {
          const own = taken.filter((one) => one.submitter === submitter);
          expect(own).toEqual(
            items.filter((one) => one.submitter === submitter).sort((x, y) => (before(x, y) ? -1 : 1)),
          );
        }
      }),
    );
  });
});
