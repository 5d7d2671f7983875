import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { textToBytes } from '../../../src/lib/text.js';
import { toWordBuffer } from '../../../src/lib/word-buffer.js';
import { NameTable } from '../../../src/watch/name-table.js';
import { nastyNames } from '../../support/watch-fixtures.js';

describe('NameTable', () => {
  it('knows each name by one number, exactly, whatever its bytes', () => {
    const table = new NameTable();
    const names = nastyNames.map(textToBytes);
    const ids = names.map((name) => table.intern(name));
    expect(new Set(ids).size).toBe(names.length);
    expect(Math.min(...ids)).toBe(1);
    expect(ids.map((id) => table.name(id))).toEqual(names);
    expect(names.map((name) => table.find(name))).toEqual(ids);
    expect(names.map((name) => table.intern(name))).toEqual(ids);
    expect(table.size).toBe(names.length);
  });

  it('finds nothing that is not there, not even a beginning or a longer name', () => {
    const table = new NameTable();
    expect(table.find('x')).toBe(0);
    table.intern('abcd');
    for (const other of ['abc', 'abcde', 'abcd\0', 'abcd\0\0\0\0', '']) expect(table.find(other)).toBe(0);
  });

  it('takes a name out of any bytes, wherever it begins', () => {
    for (const before of [0, 1, 2, 3, 4, 19])
      for (const one of ['x', 'xy', 'xyz', 'abcd', 'abcde', `${textToBytes('ü')}\xff\x80zz`]) {
        const table = new NameTable();
        const ids: number[] = [];
        const batch = table.batch((id) => ids.push(id));
        batch.add(toWordBuffer(`${'-'.repeat(before)}${one}.done`), before, before + one.length, 0);
        batch.flush();
        expect(table.name(ids[0]!)).toBe(one);
        expect(table.find(one)).toBe(ids[0]);
      }
  });

  it('keeps what is kept with a name as it grows, and nothing of a name that was deleted', () => {
    const table = new NameTable();
    const id = table.intern('x');
    table.setFlags(id, 0xffff);
    table.setExtra(id, 0, 0xffffffff);
    table.setExtra(id, 1, 7);
    for (let i = 0; i < 5000; i++) table.intern(`name ${i}`);
    expect([table.flags(id), table.extra(id, 0), table.extra(id, 1)]).toEqual([0xffff, 0xffffffff, 7]);
    expect(table.name(id)).toBe('x');
    table.delete(id);
    table.delete(id);
    expect(table.find('x')).toBe(0);
    const again = table.intern('y');
    expect(again).toBe(id);
    expect([table.flags(id), table.extra(id, 0), table.extra(id, 1)]).toEqual([0, 0, 0]);
    expect(table.size).toBe(5001);
  });

  it('uses the room of deleted names again', () => {
    const table = new NameTable();
    for (let i = 0; i < 100; i++) table.intern(`name-${i}`);
    const { limit } = table;
    for (let round = 0; round < 100; round++) {
      for (let i = 0; i < 100; i++) table.delete(table.find(`${round === 0 ? 'name' : `r${round}`}-${i}`));
      expect(table.size).toBe(0);
      for (let i = 0; i < 100; i++) table.intern(`r${round + 1}-${i}`);
    }
    expect(table.limit).toBe(limit);
  });

  it('makes room beforehand, and grows beyond it', () => {
    const table = new NameTable();
    table.reserve(100);
    for (let i = 0; i < 1000; i++) expect(table.intern(`name ${i}`)).toBe(i + 1);
    for (let i = 0; i < 1000; i++) expect(table.find(`name ${i}`)).toBe(i + 1);
    table.reserve(1_000_000);
    expect(table.find('name 7')).toBe(8);
  });

  it('takes names of 4 KiB, and refuses longer ones', () => {
    const table = new NameTable();
    const long = 'x'.repeat(4096);
    expect(table.name(table.intern(long))).toBe(long);
    expect(() => table.intern(`${long}x`)).toThrow(RangeError);
  });

  const name = fc.oneof(
    fc.constantFrom('a', 'b', 'ab', 'abc', 'abcd', 'abcde', 'abcdabcd'),
    fc.stringMatching(/^[\u0001-\u00ff]{1,12}$/),
  );

  it('is what a Map is, after any history', () => {
    const act = fc.record({
      what: fc.constantFrom('intern', 'delete', 'batch'),
      names: fc.array(name, { maxLength: 40 }),
    });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 20 }), (history) => {
        const table = new NameTable();
        const model = new Map<string, number>();
        const added = (one: string, id: number): void => {
          if (model.has(one)) expect(id).toBe(model.get(one));
          model.set(one, id);
        };
        for (const { what, names } of history) {
          if (what === 'intern') for (const one of names) added(one, table.intern(one));
          if (what === 'delete')
            for (const one of names) {
              const id = table.find(one);
              if (id !== 0) table.delete(id);
              expect(id).toBe(model.get(one) ?? 0);
              model.delete(one);
            }
          if (what === 'batch') {
            let came = 0;
            const batch = table.batch((id, tag) => {
              expect(tag).toBe(came++);
              added(names[tag]!, id);
            });
            // another table, and single names of this one, are used in between
            names.forEach((one, i) => {
              batch.add(toWordBuffer(`_${one}`), 1, one.length + 1, i);
              new NameTable().intern('something else entirely');
              table.find('nothing');
            });
            batch.flush();
            expect(came).toBe(names.length);
          }
        }
        expect(table.size).toBe(model.size);
        for (const [one, id] of model) expect([table.find(one), table.name(id)]).toEqual([id, one]);
      }),
      { numRuns: 500 },
    );
  });

  it('brings a batch of any number of names of any length in order', () => {
    for (const length of [1, 8, 255, 4096]) {
      const table = new NameTable();
      const ids: number[] = [];
      const batch = table.batch((id) => ids.push(id));
      for (let i = 0; i < 700; i++)
        batch.add(toWordBuffer(String(i).padStart(length, '0')), 0, Math.max(length, String(i).length), i);
      batch.flush();
      expect(ids).toEqual(Array.from({ length: 700 }, (_, i) => i + 1));
      expect(table.name(700)).toBe('699'.padStart(length, '0'));
    }
  });
});
