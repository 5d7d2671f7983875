import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Spool } from '../../../src/agent/spool.js';
import type { JobRecord } from '../../../src/agent/types.js';
import { wireFilter } from '../../../src/protocol/wire.js';
import { isEmptyFilter, matcher, textInRecords } from '../../../src/server/filter.js';
import { record } from '../agent/records.js';

const context = { node: 'n1', pools: { p: {} }, waitInPool: false, spool: {} as Spool };
const ids = (filter: Record<string, unknown>): string =>
  jobs
    .filter(matcher(wireFilter.parse(filter), context))
    .map((job) => job.id)
    .join('');

const jobs: JobRecord[] = [
  record({ id: 'a', seq: 1, ts: 10 }, { tags: ['x', 'y'], hold: true }),
  record({ id: 'b', seq: 2, ts: 20, state: 'done', rc: 0 }, { pool: 'q1', restart: true }),
  record({ id: 'c', seq: 3, ts: 30, state: 'running', wish: 'kill' }, { pool: 'q2', node: 'n2' }),
];

it.each([
  [{}, 'abc'],
  [{ ids: ['a', 'zz'] }, 'a'],
  [{ ids: 'c' }, 'c'],
  [{ tag: 'y' }, 'a'],
  [{ tag: 'x*' }, 'a'],
  [{ pool: 'q*' }, 'bc'],
  [{ pool: ['p', 'q1'] }, 'ab'],
  [{ node: 'n1' }, 'ab'],
  [{ state: 'killed' }, 'c'],
  [{ state: 'running' }, ''],
  [{ active: true }, 'ac'],
  [{ seq: 1 }, 'bc'],
  [{ ts: 20 }, 'c'],
  [{ restart: 1 }, 'b'],
  [{ rc: 0 }, 'b'],
  [{ restart: false }, 'ac'],
  [{ rc: '0', state: 'done' }, 'b'],
  [{ pool: null }, 'abc'],
  [{ colour: 'red' }, ''],
  [{ env: 'x' }, ''],
])('%j means %j', (filter, expected) => {
  expect(ids(filter)).toBe(expected);
});

it('knows a filter that says nothing', () => {
  expect([{}, { ids: null }, { seq: 0 }].map((one) => isEmptyFilter(wireFilter.parse(one)))).toEqual([
    true,
    true,
    false,
  ]);
});

it('knows a text that is in every record with a tag, or none', () => {
  const word = fc.oneof(
    fc.constantFrom(
      '0',
      '1',
      'true',
      'null',
      '',
      '*',
      '1*',
      '10',
      'a"b',
      'a\\b',
      'ü',
      '{',
      'run/7',
      '1e3',
      '0x*',
    ),
    fc.stringMatching(/^[a-c0-1./"]{0,4}\*?$/),
  );
  const item = fc.oneof(
    word,
    fc.boolean(),
    fc.constant(null),
    fc.integer(),
    fc.double(),
    fc.dictionary(word, word),
  );
  let known = 0;
  fc.assert(
    fc.property(word, fc.array(item, { maxLength: 4 }), (tag, tags) => {
      const filter = wireFilter.parse({ tag });
      const text = textInRecords(filter);
      const job = record({ id: 'j' }, { tags: tags as string[] });
      if (text === undefined || !matcher(filter, context)(job)) return;
      known++;
      expect(JSON.stringify(job)).toContain(text);
    }),
    { numRuns: 5000 },
  );
  expect(known).toBeGreaterThan(20);
  expect(textInRecords(wireFilter.parse({ tag: ['a', 'b'] }))).toBeUndefined();
  expect(textInRecords(wireFilter.parse({ tag: 'archive-2026*' }))).toBe('archive-2026');
});
