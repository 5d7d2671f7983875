import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  watch as watchDirectory,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { realFileSystem, type FileSystem } from '../../../src/lib/file-system.js';
import { bytesToBuffer, textToBytes } from '../../../src/lib/text.js';
import { look } from '../../../src/watch/folder-scan.js';
import type { FileStat } from '../../../src/watch/identity.js';
import { MarkerStore } from '../../../src/watch/marker-store.js';
import type { Result } from '../../../src/watch/record.js';
import { relist } from '../../support/listing.js';
import {
  identityWith,
  jobWith,
  nastyNames,
  NOW,
  resultWith,
  temporaryDirectory,
} from '../../support/watch-fixtures.js';

let root: string;
beforeEach(() => {
  root = temporaryDirectory();
});

const names = (folder = root): string[] => readdirSync(folder, { encoding: 'latin1' }).toSorted();
const hidden = (folder = root): string[] => names(folder).filter((name) => name.startsWith('._'));
const put = (name: string, content = ''): void =>
  writeFileSync(bytesToBuffer(`${root}/${textToBytes(name)}`), content);
const fixture = (name: string): string => join(import.meta.dirname, '../../fixtures/markers', name);

/** A store that has looked at its folder. */
function storeOf(watch = 'w', options: { needsContent?: boolean; readOnly?: boolean } = {}): MarkerStore {
  const store = new MarkerStore(watch, root, true, options.needsContent ?? false, options.readOnly ?? false);
  relist(store, '', hidden());
  return store;
}
const states = (store: MarkerStore, path: string, step = 0): string[] =>
  [...store.read({ path, step }).states].toSorted();
const failed = (path: string, over: Partial<Result> = {}): Result =>
  resultWith(path, { job: jobWith({ state: 'failed', rc: 3 }), ...over });
function statOf(path: string): FileStat {
  const looked = look(textToBytes(path));
  if (looked.kind !== 'file') throw new Error(looked.kind);
  return looked.stat;
}
const later = (path: string): void => utimesSync(path, NOW / 1000, NOW / 1000);

describe('write', () => {
  it('leaves ._<name>_<n>_<filename>.<state>, as documented, and nothing else', () => {
    const store = storeOf();
    store.write(resultWith('ok.txt', { ref: { path: 'ok.txt', step: 2 } }), undefined);
    expect(names()).toEqual(['._w_2_ok.txt.done']);
    expect(JSON.parse(readFileSync(join(root, '._w_2_ok.txt.done'), 'utf8'))).toMatchObject({
      state: 'done',
      file: 'ok.txt',
      watch: 'w',
    });
    expect(states(store, 'ok.txt', 2)).toEqual(['done']);
    expect(states(storeOf(), 'ok.txt', 2)).toEqual(['done']);
  });

  it('appears by rename, never half-written', async () => {
    const seen: { name: string; kind: string }[] = [];
    const watcher = watchDirectory(root, (kind, name) => seen.push({ kind, name: name ?? '' }));
    const store = storeOf();
    store.write(resultWith('x', { job: jobWith({ stdout_data: 'x'.repeat(1_000_000) }) }), '1.5');
    while (seen.filter(({ name }) => name === '._w_0_x.mtime').length === 0)
      await new Promise((resolve) => setTimeout(resolve, 5));
    watcher.close();
    // a file written in place would show as changed
    const final = seen.filter(({ name }) => !name.endsWith('.tmp'));
    expect(final.map(({ kind }) => kind)).not.toContain('change');
    expect(seen.map(({ name }) => name)).toContain('._w_0_x.done.tmp');
  });

  it('done removes an older .failed, and a failure an older .done', () => {
    const store = storeOf();
    store.write(failed('x'), undefined);
    expect(hidden()).toEqual(['._w_0_x.failed']);
    store.write(resultWith('x'), undefined);
    expect(hidden()).toEqual(['._w_0_x.done']);
    expect(states(store, 'x')).toEqual(['done']);
    store.write(resultWith('x', { job: jobWith({ state: 'killed' }) }), undefined);
    expect(hidden()).toEqual(['._w_0_x.killed']);
  });

  it('of one step leaves the others alone', () => {
    const store = storeOf();
    store.write(failed('x', { ref: { path: 'x', step: 1 } }), undefined);
    store.write(resultWith('x'), undefined);
    expect(hidden()).toEqual(['._w_0_x.done', '._w_1_x.failed']);
  });

  it('keeps the mtime of updated watches as the original did: plain, without a newline', () => {
    storeOf('w', { needsContent: true }).write(resultWith('x'), '1795211610.7217646');
    expect(readFileSync(join(root, '._w_0_x.mtime'), 'utf8')).toBe('1795211610.7217646');
    expect(storeOf('w', { needsContent: true }).read({ path: 'x', step: 0 })).toMatchObject({
      mtime: '1795211610.7217646',
      identity: identityWith(),
    });
  });

  it('that fails leaves nothing behind and throws', () => {
    const store = storeOf();
    mkdirSync(join(root, '._w_0_x.done'));
    put('._w_0_x.done/in the way'.replace('/', '_'));
    expect(() => store.write(resultWith('x'), undefined)).toThrow();
    expect(names()).toEqual(['._w_0_x.done', '._w_0_x.done_in the way']);
    expect(states(store, 'x')).toEqual([]);
  });

  it('takes names of any bytes, each with a marker of its own that names the file', () => {
    const store = storeOf();
    for (const name of nastyNames) store.write(resultWith(name), undefined);
    expect(hidden()).toHaveLength(nastyNames.length);
    for (const name of hidden()) expect(name.length).toBeLessThanOrEqual(255);
    const fresh = storeOf();
    for (const name of nastyNames) {
      expect(states(fresh, name), name).toEqual(['done']);
      expect(fresh.facts({ path: name, step: 0 })?.file).toBe(name);
    }
    expect([...fresh.list('')].map((ref) => ref.path).toSorted()).toEqual([...nastyNames].toSorted());
  });

  it('in a subfolder goes beside the file', () => {
    mkdirSync(join(root, 'sub'));
    const store = storeOf();
    store.write(resultWith('sub/x'), undefined);
    expect(names(join(root, 'sub'))).toEqual(['._w_0_x.done']);
    expect(hidden()).toEqual([]);
    expect([...store.list('sub')]).toEqual([{ path: 'sub/x', step: 0 }]);
  });

  it('under a state path mirrors the folders', () => {
    const store = new MarkerStore('w', root, false, false);
    relist(store, '', []);
    store.write(resultWith('a/b/x'), undefined);
    store.flush();
    expect(names(join(root, 'a/b'))).toEqual(['._w_0_x.done']);
    const fresh = new MarkerStore('w', root, false, false);
    expect(relist(fresh, 'a/b', [])).toEqual([]);
    expect(states(fresh, 'a/b/x')).toEqual(['done']);
  });
});

