import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JobTable } from '../../../src/agent/job-table.js';
import type { QueuedJob } from '../../../src/agent/job-table.js';
import { Names } from '../../../src/agent/names.js';
import { Scheduler } from '../../../src/agent/schedule.js';

const job = (id: string, changes: Partial<QueuedJob> = {}): QueuedJob => ({
  id,
  pool: 'p',
  priority: 0,
  order: 1,
  hold: false,
  notBefore: 0,
  ...changes,
});

describe('JobTable', () => {
  it('gives back what was put in, however many there are', () => {
    const table = new JobTable();
    const jobs = Array.from({ length: 500 }, (_, i) =>
      job(`j${i}`, {
        pool: `p${i % 3}`,
        priority: i - 250,
        order: 2 ** 40 + i,
        notBefore: i / 2,
        submitter: `s${i % 7}`,
      }),
    );
    for (const one of jobs) table.add(one, true);
    for (const one of jobs) {
      const slot = table.find(one.id)!;
      expect({
        id: table.id(slot),
        pool: table.pool(slot),
        priority: table.priority(slot),
        order: table.order(slot),
        hold: false,
        notBefore: table.notBefore(slot),
        submitter: table.submitter(slot),
      }).toEqual(one);
    }
  });

  it('keeps the slot of a job that left until the heap gives it up', () => {
    const table = new JobTable();
    const first = table.add(job('a', { order: 7 }), true);
    table.remove(first);
    expect([table.find('a'), table.isGone(first), table.order(first)]).toEqual([undefined, true, 7]);
    const second = table.add(job('a', { order: 8 }), true);
    expect(second).not.toBe(first);
    table.leave(first);
    expect([table.add(job('b'), false), table.isGone(first), table.order(second)]).toEqual([first, false, 8]);
  });

  it('has room again for each job that leaves, whatever happens', () => {
    const action = fc.record({
      do: fc.constantFrom('add' as const, 'add' as const, 'remove' as const, 'take' as const),
      id: fc.integer({ min: 1, max: 9 }).map(String),
      pool: fc.constantFrom('p', 'gone'),
      hold: fc.boolean(),
      notBefore: fc.constantFrom(0, 0, 5),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60, size: 'max' }), (actions) => {
        const scheduler = new Scheduler({ p: { slots: 3 } }, 1);
        const { jobs } = scheduler as unknown as {
          jobs: { readonly ids: string[]; readonly free: number[] };
        };
        let now = 0;
        let order = 0;
        for (const one of actions) {
          if (one.do === 'add') scheduler.add(job(one.id, { ...one, order: ++order }));
          else if (one.do === 'remove') scheduler.remove(one.id);
          else for (const id of scheduler.take(++now, 9)) scheduler.ended(id);
        }
        for (let id = 1; id <= 9; id++) scheduler.remove(String(id));
        scheduler.take(99, 9);
        expect(jobs.free).toHaveLength(jobs.ids.length);
        expect(new Set(jobs.free).size).toBe(jobs.ids.length);
      }),
    );
  });
});

describe('Names', () => {
  it('has a number for a text while somebody uses it, and the number for another one then', () => {
    const names = new Names();
    const [a, b] = [names.use('a'), names.use('b')];
    expect([names.use('a'), names.text(a), names.text(b)]).toEqual([a, 'a', 'b']);
    names.drop(a);
    expect(names.use('c')).not.toBe(a);
    names.drop(a);
    expect([names.use('d'), names.text(a)]).toEqual([a, 'd']);
    expect(names.use('a')).not.toBe(a);
  });
});
