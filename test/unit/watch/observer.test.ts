import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { WatchDefinition } from '../../../src/config/schema.js';
import { bytesToBuffer, textToBytes } from '../../../src/lib/text.js';
import { MarkerStore } from '../../../src/watch/marker-store.js';
import { Observer } from '../../../src/watch/observer.js';
import { plan, type Plan } from '../../../src/watch/plan.js';
import { compileSelector } from '../../../src/watch/select.js';
import {
  actionsOf,
  globs,
  lists,
  nastyNames,
  resultWith,
  single,
  spec,
  submitsOf,
  temporaryDirectory,
  watchWith,
} from '../../support/watch-fixtures.js';

let root: string;
beforeEach(() => {
  root = join(temporaryDirectory(), 'data');
  mkdirSync(root);
});

const put = (path: string, content = 'x'): void => {
  const bytes = `${root}/${textToBytes(path)}`;
  mkdirSync(bytesToBuffer(dirname(bytes)), { recursive: true });
  writeFileSync(bytesToBuffer(bytes), content);
};
const at = (path: string): string => join(root, path);
const remove = (path: string): void => rmSync(at(path), { recursive: true });
const inodeOf = (path: string): number => statSync(at(path)).ino;

/** An observer of real files, and what it said. */
class Watching {
  readonly watch: WatchDefinition;
  readonly store: MarkerStore;
  readonly observer: Observer;
  readonly troubles: string[] = [];
  readonly recovered: string[] = [];
  readonly folders: string[] = [];
  readonly foldersGone: string[] = [];

  constructor(over: Partial<WatchDefinition> = {}) {
    this.watch = watchWith({ path: root, ...over });
    this.store = new MarkerStore('w', root, true, this.watch.updated);
    this.observer = new Observer(this.watch, compileSelector(this.watch), this.store, {
      trouble: (path, error) => this.troubles.push(`${path} ${(error as NodeJS.ErrnoException).code ?? ''}`),
      recovered: (path) => this.recovered.push(path),
      folderFound: (folder) => void this.folders.push(folder),
      folderGone: (folder) => this.foldersGone.push(folder),
    });
  }

  async scan(thorough = true): Promise<string[]> {
    await this.observer.scan(Date.now(), thorough);
    return this.paths();
  }

  paths(): string[] {
    return this.observer.files().map((file) => file.path);
  }

  look(path: string, renames = 0): string {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return this.observer.lookAt(
      path.slice(0, Math.max(0, path.lastIndexOf('/'))),
      textToBytes(name),
      renames,
      Date.now(),
    );
  }

  isReplaced(path: string): boolean | undefined {
    return this.observer.get(path)?.replaced;
  }

  /** What would be done now; its memos are kept, as the journey does. */
  plan(): Plan {
    const made = plan(this.watch, {
      files: this.observer.files(),
      now: Date.now(),
      record: (path, step) => this.store.read({ path, step }, this.observer.get(path)?.stat),
      inFlight: () => undefined,
      inFlightCount: 0,
      evidence: () => undefined,
      backlogInFlight: 0,
    });
    for (const { file, memo } of made.finished) this.observer.finish(file.path, memo);
    return made;
  }

  /** Takes every submit as done at once, until there is none. */
  runAll(): void {
    for (let round = 0; round < 20; round++) {
      const submits = submitsOf(this.plan());
      if (submits.length === 0) return;
      for (const { unit, step, identity } of submits)
        this.store.write(
          resultWith(unit.file.path, { ref: { path: unit.file.path, step }, identity }),
          undefined,
        );
    }
    throw new Error('no end');
  }
}