describe('markers of the Python original', () => {
  it.each(['jan2020', 'head'])('%s are understood', (release) => {
    for (const [file, state] of [
      ['good.txt', 'done'],
      ['bad.txt', 'failed'],
      ['stopped.txt', 'killed'],
    ] as const) {
      cpSync(fixture(`${release}.${state}.json`), join(root, `._w1_0_${file}.${state}`));
      cpSync(fixture(`${release}.mtime`), join(root, `._w1_0_${file}.mtime`));
    }
    const store = storeOf('w1', { needsContent: true });
    expect(states(store, 'good.txt')).toEqual(['done', 'mtime']);
    expect(states(store, 'stopped.txt')).toEqual(['killed', 'mtime']);
    const bad = store.read({ path: 'bad.txt', step: 0 });
    expect(bad).toMatchObject({ failedAttempts: 1 });
    expect(bad.failedAt).toBeCloseTo(1_795_211_614_706.55, 1);
    expect(bad).not.toHaveProperty('identity');
    expect(bad.mtime).toMatch(/^17952\d+\.\d+$/);
    for (const path of ['good.txt', 'bad.txt', 'stopped.txt'])
      expect(store.owns({ path, step: 0 })).toBe(true);
  });

  it('are understood whatever the length of the name: an upgrade reprocesses nothing', () => {
    // 255 bytes is the longest the original could write
    for (const length of [200, 230, 238, 239, 244]) {
      const file = 'x'.repeat(length);
      cpSync(fixture('jan2020.done.json'), join(root, `._w_0_${file}.done`));
      expect(states(storeOf(), file), `${length} bytes`).toEqual(['done']);
    }
  });

  it('that were cut off by a crash still count as processed', () => {
    put('._w_0_x.done', '{"act');
    expect(states(storeOf(), 'x')).toEqual(['done']);
  });
});

