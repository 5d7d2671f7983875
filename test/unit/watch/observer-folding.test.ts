import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { WatchDefinition } from '../../../src/config/schema.js';
import { realFileSystem, type FileSystem } from '../../../src/lib/file-system.js';
import { MarkerStore } from '../../../src/watch/marker-store.js';
import { Observer, type ObserverOptions } from '../../../src/watch/observer.js';
import { plan, type Plan } from '../../../src/watch/plan.js';
import { compileSelector } from '../../../src/watch/select.js';
import {
  actionsOf,
  globs,
  resultWith,
  single,
  submitsOf,
  temporaryDirectory,
  watchWith,
} from '../../support/watch-fixtures.js';

const NFS = 0x6969;
let root: string;
beforeEach(() => {
  root = join(temporaryDirectory(), 'data');
  mkdirSync(root);
});
const put = (name: string, content = 'x'): void => writeFileSync(join(root, name), content);
const replace = (name: string): void => {
  put('.new', 'something else');
  renameSync(join(root, '.new'), join(root, name));
};

/** A start of a watcher, and what it looks at. */
class Start {
  readonly watch: WatchDefinition;
  readonly store: MarkerStore;
  readonly observer: Observer;
  /** how often each name was looked at */
  looks: string[] = [];

  constructor(over: Partial<WatchDefinition> = {}, options: ObserverOptions = {}, isShared = false) {
    this.watch = watchWith({ path: root, ...over });
    const note =
      <T extends 'statSync' | 'lstatSync'>(name: T) =>
      (...args: Parameters<FileSystem[T]>): ReturnType<FileSystem[T]> => {
        this.looks.push(String(args[0]).slice(root.length + 1));
        return (realFileSystem[name] as (...all: unknown[]) => never)(...args);
      };
    const fs: FileSystem = {
      ...realFileSystem,
      statSync: note('statSync') as FileSystem['statSync'],
      lstatSync: note('lstatSync') as FileSystem['lstatSync'],
      ...(isShared && { statfsSync: (() => ({ type: NFS })) as unknown as FileSystem['statfsSync'] }),
    };
    this.store = new MarkerStore('w', root, true, this.watch.updated, false, fs);
    const nothing = (): void => undefined;
    const events = { trouble: nothing, recovered: nothing, folderFound: nothing, folderGone: nothing };
    this.observer = new Observer(this.watch, compileSelector(this.watch), this.store, events, fs, options);
  }

  async scan(thorough = false): Promise<this> {
    this.looks = [];
    await this.observer.scan(Date.now(), thorough);
    return this;
  }

  plan(): Plan {
    const { observer, store } = this;
    const made = plan(this.watch, {
      files: observer.files(),
      folded: observer.folded,
      now: Date.now(),
      record: (path, step) => store.read({ path, step }, observer.get(path)?.stat),
      inFlight: () => undefined,
      inFlightCount: 0,
      evidence: () => undefined,
      backlogInFlight: 0,
    });
    for (const { file, memo } of made.finished) observer.finish(file.path, memo);
    return made;
  }

  /** Takes every submit as done at once. */
  run(): this {
    for (const { unit, step, identity } of submitsOf(this.plan())) {
      const ref = { path: unit.file.path, step };
      this.store.write({ ...resultWith(ref.path, { ref, identity }), seen: unit.file.stat }, undefined);
    }
    this.plan();
    return this;
  }

  get objects(): string[] {
    return this.observer.files().map(({ path }) => path);
  }
}