describe('a scan', () => {
  it('finds files of any name, in byte order, descending', async () => {
    for (const name of nastyNames) put(name);
    const found = await new Watching().scan();
    const sorted = nastyNames
      .map(textToBytes)
      .toSorted((a, b) => Buffer.compare(Buffer.from(b, 'latin1'), Buffer.from(a, 'latin1')));
    expect(found.map(textToBytes)).toEqual(sorted);
    expect((await new Watching({ reverse: true }).scan()).map(textToBytes)).toEqual(sorted.toReversed());
  });

  it('takes no hidden files, no directories, no dangling links, no pipes', async () => {
    put('data');
    put('.hidden');
    put('._photo.jpg');
    mkdirSync(at('folder'));
    symlinkSync('none', at('dangling'));
    symlinkSync('data', at('link'));
    expect(await new Watching().scan()).toEqual(['link', 'data']);
  });

  it('takes directories, and only those, where they are the data', async () => {
    put('file');
    put('run1/inside');
    expect(await new Watching({ type: 'directory' }).scan()).toEqual(['run1']);
  });

  it('tells the backlog of the first scan from what comes later', async () => {
    put('old');
    const watching = new Watching();
    await watching.scan();
    put('new');
    await watching.scan();
    put('newer');
    expect(watching.look('newer')).toBe('changed');
    expect(watching.observer.files().map(({ path, backlog }) => [path, backlog])).toEqual([
      ['old', true],
      ['newer', false],
      ['new', false],
    ]);
  });

  it('keeps the time at which a file was first seen as it is', async () => {
    put('x');
    const watching = new Watching();
    await watching.observer.scan(1000, true);
    await watching.observer.scan(2000, true);
    expect(watching.observer.get('x')?.observedAt).toBe(1000);
    put('x', 'longer');
    await watching.observer.scan(3000, true);
    expect(watching.observer.get('x')?.observedAt).toBe(3000);
  });

  it('sees a change of mode alone as a change of the file: ctime moved', async () => {
    put('x');
    const watching = new Watching();
    await watching.observer.scan(1000, true);
    const before = watching.observer.get('x')!.stat.ctimeNs;
    // the clock of a file system moves in steps
    while (statSync(at('x'), { bigint: true }).ctimeNs === before) chmodSync(at('x'), 0o600);
    await watching.observer.scan(2000, true);
    expect(watching.observer.get('x')).toMatchObject({ observedAt: 2000, replaced: false });
    expect(watching.observer.mode('x') & 0o777).toBe(0o600);
  });
});

describe('a file that went away', () => {
  it('is told once', async () => {
    put('x');
    const watching = new Watching();
    await watching.scan();
    remove('x');
    expect(await watching.scan()).toEqual([]);
    expect(watching.observer.takeGone()).toEqual(['x']);
    expect(watching.observer.takeGone()).toEqual([]);
    expect(watching.observer.exists('x')).toBe(false);
  });

  it('is noticed by a hint as well', async () => {
    put('x');
    const watching = new Watching();
    await watching.scan();
    remove('x');
    expect(watching.look('x')).toBe('changed');
    expect(watching.observer.takeGone()).toEqual(['x']);
  });

  it('and came back between two scans is another file', async () => {
    put('x', 'one');
    const watching = new Watching();
    await watching.scan();
    remove('x');
    put('other', 'takes the inode, perhaps');
    put('x', 'another');
    await watching.scan();
    expect(watching.isReplaced('x')).toBe(true);
  });

  it('and came back with the very inode is another file', async () => {
    put('x', 'one');
    const before = inodeOf('x');
    const watching = new Watching();
    await watching.scan();
    // ext4 gives a freed inode to the next file; elsewhere the test says nothing about reuse
    remove('x');
    put('x', 'another');
    if (inodeOf('x') === before) {
      await watching.scan();
      expect(watching.isReplaced('x')).toBe(true);
    }
  });

  it('was replaced by rename', async () => {
    put('x', 'one');
    const watching = new Watching();
    await watching.scan();
    put('.x.tmp', 'another');
    renameSync(at('.x.tmp'), at('x'));
    await watching.scan();
    expect(watching.isReplaced('x')).toBe(true);
    watching.observer.forgetReplacement('x');
    expect(watching.isReplaced('x')).toBe(false);
  });

  it('was removed and dropped anew, though the look that followed its removal saw the new one already', async () => {
    put('x', 'one');
    const watching = new Watching();
    await watching.scan();
    put('.x.tmp', 'another');
    unlinkSync(at('x'));
    renameSync(at('.x.tmp'), at('x'));
    // the event of the removal, and only then that of the drop
    expect(watching.look('x', 1)).toBe('changed');
    expect(watching.observer.get('x')).toMatchObject({ overwritten: true, replaced: false });
    expect(watching.look('x', 0)).toBe('same');
    expect(watching.look('x', 1)).toBe('changed');
    expect(watching.observer.get('x')).toMatchObject({ overwritten: false, replaced: true });
    expect(watching.look('x', 1)).toBe('same');
  });

  it('was removed and dropped anew by a writer that still writes between the two events', async () => {
    put('x', 'one');
    const watching = new Watching();
    await watching.scan();
    put('.y', 'keeps the inode from being used again');
    unlinkSync(at('x'));
    renameSync(at('.y'), at('x'));
    writeFileSync(at('x'), 'part');
    expect(watching.look('x', 1)).toBe('changed');
    expect(watching.observer.get('x')).toMatchObject({ overwritten: true, replaced: false });
    appendFileSync(at('x'), 'and the rest');
    expect(watching.look('x', 1)).toBe('changed');
    expect(watching.observer.get('x')).toMatchObject({ overwritten: false, replaced: true });
  });

  it('was away between two looks when its name was renamed twice, even with the times of the old one', async () => {
    put('x', 'one');
    utimesSync(at('x'), 1000, 1000);
    const watching = new Watching();
    await watching.scan();
    cpSync(at('x'), at('.copy'), { preserveTimestamps: true });
    utimesSync(at('.copy'), 1000, 1000);
    unlinkSync(at('x'));
    renameSync(at('.copy'), at('x'));
    expect(watching.look('x', 2)).toBe('changed');
    expect(watching.isReplaced('x')).toBe(true);
  });
});