describe('read', () => {
  it('knows nothing of a file without markers', () => {
    expect(storeOf().read({ path: 'x', step: 0 })).toEqual({ states: new Set() });
  });

  it('brings the identity when the file was touched after its marker was written', () => {
    put('x', 'one');
    const seen = statOf(`${root}/x`);
    storeOf().write({ ...resultWith('x'), seen }, undefined);
    expect(storeOf().read({ path: 'x', step: 0 }, seen)).not.toHaveProperty('identity');
    // earlier too: the clock may have been set back
    for (const by of [1n, 1_000_000n, 10_000_000_000n, -10_000_000_000n]) {
      const touched = { ...seen, ctimeNs: seen.ctimeNs + by };
      expect(storeOf().read({ path: 'x', step: 0 }, touched)).toMatchObject({ identity: identityWith() });
    }
  });

  it('is opened when the file was exchanged before it was written, unseen: a crash then must not hide the new file', () => {
    put('x', 'old');
    const seen = statOf(`${root}/x`);
    rmSync(`${root}/x`);
    put('x', 'another');
    storeOf().write({ ...resultWith('x'), seen }, undefined);
    expect(storeOf().read({ path: 'x', step: 0 }, statOf(`${root}/x`)).identity).toEqual(
      resultWith('x').identity,
    );
  });

  it('has a marker carry the time of the end of its job, to the second', () => {
    put('x', 'one');
    storeOf().write({ ...resultWith('x'), seen: statOf(`${root}/x`) }, undefined);
    expect(Math.floor(statSync(`${root}/._w_0_x.done`).mtimeMs / 1000)).toBe(Math.floor(NOW / 1000));
  });

  it('brings the attempts and the time of a failure', () => {
    storeOf().write(failed('x', { attempt: 4 }), undefined);
    expect(storeOf().read({ path: 'x', step: 0 })).toMatchObject({ failedAttempts: 4, failedAt: NOW });
  });

  it('sees a marker that a person removed or put there', () => {
    const store = storeOf();
    store.write(resultWith('x'), undefined);
    expect(relist(store, '', hidden())).toBeUndefined();
    expect(relist(store, '', [])).toEqual(['x']);
    expect(states(store, 'x')).toEqual([]);
    expect(relist(store, '', ['._w_0_x.failed'])).toEqual([]);
    expect(states(store, 'x')).toEqual(['failed']);
    store.drop('');
    expect(states(store, 'x')).toEqual([]);
  });
});

describe('noticed', () => {
  it('tells news from echoes of its own writes', () => {
    const store = storeOf();
    store.write(resultWith('x'), undefined);
    expect(store.noticed('', '._w_0_x.done', true)).toBeUndefined();
    expect(store.noticed('', '._w_0_x.done', false)).toEqual({ path: 'x' });
    expect(states(store, 'x')).toEqual([]);
    expect(store.noticed('', '._w_0_x.done', false)).toBeUndefined();
    expect(store.noticed('sub', '._w_1_y.failed', true)).toEqual({ path: 'sub/y' });
    expect(states(store, 'sub/y', 1)).toEqual(['failed']);
  });

  it('is not interested in markers of others', () => {
    for (const name of ['._photo.jpg', '._v_0_x.done', '._w_0_x.done.tmp'])
      expect(storeOf().noticed('', name, true)).toBeUndefined();
  });

  it('cannot tell the file of a shortened marker', () => {
    const store = storeOf();
    const long = 'x'.repeat(255);
    store.write(resultWith(long), undefined);
    expect(store.noticed('', hidden()[0]!, false)).toEqual({ path: undefined });
    expect(states(store, long)).toEqual([]);
  });
});

describe('what is foreign', () => {
  it.each([
    '._photo.jpg',
    '._v_0_x.done',
    '._w_x.done',
    '.hidden',
    '._w2_0_x.done',
    '._w_0_x.part',
    '._w_0_x.done.bak',
  ])('%s is not listed and not removed', (name) => {
    put(name, 'foreign');
    const store = storeOf();
    expect([...store.list('')]).toEqual([]);
    store.remove({ path: 'x', step: 0 }, ['done', 'failed', 'killed', 'mtime']);
    expect(names()).toEqual([name]);
  });

  it('is what AppleDouble keeps of a file that is called like a marker', () => {
    const appleDouble = '\u0000\u0005\u0016\u0007\u0000\u0002\u0000\u0000Mac OS X        ';
    put('._w_0_x.done', appleDouble);
    put('._w_0_y.mtime', appleDouble);
    const store = storeOf();
    expect(store.owns({ path: 'x', step: 0 })).toBe(false);
    expect(store.owns({ path: 'y', step: 0 })).toBe(false);
  });

  it('is a marker of a watch whose name makes the same marker name', () => {
    // ._a_0_0_x.done: step 0 of 0_x for a, step 0 of x for a_0
    storeOf('a_0').write(resultWith('x', { watch: 'a_0' }), undefined);
    expect(hidden()).toEqual(['._a_0_0_x.done']);
    expect(storeOf('a_0').owns({ path: 'x', step: 0 })).toBe(true);
    expect(storeOf('a').owns({ path: '0_x', step: 0 })).toBe(false);
  });

  it('is not the .mtime that the original left alone', () => {
    put('._w_0_x.mtime', '1795211610.7217646');
    expect(storeOf().owns({ path: 'x', step: 0 })).toBe(true);
    expect(storeOf().owns({ path: 'none', step: 0 })).toBe(false);
  });
});

