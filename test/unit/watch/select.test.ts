import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WatchDefinition } from '../../../src/config/schema.js';
import { bytesToBuffer, textToBytes } from '../../../src/lib/text.js';
import { baseName, compileSelector, folderOf, type Selection } from '../../../src/watch/select.js';
import { globs, nastyNames, patterns, textOf, watchWith } from '../../support/watch-fixtures.js';

const select = (over: Partial<WatchDefinition>, path: string): Selection =>
  compileSelector(watchWith(over))(path);
const matches = (glob: string, path: string): boolean =>
  select({ lists: globs(glob) }, path).lists.length === 1;

describe('globs', () => {
  it.each(nastyNames)('"*" takes any file, also %j', (name) => {
    expect(matches('*', name)).toBe(true);
  });

  it.each([
    ['*.nc', 'a.nc', true],
    ['*.nc', 'a.NC', false],
    ['*.nc', 'a.nc4', false],
    ['*.nc', 'a.nc\n', false],
    ['*.nc', 'a\nb.nc', true],
    ['gfs.t[0-9][0-9]z.*', 'gfs.t06z.pgrb2', true],
    ['gfs.t[0-9][0-9]z.*', 'gfs.t6z.pgrb2', false],
    ['f?.nc', 'f1.nc', true],
    ['f?.nc', 'f.nc', false],
    ['f?.nc', 'f12.nc', false],
    ['?.txt', 'ü.txt', true],
    ['?.txt', '日.txt', true],
    ['!important*', '!important.txt', true],
    ['!important*', 'other.txt', false],
    ['#*', '#a#', true],
    ['a+b.txt', 'a+b.txt', true],
    ['a.c', 'abc', false],
    ['H-000-MSG4__-*-VIS006___-*', 'H-000-MSG4__-MSG4________-VIS006___-000001___-202601011200-__', true],
  ])('%s on %j: %s', (glob, name, expected) => {
    expect(matches(glob, name)).toBe(expected);
  });

  it('? takes one character, also one outside the basic plane', () => {
    expect(matches('?.txt', '😀.txt')).toBe(true);
  });

  it('[!x] is every character but x, as in the shell and in the original', () => {
    expect(matches('[!a]*', 'bcd')).toBe(true);
    expect(matches('[!a]*', 'abc')).toBe(false);
  });

  it('a name belongs to every list it matches', () => {
    const chosen = select({ lists: globs('*.foo', 'a*', '*.bar') }, 'a.foo');
    expect(chosen.lists).toEqual([0, 1]);
    expect(chosen.rejectedBy).toBeUndefined();
  });

  it('says which rule keeps a name out', () => {
    expect(select({ lists: globs('*.foo') }, 'a.bar')).toMatchObject({
      lists: [],
      rejectedBy: { rule: 'glob', detail: expect.stringContaining('*.foo') as string },
    });
  });
});

it('says by which rule of several a name was left out', () => {
  const detail = (over: Partial<WatchDefinition>, path: string) => select(over, path).rejectedBy?.detail;
  const lists = [
    { glob: '*.nc', pattern: '^a' },
    { glob: '*.foo', pattern: undefined },
  ];
  expect(detail({ lists }, 'x')).toBe('matches none of *.nc & ^a, *.foo');
  expect(detail({ exclude: ['*.a', '*.b'] }, 'x.b')).toBe('matches *.b');
  expect(detail({}, '.x')).toBe('hidden files are never data');
});

it('a glob matches the name that it is, also where its characters mean something', () => {
  expect(matches('a[1].nc', 'a[1].nc')).toBe(true);
  expect(matches('a[1].nc', 'a1.nc')).toBe(true);
});

describe('exclude', () => {
  it('keeps names out, whatever list they match', () => {
    const over = { exclude: ['*.tmp', '*.filepart'] };
    expect(select(over, 'a.tmp')).toMatchObject({ lists: [], rejectedBy: { rule: 'exclude' } });
    expect(select(over, 'a.filepart').lists).toEqual([]);
    expect(select(over, 'a.tmp2').lists).toEqual([0]);
  });
});

describe('hidden files', () => {
  it.each(['.x', '._photo.jpg', '.name.XXXXXX', '._w_0_x.done', 'sub/.x', '.git/config', 'a/.b/c'])(
    '%s is never data',
    (path) => {
      for (const glob of ['*', '.*', '**', '**/*', path])
        expect(select({ recursive: true, lists: globs(glob) }, path)).toMatchObject({
          lists: [],
          rejectedBy: { rule: 'hidden' },
        });
    },
  );
});

describe('recursive', () => {
  const lists = globs('*.nc', 'a/*.nc', 'a/**/*.nc');
  it.each([
    ['x.nc', [0]],
    ['a/x.nc', [0, 1, 2]],
    ['a/b/x.nc', [0, 2]],
    ['b/x.nc', [0]],
  ])('%s is of lists %j', (path, expected) => {
    expect(select({ recursive: true, lists }, path).lists).toEqual(expected);
  });

  it('excludes by name anywhere, or by path', () => {
    const over = { recursive: true, exclude: ['*.tmp', 'tmp/**'] };
    expect(select(over, 'a/x.tmp').lists).toEqual([]);
    expect(select(over, 'tmp/x').lists).toEqual([]);
    expect(select(over, 'a/tmp').lists).toEqual([0]);
  });

  it('splits the name only', () => {
    expect(select({ recursive: true, split: '.' }, 'a.b/c.d').parts).toEqual(['c', 'd']);
  });
});

