import { describe, expect, it } from 'vitest';
import { FolderTable, kind } from '../../../src/watch/folder-table.js';
import { Patrol } from '../../../src/watch/patrol.js';

describe('Patrol', () => {
  const world = (folders: Record<string, number>) => {
    const looked: string[] = [];
    const tables = new Map<string, FolderTable>();
    for (const [folder, count] of Object.entries(folders)) {
      const table = new FolderTable();
      for (let i = 0; i < count; i++) table.fold(table.names.intern(`${folder}${i}`), 'done', false);
      table.setKind(table.names.intern('open'), kind.open);
      tables.set(folder, table);
    }
    const patrol = new Patrol(
      (folder) => tables.get(folder)!,
      (folder, id) => looked.push(tables.get(folder)!.names.name(id)) > 0 && id % 2 === 0,
    );
    return { looked, patrol, tables };
  };
  const never = (): boolean => false;

  it('looks at every folded file of the folders that are wanted, once', () => {
    const { looked, patrol } = world({ a: 3, b: 2, c: 1 });
    expect(patrol.isDue).toBe(false);
    patrol.want('a');
    patrol.want('b');
    patrol.want('b');
    expect(patrol.isDue).toBe(true);
    expect(patrol.walk(Infinity, never)).toBe(true);
    expect(looked).toEqual(['a0', 'a1', 'a2', 'b0', 'b1']);
    expect(patrol.isDue).toBe(false);
    expect(patrol.walk(Infinity, never)).toBe(false);
  });

  it('goes on where it stopped: after so many, or when the time is over', () => {
    const { looked, patrol } = world({ a: 5 });
    patrol.want('a');
    patrol.walk(2, never);
    expect(looked).toEqual(['a0', 'a1']);
    patrol.walk(Infinity, () => looked.length >= 3);
    expect(looked).toEqual(['a0', 'a1', 'a2']);
    patrol.walk(Infinity, never);
    expect(looked).toEqual(['a0', 'a1', 'a2', 'a3', 'a4']);
  });

  it('comes to its end though it is wanted again all the time, and then makes another round', () => {
    const { looked, patrol } = world({ a: 3 });
    for (let i = 0; i < 3; i++) {
      patrol.want('a');
      patrol.walk(1, never);
    }
    expect(looked).toEqual(['a0', 'a1', 'a2']);
    patrol.walk(Infinity, never);
    expect(looked).toEqual(['a0', 'a1', 'a2', 'a0', 'a1', 'a2']);
    expect(patrol.isDue).toBe(false);
  });

  it('leaves a folder that is gone', () => {
    const { looked, patrol } = world({ a: 3, b: 1 });
    patrol.want('a');
    patrol.want('b');
    patrol.walk(1, never);
    patrol.drop('a');
    patrol.walk(Infinity, never);
    expect(looked).toEqual(['a0', 'b0']);
  });
});