describe('a file that changed', () => {
  it('in place is the same file', async () => {
    put('x', 'one');
    const watching = new Watching();
    await watching.scan();
    writeFileSync(at('x'), 'much longer');
    await watching.scan();
    expect(watching.isReplaced('x')).toBe(false);
    expect(watching.observer.get('x')?.stat.size).toBe(11);
  });

  it('is looked at again though it was finished, when somebody hints or asks for it', async () => {
    put('x', 'one');
    const watching = new Watching();
    await watching.scan();
    watching.observer.finish('x', { last: 0, how: 'done' });
    expect(watching.observer.get('x')?.finished).toBeDefined();
    writeFileSync(at('x'), 'much longer');
    await watching.scan(true);
    expect(watching.observer.get('x')?.finished).toBeUndefined();
    watching.observer.finish('x', { last: 0, how: 'done' });
    writeFileSync(at('x'), 'even longer than that');
    expect(watching.look('x')).toBe('changed');
    expect(watching.observer.get('x')?.finished).toBeUndefined();
  });

  it('not at all brings no news', async () => {
    put('x');
    const watching = new Watching();
    await watching.scan();
    expect(watching.look('x')).toBe('same');
    expect(watching.look('none')).toBe('same');
  });
});

describe('markers', () => {
  it('that a person removes make a finished file due again, by scan and by hint', async () => {
    put('x');
    const watching = new Watching();
    await watching.scan();
    watching.runAll();
    expect(actionsOf(watching.plan())).toEqual([]);
    remove('._w_0_x.done');
    await watching.scan(false);
    // whoever removes a directory takes the marker before its file: a moment to see
    expect(watching.plan()).toMatchObject({ actions: [], waiting: [{ rule: 'marker' }] });
    watching.observer.hurry(Date.now());
    expect(actionsOf(watching.plan())).toEqual(['submit x 0']);
    watching.runAll();
    remove('._w_0_x.done');
    expect(watching.look('._w_0_x.done')).toBe('changed');
    watching.observer.hurry(Date.now());
    expect(actionsOf(watching.plan())).toEqual(['submit x 0']);
  });

  it('of a long name, too', async () => {
    const long = 'x'.repeat(255);
    put(long);
    const watching = new Watching();
    await watching.scan();
    watching.runAll();
    const marker = watching.store.pathOf({ path: long, step: 0 }, 'done');
    rmSync(marker);
    expect(watching.look(marker.slice(marker.lastIndexOf('/') + 1))).toBe('changed');
    expect(submitsOf(watching.plan())).toHaveLength(1);
  });

  it('of our own are no news', async () => {
    put('x');
    const watching = new Watching();
    await watching.scan();
    watching.runAll();
    expect(watching.look('._w_0_x.done')).toBe('same');
    expect(watching.look('._photo.jpg')).toBe('same');
    expect(watching.look('.x.swp')).toBe('same');
  });
});

