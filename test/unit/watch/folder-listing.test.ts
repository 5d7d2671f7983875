import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entryType } from '../../../src/lib/dirents.js';
import { wordBuffer } from '../../../src/lib/word-buffer.js';
import type { Listed } from '../../../src/watch/folder-listing.js';
import { kind, type FolderTable } from '../../../src/watch/folder-table.js';
import { blockEnd, LARGEST_BLOCK, LARGEST_ENTRY, MOST_ENTRIES } from '../../../src/watch/listing-blocks.js';
import { MarkerStore } from '../../../src/watch/marker-store.js';
import { writeEntry } from '../../../src/lib/dirents.js';
import { listEntries } from '../../support/listing.js';
import { temporaryDirectory } from '../../support/watch-fixtures.js';

type Entries = Map<string, number>;

/** A folder as a listing after another one sees it, and as one does that has never seen it before. */
class Folder {
  readonly store = new MarkerStore('w', temporaryDirectory(), true, false);
  readonly entries: Entries = new Map();

  get table(): FolderTable {
    return this.store.table('');
  }

  /** @param rest happens whenever the listing lets the event loop go */
  list(isRecursive = false, rest?: () => void): Listed {
    // a file system lists in an order of its own, which an entry more does not change
    const sorted = [...this.entries].sort(([a], [b]) => (a < b ? -1 : 1));
    const isData = (bytes: Buffer, from: number, to: number): boolean =>
      !bytes.subarray(from, to).includes('~');
    const listed = listEntries(this.store, '', sorted, { isRecursive, isData }, rest);
    for (const id of listed.fresh) this.table.setKind(id, kind.open);
    for (const name of listed.gone) {
      const id = this.table.names.find(name);
      this.table.setKind(id, kind.none);
      this.table.tidy(id);
    }
    return listed;
  }

  /** name, kind and records of all that is known */
  known(): Map<string, [number, number]> {
    const { names } = this.table;
    const all = new Map<string, [number, number]>();
    for (let id = 1; id < names.limit; id++)
      if (this.table.kind(id) !== kind.none || this.table.records(id) !== 0)
        all.set(names.name(id), [this.table.kind(id), this.table.records(id)]);
    return all;
  }

  asIfNew(): Map<string, [number, number]> {
    const other = new Folder();
    for (const [name, type] of this.entries) other.entries.set(name, type);
    other.list();
    return other.known();
  }
}

const nameOf = (i: number): string => `f${String(i).padStart(6, '0')}`;

/** Every third has no record. */
const filesOf = (n: number): Entries =>
  new Map(
    Array.from({ length: n }, (_, i) => nameOf(i)).flatMap((name, i) =>
      [name, ...(i % 3 === 0 ? [] : [`._w_0_${name}.done`])].map((one) => [one, entryType.file]),
    ),
  );

const file = fc.oneof(fc.nat({ max: 12 }), fc.nat({ max: 2500 })).map(nameOf);
/** What is heard between two listings, or during one, rightly or not. */
const hint = fc.record({
  what: fc.constantFrom('heard of', 'heard gone', 'heard record', 'heard no record'),
  file,
});
const act = fc.oneof(
  fc.record({ what: fc.constantFrom('add', 'remove', 'mark', 'unmark', 'link', 'foreign'), file }),
  hint,
  fc.constant({ what: 'list', file: '' }),
);

function perform(folder: Folder, { what, file: name }: { what: string; file: string }): void {
  const { entries, store, table } = folder;
  const marker = `._w_0_${name}.done`;
  if (what === 'list') folder.list();
  if (what === 'add') entries.set(name, entryType.file);
  if (what === 'link') entries.set(name, entryType.link);
  if (what === 'foreign') entries.set(`${name}~`, entryType.file);
  if (what === 'remove') entries.delete(name);
  if (what === 'mark') entries.set(marker, entryType.file);
  if (what === 'unmark') entries.delete(marker);
  if (what === 'heard of') table.setKind(table.names.intern(name), kind.open);
  if (what === 'heard record') store.noticed('', marker, true);
  if (what === 'heard no record') store.noticed('', marker, false);
  const id = table.names.find(name);
  if (what === 'heard gone' && id !== 0) {
    table.setKind(id, kind.none);
    table.tidy(id);
  }
}

/** What one knows that begins with nothing; the next listing brings nothing. */
function expectAllKnown(folder: Folder): void {
  expect(folder.known()).toEqual(folder.asIfNew());
  const { fresh, gone, changed, lost } = folder.list();
  expect([fresh, gone, changed, lost]).toEqual([[], [], [], []]);
}

const anySize = fc.oneof(fc.nat({ max: 9 }), fc.nat({ max: 2500 }));