describe('a file that needs nothing more', () => {
  it('has no object, and counts', async () => {
    put('a');
    put('b');
    const start = (await new Start().scan()).run();
    put('c');
    await start.scan();
    expect(start.objects).toEqual(['c']);
    expect(start.plan().counts).toMatchObject({ files: 3, done: 2, ready: 1 });
    expect(start.observer.count).toBe(3);
  });

  it('is taken for that by its marker alone at the next start, and looked at later', async () => {
    put('a');
    put('b');
    (await new Start().scan()).run();
    put('c');
    const next = await new Start({}, { lookAtOnce: 0 }).scan(true);
    expect(next.looks.filter((name) => name === 'a' || name === 'b')).toEqual([]);
    expect(actionsOf(next.plan())).toEqual(['submit c 0']);
    expect(next.observer.isPatrolling).toBe(true);
    expect(next.observer.patrol(Date.now())).toBe(false);
    expect(next.looks).toEqual(expect.arrayContaining(['a', 'b', '._w_0_a.done', '._w_0_b.done']));
    expect(next.observer.isPatrolling).toBe(false);
    expect(next.plan().counts).toMatchObject({ files: 3, done: 2 });
  });

  it.each(['by a round', 'by an event'])('became another one while nobody watched: found %s', async (how) => {
    put('a');
    put('b');
    (await new Start().scan()).run();
    replace('a');
    const next = await new Start({}, { lookAtOnce: 0 }).scan(true);
    expect(actionsOf(next.plan())).toEqual([]);
    if (how === 'by a round') expect(next.observer.patrol(Date.now())).toBe(true);
    else expect(next.observer.lookAt('', 'a', 0, Date.now())).toBe('changed');
    expect(submitsOf(next.plan())).toMatchObject([{ unit: { file: { path: 'a' } }, reason: 'replaced' }]);
    expect(next.objects).toEqual(['a']);
  });

  it('was edited in place while nobody watched: looked at once, and no more', async () => {
    put('a');
    (await new Start().scan()).run();
    put('a', 'longer');
    const next = await new Start().scan(true);
    expect(actionsOf(next.plan())).toEqual([]);
    next.plan();
    expect(next.objects).toEqual([]);
  });

  it('is not looked at by a scan of a directory that changed, while its events are heard', async () => {
    put('a');
    const start = (await new Start().scan()).run();
    expect(start.objects).toEqual([]);
    put('b');
    await start.scan();
    expect(start.looks).toContain('b');
    expect(start.looks).not.toContain('a');
    await start.scan(true);
    expect(start.looks).toContain('a');
  });

  it.each([
    ['on a file system that other machines share', (): Start => new Start({}, {}, true)],
    [
      'where the kernel gives no watch',
      (): Start => {
        const start = new Start();
        start.observer.distrust('');
        return start;
      },
    ],
  ])('is looked at by every scan %s', async (_, make) => {
    put('a');
    const start = (await make().scan()).run();
    expect(start.objects).toEqual([]);
    await start.scan();
    expect(start.looks).toContain('a');
    replace('a');
    await start.scan();
    expect(submitsOf(start.plan())).toMatchObject([{ reason: 'replaced' }]);
  });

  it('is not folded when it is a link: what that leads to changes without an event', async () => {
    const target = join(temporaryDirectory(), 'target');
    writeFileSync(target, 'x');
    symlinkSync(target, join(root, 'link'));
    const start = (await new Start().scan()).run();
    expect(start.objects).toEqual(['link']);
    const next = await new Start().scan();
    expect(next.objects).toEqual(['link']);
    rmSync(target);
    mkdirSync(target);
    await next.scan();
    expect(next.objects).toEqual([]);
  });

  it('is an object again with what was known of it, when something happens to it', async () => {
    put('a');
    const start = await new Start().scan();
    const { stat, backlog, observedAt } = start.observer.get('a')!;
    start.run();
    expect(start.objects).toEqual([]);
    expect(start.observer.get('a')).toMatchObject({ stat, backlog, observedAt, finished: undefined });
    expect(start.objects).toEqual(['a']);
    start.plan();
    expect(start.objects).toEqual([]);
    unlinkSync(join(root, '._w_0_a.done'));
    expect(start.observer.lookAt('', '._w_0_a.done', 1, Date.now())).toBe('changed');
    start.observer.hurry(Date.now());
    expect(actionsOf(start.plan())).toEqual(['submit a 0']);
  });

  it('is told when it is gone: by an event, by a scan, by a round', async () => {
    for (const name of ['a', 'b', 'c', 'd']) put(name);
    const start = (await new Start({}, { lookAtOnce: 0 }).scan()).run();
    expect(start.objects).toEqual([]);
    unlinkSync(join(root, 'a'));
    expect(start.observer.lookAt('', 'a', 1, Date.now())).toBe('changed');
    unlinkSync(join(root, 'b'));
    await start.scan(true);
    unlinkSync(join(root, 'c'));
    expect(start.observer.patrol(Date.now())).toBe(true);
    expect(start.observer.takeGone()).toEqual(['a', 'b', 'c']);
    expect(start.plan().counts).toMatchObject({ files: 1, done: 1 });
    expect([...start.store.list('')].map(({ path }) => path).toSorted()).toEqual(['a', 'b', 'c']);
  });

  it('that a directory stands for now is none, and its marker is left alone', async () => {
    put('a');
    (await new Start().scan()).run();
    unlinkSync(join(root, 'a'));
    mkdirSync(join(root, 'a'));
    for (const isShared of [false, true]) {
      const next = await new Start({}, {}, isShared).scan(true);
      expect(next.plan().counts.files).toBe(0);
      expect(next.observer.takeGone()).toEqual([]);
      expect(next.observer.exists('a')).toBe(true);
    }
  });

  it('goes with its folder', async () => {
    put('a');
    const start = (await new Start().scan()).run();
    renameSync(root, `${root}.away`);
    await start.scan();
    expect(start.observer.folded).toEqual({ done: 0, failed: 0, killed: 0, nothing: 0 });
    expect(start.observer.count).toBe(0);
    renameSync(`${root}.away`, root);
    await start.scan();
    expect(start.observer.count).toBe(1);
  });
});

describe('objects are kept', () => {
  const everyone = async (over: Partial<WatchDefinition>): Promise<number> => {
    for (let i = 0; i < 100; i++) put(`f${String(i).padStart(2, '0')}`);
    const start = await new Start({ maxJobs: 10_000, ...over }).scan();
    for (let i = 0; i < 4; i++) start.run();
    return start.objects.length;
  };

  it.each<[string, Partial<WatchDefinition>, number]>([
    ['by nobody in a plain watch', {}, 0],
    [
      'by the first of the order, and some to spare, where there are several entries',
      { steps: [single(), single()] },
      65,
    ],
    ['by those up to max_index', { maxIndex: 9 }, 100],
    ['by those that are skipped', { skip: 2 }, 66],
    ['by all of an updated watch', { updated: true }, 100],
    ['by all with max_age', { maxAge: 1e9 }, 100],
    ['by all of sets', { fileset: 1, split: '.', lists: globs('f*', '*') }, 100],
  ])('%s', async (_, over, count) => {
    expect(await everyone(over)).toBe(count);
  });

  it('by the next in the order when the first go', async () => {
    await everyone({ steps: [single(), single()] });
    const start = await new Start({ steps: [single(), single()] }).scan();
    // f99 has had its only entry, but not the second one
    expect(start.objects).toHaveLength(66);
    for (let i = 99; i > 10; i--) {
      unlinkSync(join(root, `f${i}`));
      start.observer.lookAt('', `f${i}`, 1, Date.now());
      const [first] = start.objects;
      expect(first).toBe(`f${i - 1}`);
    }
  });

  it('whatever the times of a directory say', async () => {
    put('a');
    utimesSync(root, 1000, 1000);
    const start = (await new Start().scan()).run();
    await start.scan();
    expect(start.plan().counts).toMatchObject({ files: 1, done: 1 });
  });
});