describe('remove', () => {
  it('removes the states named, of this step of this file', () => {
    const store = storeOf('w', { needsContent: true });
    store.write(resultWith('x'), '1.5');
    store.write(resultWith('x', { ref: { path: 'x', step: 1 } }), undefined);
    store.write(resultWith('x2'), undefined);
    store.remove({ path: 'x', step: 0 }, ['done']);
    expect(hidden()).toEqual(['._w_0_x.mtime', '._w_0_x2.done', '._w_1_x.done']);
    store.remove({ path: 'x', step: 0 }, ['done', 'mtime']);
    expect(hidden()).toEqual(['._w_0_x2.done', '._w_1_x.done']);
  });

  it('of what somebody else has removed already is no error', () => {
    const store = storeOf();
    relist(store, '', ['._w_0_x.done']);
    store.remove({ path: 'x', step: 0 }, ['done']);
    expect(states(store, 'x')).toEqual([]);
  });

  it('finds shortened markers through their content', () => {
    const long = 'y'.repeat(255);
    storeOf().write(resultWith(long), undefined);
    const store = storeOf();
    const refs = [...store.list('')];
    expect(refs).toEqual([{ path: long, step: 0 }]);
    expect(store.owns(refs[0]!)).toBe(true);
    store.remove(refs[0]!, ['done']);
    expect(names()).toEqual([]);
  });

  it('while listing misses none', () => {
    const store = storeOf();
    for (let i = 0; i < 50; i++) store.write(resultWith(`f${i}`), undefined);
    for (const ref of store.list('')) store.remove(ref, ['done']);
    expect(names()).toEqual([]);
  });
});

describe('leftovers of a crash in the middle of a write', () => {
  it('are removed, and only those', () => {
    for (const name of ['._w_0_x.done.tmp', '._w_0_x.tmp', '._v_0_x.done.tmp', '._photo.tmp', 'x.done.tmp'])
      put(name);
    storeOf();
    expect(names()).toEqual(['._photo.tmp', '._v_0_x.done.tmp', '._w_0_x.tmp', 'x.done.tmp']);
  });

  it('stay in a dry run', () => {
    put('._w_0_x.done.tmp');
    storeOf('w', { readOnly: true });
    expect(names()).toEqual(['._w_0_x.done.tmp']);
  });

  it('do not count as a result', () => {
    put('._w_0_x.done.tmp', '{"state":"done"}');
    expect(states(storeOf(), 'x')).toEqual([]);
  });
});

it('markers are readable by others, as those of the original were', () => {
  const before = process.umask(0o022);
  try {
    storeOf().write(resultWith('x'), undefined);
  } finally {
    process.umask(before);
  }
  expect(statSync(join(root, '._w_0_x.done')).mode & 0o777).toBe(0o644);
});

it('pathOf says where a marker is', () => {
  const store = storeOf();
  store.write(resultWith('x'), undefined);
  const path = store.pathOf({ path: 'x', step: 0 }, 'done');
  expect(path).toBe(join(root, '._w_0_x.done'));
  expect(existsSync(path)).toBe(true);
  later(path);
  chmodSync(path, 0o600);
  expect(states(storeOf(), 'x')).toEqual(['done']);
});

it('reads a marker again that could not be read for a moment: it is not taken for one of nobody', () => {
  storeOf().write(resultWith('x'), undefined);
  let failures = 1;
  const fs: FileSystem = {
    ...realFileSystem,
    lstatSync: ((path: Buffer) => {
      if (failures-- > 0) throw Object.assign(new Error('stale'), { code: 'ESTALE' });
      return realFileSystem.lstatSync(path);
    }) as FileSystem['lstatSync'],
  };
  const store = new MarkerStore('w', root, true, false, false, fs);
  relist(store, '', hidden());
  expect(store.owns({ path: 'x', step: 0 })).toBe(false);
  expect(store.owns({ path: 'x', step: 0 })).toBe(true);
});