describe('a listing after others', () => {
  it('knows what one that begins with nothing would, whatever happened and was heard in between', () => {
    fc.assert(
      fc.property(anySize, fc.array(act, { maxLength: 60 }), (size, history) => {
        const folder = new Folder();
        for (const [name, type] of filesOf(size)) folder.entries.set(name, type);
        folder.list();
        for (const one of history) perform(folder, one);
        folder.list();
        expectAllKnown(folder);
      }),
      { numRuns: 150 },
    );
  }, 120_000);

  it('knows the same after what was heard while it was made, once there was another', () => {
    fc.assert(
      fc.property(
        anySize,
        fc.array(act, { maxLength: 20 }),
        fc.array(fc.option(hint, { nil: undefined, freq: 3 }), { maxLength: 60 }),
        (size, history, during) => {
          const folder = new Folder();
          for (const [name, type] of filesOf(size)) folder.entries.set(name, type);
          const left = [...during];
          const hear = (): void => {
            const one = left.pop();
            if (one !== undefined) perform(folder, one);
          };
          folder.list(false, hear);
          for (const one of history) perform(folder, one);
          folder.list(false, hear);
          folder.list();
          expectAllKnown(folder);
        },
      ),
      { numRuns: 150 },
    );
  }, 120_000);

  it('tells what is new, gone, changed and lost, and nothing else', () => {
    const folder = new Folder();
    for (const [name, type] of filesOf(5000)) folder.entries.set(name, type);
    expect(folder.list().fresh).toHaveLength(5000);
    const { entries } = folder;
    entries.set('f002500x', entryType.file);
    entries.delete('f000001');
    entries.delete('._w_0_f000002.done');
    entries.set('._w_0_f000003.failed', entryType.file);
    entries.set('._w_1_f000004.done', entryType.file);
    const { fresh, gone, changed, lost } = folder.list();
    expect(fresh.map((id) => folder.table.names.name(id))).toEqual(['f002500x']);
    expect(gone).toEqual(['f000001']);
    expect(changed.toSorted()).toEqual(['f000002', 'f000003', 'f000004']);
    expect(lost).toEqual(['f000002']);
  });

  it('names subfolders every time, also those of blocks that are the same', () => {
    const folder = new Folder();
    for (const [name, type] of filesOf(3000)) folder.entries.set(name, type);
    for (const [name, type] of [
      ['a', entryType.directory],
      ['f001000d', entryType.directory],
      ['z', entryType.unknown],
    ] as const)
      folder.entries.set(name, type);
    for (let i = 0; i < 3; i++) {
      const { subfolders, unsure } = folder.list(true);
      expect([subfolders.toSorted(), unsure]).toEqual([['a', 'f001000d'], ['z']]);
    }
  });

  it('reads only blocks that have changed', () => {
    const folder = new Folder();
    for (const [name, type] of filesOf(5000)) folder.entries.set(name, type);
    folder.list();
    const before = new Set(folder.table.blocks.values());
    folder.entries.set('f002500x', entryType.file);
    folder.list();
    const after = [...folder.table.blocks.values()];
    expect(after.length).toBeGreaterThan(5);
    expect(after.filter((block) => !before.has(block)).length).toBeLessThanOrEqual(2);
  });

  it('takes what a crash has left again and again until it is gone', () => {
    const folder = new Folder();
    for (const name of ['a', '._w_0_a.done.tmp']) folder.entries.set(name, entryType.file);
    let seen = 0;
    const { store } = folder;
    const listed = store.listed.bind(store);
    store.listed = (...args) => {
      seen++;
      return listed(...args);
    };
    folder.list();
    folder.list();
    expect(seen).toBe(2);
    folder.entries.delete('a');
    expect(folder.list().gone).toEqual(['a']);
    folder.entries.delete('._w_0_a.done.tmp');
    folder.list();
    folder.list();
    expect(seen).toBe(3);
  });
});

describe('a block', () => {
  const size = 4 * 1024 * 1024;

  it.each([
    { what: 'many short names', length: 1 },
    { what: 'names of 4096 bytes', length: 4090 },
  ])('ends before it is too large: $what', ({ length }) => {
    const buffer = wordBuffer(size);
    let end = 0;
    for (let i = 0; ; i++) {
      const next = writeEntry(buffer, end, size, `${i}`.padEnd(length, 'x'), entryType.file);
      if (next === undefined) break;
      end = next;
    }
    let from = 0;
    for (let to = blockEnd(buffer, 0, end); to !== undefined; to = blockEnd(buffer, from, end)) {
      expect(to - from).toBeLessThanOrEqual(LARGEST_BLOCK);
      expect(to - from).toBeLessThanOrEqual(MOST_ENTRIES * LARGEST_ENTRY);
      from = to;
    }
    expect(end - from).toBeLessThanOrEqual(LARGEST_BLOCK - LARGEST_ENTRY);
  });
});