describe('an updated watch', () => {
  it('runs a file again when it changed, with its memo in place', async () => {
    put('x');
    const watching = new Watching({ updated: true });
    await watching.scan();
    watching.runAll();
    utimesSync(at('x'), 1000, 1000);
    await watching.scan();
    expect(submitsOf(watching.plan())).toMatchObject([{ step: 0, reason: 'updated' }]);
  });

  it.each([
    ['changes', () => utimesSync(at('a.bar'), 1000, 1000)],
    ['joins', () => put('a.2.bar')],
  ])('runs a set again when a member %s', async (_, happens) => {
    put('a.foo');
    put('a.bar');
    const watching = new Watching({
      updated: true,
      lists: globs('*.foo', '*.bar'),
      split: '.',
      fileset: 1,
      steps: [single()],
    });
    await watching.scan();
    watching.runAll();
    expect(actionsOf(watching.plan())).toEqual([]);
    happens();
    await watching.scan();
    expect(submitsOf(watching.plan())).toMatchObject([{ step: 0, reason: 'updated' }]);
  });
});

it('a file that comes to stand for its set gets the job of the set', async () => {
  // the second entry is for lists, so a.bar is a unit of its own, with nothing to do in the first
  put('a.foo');
  put('a.bar');
  const watching = new Watching({
    lists: globs('*.foo', '*.bar'),
    split: '.',
    fileset: 1,
    leastLists: 1,
    steps: [single(), lists(spec('foo'), spec('bar'))],
  });
  await watching.scan();
  watching.runAll();
  remove('a.foo');
  await watching.scan();
  expect(actionsOf(watching.plan())).toEqual(['submit a.bar 0']);
});

describe('the root', () => {
  it('that is not there is told once, and waited for', async () => {
    remove('');
    const watching = new Watching();
    expect(await watching.scan()).toEqual([]);
    await watching.scan();
    expect(watching.troubles).toEqual([' ENOENT']);
    expect(watching.observer.rootPresent).toBe(false);
    put('x');
    expect(await watching.scan()).toEqual(['x']);
    expect(watching.observer.rootPresent).toBe(true);
    expect(watching.recovered).toEqual(['']);
  });

  it('that vanishes takes its files along, but they are not gone: nothing is cleaned up', async () => {
    put('x');
    const watching = new Watching();
    await watching.scan();
    renameSync(root, `${root}.away`);
    expect(await watching.scan()).toEqual([]);
    expect(watching.observer.rootPresent).toBe(false);
    expect(watching.observer.takeGone()).toEqual([]);
    expect(watching.foldersGone).toContain('');
    renameSync(`${root}.away`, root);
    expect(await watching.scan()).toEqual(['x']);
    expect(watching.observer.takeGone()).toEqual([]);
  });

  it('that was made again between two scans is watched anew', async () => {
    put('x');
    const watching = new Watching();
    await watching.scan();
    renameSync(root, `${root}.away`);
    put('y');
    expect(await watching.scan()).toEqual(['y']);
    expect(watching.foldersGone).toEqual(['']);
    expect(watching.folders).toEqual(['', '']);
  });

  it('that is a file is told as what it is', async () => {
    remove('');
    writeFileSync(root, '');
    const watching = new Watching();
    await watching.scan();
    expect(watching.troubles).toEqual([' ENOTDIR']);
  });
});

describe('recursive', () => {
  it('looks below, also into folders that come later', async () => {
    put('x');
    put('a/b/y');
    const watching = new Watching({ recursive: true });
    expect(await watching.scan()).toEqual(['x', 'a/b/y']);
    expect(watching.folders.toSorted()).toEqual(['', 'a', 'a/b']);
    put('c/d/z');
    expect(watching.look('c')).toBe('scan');
    expect(await watching.scan(false)).toEqual(['x', 'c/d/z', 'a/b/y']);
    expect(watching.look('c/d/z')).toBe('same');
    put('c/d/z2');
    expect(watching.look('c/d/z2')).toBe('changed');
  });

  it('is off by default', async () => {
    put('a/y');
    const watching = new Watching();
    expect(await watching.scan()).toEqual([]);
    expect(watching.look('a')).toBe('same');
    expect(watching.folders).toEqual(['']);
  });

  it('never looks into hidden folders', async () => {
    put('.git/config');
    put('a/.cache/y');
    const watching = new Watching({ recursive: true });
    expect(await watching.scan()).toEqual([]);
    expect(watching.folders).toEqual(['', 'a']);
  });

  it('forgets a folder that is gone, and its files', async () => {
    put('a/b/y');
    put('x');
    const watching = new Watching({ recursive: true });
    await watching.scan();
    remove('a');
    expect(watching.look('a')).toBe('scan');
    expect(await watching.scan(false)).toEqual(['x']);
    expect(watching.foldersGone.toSorted()).toEqual(['a', 'a/b']);
    expect([...watching.observer.folders()]).toEqual(['']);
  });

  it('ends in a directory of links to itself', async () => {
    put('a/y');
    symlinkSync('..', at('a/up'));
    const watching = new Watching({ recursive: true });
    const found = await watching.scan();
    expect(found).toContain('a/y');
    expect(found.length).toBeLessThan(100);
  });
});