describe('pattern', () => {
  const goes = '^OR_ABI-L1b-RadC-M3(?<channel>C\\d\\d)_G17_s(?<start>\\d+)_e\\d+_c(?<made>\\d+)\\.nc$';

  it('captures by name', () => {
    const name = 'OR_ABI-L1b-RadC-M3C03_G17_s20182400027156_e20182400029527_c20182400029559.nc';
    expect(select({ lists: patterns(goes) }, name).captures).toEqual({
      channel: 'C03',
      start: '20182400027156',
      made: '20182400029559',
    });
  });

  it('must match as well as the glob', () => {
    const both = [{ glob: '*.nc', pattern: '^a(?<n>\\d)' }];
    expect(select({ lists: both }, 'a1.nc').captures).toEqual({ n: '1' });
    expect(select({ lists: both }, 'a1.idx').lists).toEqual([]);
    expect(select({ lists: both }, 'b1.nc').lists).toEqual([]);
  });

  it('leaves out captures that took no part, and keeps empty ones', () => {
    const lists = patterns('^(?<a>x)?(?<b>y*)');
    expect(select({ lists }, 'z').captures).toStrictEqual({ b: '' });
  });

  it('keeps the captures of each list for itself', () => {
    const lists = patterns('^(?<k>..)', '(?<k>..)$');
    const chosen = select({ lists }, 'abcd');
    expect(chosen.captures).toEqual({ k: 'ab' });
    expect(chosen.capturesByList.get(1)).toEqual({ k: 'cd' });
  });

  it('does not take a capture called __proto__ or a method of Object for something else', () => {
    const lists = patterns('^(?<constructor>a)');
    expect(Object.hasOwn(select({ lists }, 'ab').captures, 'constructor')).toBe(true);
    expect(Object.hasOwn(select({ lists: patterns('^a') }, 'ab').captures, 'constructor')).toBe(false);
  });

  it('is of the name, and of the path when it has a slash and folders count', () => {
    const lists = patterns('^a.$', '^sub/a');
    expect(select({ recursive: true, lists }, 'sub/ab').lists).toEqual([0, 1]);
    expect(select({ recursive: true, lists }, 'deep/sub/ab').lists).toEqual([0]);
    expect(select({ recursive: false, lists: patterns('^a/?b') }, 'ab').lists).toEqual([0]);
  });

  it('counts characters, not halves of them', () => {
    expect(select({ lists: patterns('^.$') }, '😀').lists).toEqual([0]);
  });

  it('takes names of invalid UTF-8 and newlines as data', () => {
    expect(select({ lists: patterns('^(?<x>[^.]+)\\.nc$') }, `${textOf(0xff)}\n.nc`).captures).toEqual({
      x: `${textOf(0xff)}\n`,
    });
  });
});

describe('parts', () => {
  it('are the name split, empty ones included', () => {
    expect(select({ split: '.' }, '20200101.00.foo').parts).toEqual(['20200101', '00', 'foo']);
    expect(select({ split: '_' }, 'a__b').parts).toEqual(['a', '', 'b']);
    expect(select({}, 'a.b').parts).toEqual(['a.b']);
  });
});

it('baseName and folderOf divide a path', () => {
  expect([baseName('a/b/c'), folderOf('a/b/c')]).toEqual(['c', 'a/b']);
  expect([baseName('c'), folderOf('c')]).toEqual(['c', '']);
});

it('matches plain globs by the bytes of a name as it does by its text', () => {
  const part = fc.stringMatching(/^[ab.-]{0,3}$/);
  const glob = fc.oneof(
    fc.tuple(part, fc.constantFrom('*', ''), part).map((parts) => parts.join('')),
    fc.constantFrom('*', '*.txt', 'a*a'),
  );
  const name = fc.oneof(fc.stringMatching(/^[ab.-]{1,7}$/), fc.constantFrom(...nastyNames));
  let matched = 0;
  fc.assert(
    fc.property(fc.array(glob, { minLength: 1, maxLength: 3 }), name, (some, one) => {
      fc.pre(!some.includes('') && !one.startsWith('.'));
      const selector = compileSelector(watchWith({ lists: some.flatMap((each) => globs(each)) }));
      const bytes = bytesToBuffer(`--${textToBytes(one)}--`);
      const isData = selector.isPlainData!(bytes, 2, bytes.length - 2);
      expect(isData).toBe(selector(one).lists.length > 0);
      expect(selector.isData(textToBytes(one))).toBe(isData);
      if (isData) matched++;
    }),
    { numRuns: 2000 },
  );
  expect(matched).toBeGreaterThan(100);
  expect(compileSelector(watchWith({ lists: globs('[ab]*') })).isPlainData).toBeUndefined();
  expect(compileSelector(watchWith({ lists: globs('*'), exclude: ['a'] })).isPlainData).toBeUndefined();
});
