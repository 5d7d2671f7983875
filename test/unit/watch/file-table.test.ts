import { describe, expect, it } from 'vitest';
import { FileTable, parent, update, type Seen } from '../../../src/watch/file-table.js';
import { fileOf, NOW, statWith, watchWith, type Times } from '../../support/watch-fixtures.js';

const seenAs = (path: string, over: Partial<Seen> = {}): Seen => ({
  ...fileOf(watchWith(), path),
  mode: 0o644,
  finished: { last: 0, how: 'done' },
  ...over,
});
const names = (files: Iterable<{ path: string }>): string[] => [...files].map(({ path }) => path);

describe('FileTable', () => {
  const tableOf = (reverse: boolean, ...paths: string[]): FileTable => {
    const table = new FileTable(reverse);
    for (const path of paths) table.add(seenAs(path));
    return table;
  };
  const mixed = ['b', 'sub/x', 'd', 'a', 'sub/deep/y', 'c'];

  it('has the files in the order of the watch', () => {
    expect(names(tableOf(false, ...mixed).inOrder())).toEqual(['sub/x', 'sub/deep/y', 'd', 'c', 'b', 'a']);
    expect(names(tableOf(true, ...mixed).inOrder())).toEqual(['a', 'b', 'c', 'd', 'sub/deep/y', 'sub/x']);
  });

  it('keeps the order as long as nothing comes or goes', () => {
    const table = tableOf(false, 'a', 'b');
    const first = table.inOrder();
    expect(table.inOrder()).toBe(first);
    table.add(seenAs('c'));
    expect(names(table.inOrder())).toEqual(['c', 'b', 'a']);
    table.delete(table.get('b')!);
    expect(names(table.inOrder())).toEqual(['c', 'a']);
  });

  it('finds a file by its bytes, and those of a folder without those below', () => {
    const table = tableOf(false, ...mixed);
    expect(table.get('sub/x')?.path).toBe('sub/x');
    expect(table.get('x')).toBeUndefined();
    expect(names(table.all())).toEqual(mixed);
    expect(names(table.inFolder('')).sort()).toEqual(['a', 'b', 'c', 'd']);
    expect(names(table.inFolder('sub'))).toEqual(['sub/x']);
    expect(names(table.inFolder('nowhere'))).toEqual([]);
  });

  it('forgets a file, or a folder, everywhere', () => {
    const table = tableOf(false, ...mixed);
    table.delete(table.get('sub/deep/y')!);
    expect(table.get('sub/deep/y')).toBeUndefined();
    expect(names(table.inFolder('sub/deep'))).toEqual([]);
    table.inOrder();
    table.deleteFolder('sub');
    expect(names(table.inFolder('sub'))).toEqual([]);
    expect(names(table.inOrder())).toEqual(['d', 'c', 'b', 'a']);
    expect(names(table.all())).toEqual(['b', 'd', 'a', 'c']);
  });

  it('parent is the folder of a name, empty for the top', () => {
    expect([parent('a'), parent('a/b'), parent('a/b/c'), parent('/a')]).toEqual(['', 'a', 'a/b', '']);
  });
});

describe('update', () => {
  const old: Times = { mtime: 1000, ctime: 1000, size: 10, inode: 7, birth: 5 };
  const after = (now: Times, renames: number, over: Partial<Seen> = {}) => {
    const seen = seenAs('x', { stat: statWith(old), observedAt: 1, ...over });
    const changed = update(seen, statWith({ ...old, ...now }), NOW, renames);
    const { replaced, overwritten } = seen;
    return { changed, replaced, overwritten, seen };
  };
  const plain = { changed: true, replaced: false, overwritten: false };

  it.each([0, 1, 2])('finds nothing where nothing changed, after %i renames', (renames) => {
    const { seen, ...rest } = after({}, renames);
    expect(rest).toEqual({ changed: false, replaced: false, overwritten: false });
    expect(seen).toMatchObject({ observedAt: 1, finished: { how: 'done' } });
  });

  it.each([{ mtime: 2000 }, { ctime: 2000 }, { size: 11 }, { inode: 8 }])('finds %o', (now) => {
    const { seen, ...rest } = after(now, 0);
    expect(rest).toEqual(plain);
    expect(seen.stat).toEqual(statWith({ ...old, ...now }));
    expect(seen.observedAt).toBe(NOW);
    expect(seen.finished).toBeUndefined();
  });

  const other = { mtime: 2000, ctime: 2000, inode: 8 };

  it('takes another file for a new arrival, but one that was renamed over it for an update', () => {
    expect(after(other, 0)).toMatchObject({ ...plain, replaced: true });
    expect(after(other, 1)).toMatchObject({ ...plain, overwritten: true });
    expect(after(other, 2)).toMatchObject({ ...plain, replaced: true });
  });

  it('takes a file written in place for the same one, however it is told', () => {
    expect(after({ mtime: 2000, ctime: 2000 }, 1)).toMatchObject(plain);
  });

  it.each([{ mtime: 2000 }, { inode: 8 }, { ctime: 2000, birth: 6 }])(
    'takes two renames for a removal and an arrival when %o differs',
    (now) => {
      expect(after(now, 2)).toMatchObject({ ...plain, replaced: true });
      expect(after(now, 3)).toMatchObject({ ...plain, replaced: true });
      expect(after(now, 1)).toMatchObject(plain);
    },
  );

  it('takes two renames of what is the same but for its ctime for a move there and back', () => {
    expect(after({ ctime: 2000 }, 2)).toMatchObject(plain);
  });

  describe('of a file that another one seemed to have been renamed over', () => {
    const over = { overwritten: true };

    it('finds out by a second rename that it had been removed before', () => {
      expect(after({}, 1, over)).toMatchObject({ ...plain, replaced: true });
      expect(after({ mtime: 2000 }, 1, over)).toMatchObject({ ...plain, replaced: true });
    });

    it('finds nothing new without a rename', () => {
      expect(after({}, 0, over)).toMatchObject({ changed: false, overwritten: true, replaced: false });
      expect(after({ mtime: 2000 }, 0, over)).toMatchObject({ ...plain, overwritten: true });
    });

    it.each([
      { mtime: 2000, inode: 8 },
      { mtime: 2000, birth: 6 },
    ])('sees the next one: %o', (now) => {
      expect(after(now, 1, over)).toMatchObject({ ...plain, overwritten: true });
    });
  });
});