describe('trouble', () => {
  /** As an ordinary user: root may look at everything. */
  const unprivileged = async (act: () => Promise<void>): Promise<void> => {
    if (process.getuid?.() !== 0) return act();
    chmodSync(dirname(root), 0o755);
    chownSync(root, 65534, 65534);
    process.seteuid!(65534);
    try {
      await act();
    } finally {
      process.seteuid!(0);
    }
  };

  it('with one folder is told once; its files are neither there nor gone; the rest goes on', async () => {
    put('a/y');
    put('x');
    const watching = new Watching({ recursive: true });
    await watching.scan();
    chmodSync(at('a'), 0o000);
    await unprivileged(async () => {
      expect(await watching.scan()).toEqual(['x']);
      await watching.scan();
    });
    expect(watching.troubles).toEqual(['a EACCES']);
    expect(watching.observer.takeGone()).toEqual([]);
    chmodSync(at('a'), 0o755);
    expect(await watching.scan()).toEqual(['x', 'a/y']);
    expect(watching.recovered).toEqual(['a']);
  });

  it('with the root leaves nothing to submit and nothing to clean up', async () => {
    put('x');
    const watching = new Watching();
    await watching.scan();
    chmodSync(root, 0o000);
    await unprivileged(async () => {
      await watching.scan();
      expect(watching.observer.rootPresent).toBe(false);
    });
    expect(watching.troubles).toEqual([' EACCES']);
    expect(watching.observer.takeGone()).toEqual([]);
    chmodSync(root, 0o755);
    expect(await watching.scan()).toEqual(['x']);
  });

  it('with one file (a link into a forbidden place) is told once, and the file keeps its place', async () => {
    const forbidden = temporaryDirectory();
    writeFileSync(join(forbidden, 'target'), 'x');
    symlinkSync(join(forbidden, 'target'), at('x'));
    put('y');
    const watching = new Watching();
    expect(await watching.scan()).toEqual(['y', 'x']);
    chmodSync(forbidden, 0o000);
    await unprivileged(async () => {
      expect(await watching.scan()).toEqual(['y', 'x']);
      await watching.scan();
    });
    expect(watching.troubles).toEqual(['x EACCES']);
    expect(watching.observer.takeGone()).toEqual([]);
    chmodSync(forbidden, 0o755);
    await watching.scan();
    expect(watching.recovered).toEqual(['x']);
  });
});

describe('an unchanged directory', () => {
  it('need not be listed again, and new files in it are found all the same', async () => {
    put('x');
    // old enough for the mtime of the directory to be trusted
    utimesSync(root, 1000, 1000);
    const watching = new Watching();
    await watching.scan();
    writeFileSync(at('x'), 'changed in place');
    await watching.scan(false);
    expect(watching.observer.get('x')?.stat.size).toBe(16);
    put('y');
    expect(await watching.scan(false)).toEqual(['y', 'x']);
    remove('x');
    expect(await watching.scan(false)).toEqual(['y']);
  });

  it('is listed again while its mtime is young: a change may follow within the same tick', async () => {
    const watching = new Watching();
    await watching.scan();
    const { mtimeNs } = statSync(root, { bigint: true });
    put('x');
    // as if the file had come within the granularity of the clock
    utimesSync(root, Number(mtimeNs / 1_000_000_000n), Number(mtimeNs) / 1e9);
    expect(await watching.scan(false)).toEqual(['x']);
  });
});

it('two names of one file are two files', async () => {
  put('x');
  linkSync(at('x'), at('y'));
  expect(await new Watching().scan()).toEqual(['y', 'x']);
});
