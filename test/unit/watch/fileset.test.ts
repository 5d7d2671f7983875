import { describe, expect, it } from 'vitest';
import type { WatchDefinition } from '../../../src/config/schema.js';
import { joinFilesets, type Fileset } from '../../../src/watch/fileset.js';
import { filesOf, globs, patterns, textOf, watchWith } from '../../support/watch-fixtures.js';

const paths = (set: Fileset): string[][] => set.members.map((list) => list.map((file) => file.path));
const join = (over: Partial<WatchDefinition>, ...names: string[]): Fileset[] => {
  const watch = watchWith({ split: '.', ...over });
  return joinFilesets(watch, filesOf(watch, ...names));
};
const three = { lists: globs('*.foo', '*.bar', '*.baz'), fileset: 2 };

describe('joinFilesets on parts', () => {
  it("joins the document's example", () => {
    const [set, ...rest] = join(three, '20200101.00.foo', '20200101.00.bar', '20200101.00.baz');
    expect(rest).toEqual([]);
    expect(paths(set!)).toEqual([['20200101.00.foo'], ['20200101.00.bar'], ['20200101.00.baz']]);
    expect(set).toMatchObject({ keyFile: { path: '20200101.00.foo' }, missing: [] });
  });

  it('compares parts exactly: a.1 never joins a.10, 2020.1 never 2020.10', () => {
    const over = { lists: globs('*.foo', '*.bar'), fileset: 2 };
    for (const set of join(over, 'a.1.foo', 'a.10.bar', '2020.10.foo', '2020.1.bar'))
      expect(set.missing).toHaveLength(1);
    expect(join(over, 'a.1.foo', 'a.10.bar')).toHaveLength(2);
  });

  it('does not let parts run into each other', () => {
    const over = { lists: globs('*.foo', '*.bar'), fileset: 2, split: '.' };
    expect(join(over, 'a.b c.foo', 'a b.c.bar')).toHaveLength(2);
  });

  it('makes a set of each file of the first list, with all matching files of the others', () => {
    const over = { lists: globs('*.foo', '*.bar'), fileset: 1 };
    const sets = join(over, 'a.1.foo', 'a.2.foo', 'a.1.bar', 'a.2.bar', 'b.1.bar');
    expect(sets.map(paths)).toEqual([
      [[], ['b.1.bar']],
      [['a.2.foo'], ['a.2.bar', 'a.1.bar']],
      [['a.1.foo'], ['a.2.bar', 'a.1.bar']],
    ]);
  });

  it('keeps the key file of a set that ran incomplete when a member of an earlier list comes', () => {
    const over = { lists: globs('*.foo', '*.bar', '*.baz'), fileset: 1, split: '.' };
    const keys = (leastLists: number, ...ran: string[]): string[] => {
      const watch = watchWith({ ...over, leastLists });
      const files = filesOf(watch, 'a.1.foo', 'a.2.foo', 'a.bar', 'a.baz');
      return joinFilesets(watch, files, (path) => ran.includes(path)).map((set) => set.keyFile.path);
    };
    const each = ['a.2.foo', 'a.1.foo'];
    expect(keys(1)).toEqual(each);
    expect(keys(1, 'a.bar')).toEqual(['a.bar']);
    expect(keys(1, 'a.baz')).toEqual(['a.baz']);
    // one of the first list has run already: there are sets of its own
    expect(keys(1, 'a.bar', 'a.1.foo')).toEqual(each);
    // incomplete sets never run here
    expect(keys(3, 'a.bar')).toEqual(each);
    const watch = watchWith({ ...over, leastLists: 1 });
    expect(joinFilesets(watch, filesOf(watch, 'a.foo', 'a.bar'))).toMatchObject([
      { keyFile: { path: 'a.foo' } },
    ]);
  });

  it('names the lists without a file', () => {
    const [set] = join(three, 'a.0.bar');
    expect(set).toMatchObject({ missing: [0, 2], keyFile: { path: 'a.0.bar' }, key: 'a.0' });
  });

  it('leaves out names with too few parts', () => {
    expect(join({ lists: globs('*', '*.bar'), fileset: 2 }, 'a', 'b')).toEqual([]);
  });

  it('a file of two lists is a member of both', () => {
    const [set] = join({ lists: globs('*', '*.bar'), fileset: 1 }, 'a.bar');
    expect(paths(set!)).toEqual([['a.bar'], ['a.bar']]);
  });

  it('comes in the order of the watch', () => {
    const names = ['a.0.foo', 'c.0.foo', 'b.0.foo'];
    expect(join(three, ...names).map((set) => set.key)).toEqual(['c.0', 'b.0', 'a.0']);
    expect(join({ ...three, reverse: true }, ...names).map((set) => set.key)).toEqual(['a.0', 'b.0', 'c.0']);
  });

  it('keeps names apart that differ in bytes that are no UTF-8', () => {
    const over = { lists: globs('*.foo', '*.bar'), fileset: 1 };
    expect(join(over, `${textOf(0xff)}.foo`, `${textOf(0xfe)}.bar`)).toHaveLength(2);
    expect(join(over, `${textOf(0xff)}.foo`, `${textOf(0xff)}.bar`)).toHaveLength(1);
  });

  it('does not join names such as __proto__ by accident', () => {
    const over = { lists: globs('*.foo', '*.bar'), fileset: 1 };
    expect(join(over, '__proto__.foo', 'constructor.bar')).toHaveLength(2);
  });
});

describe('joinFilesets on captures', () => {
  const channels = {
    lists: patterns('-M3C01_.*_s(?<start>\\d+)_', '-M3C02_.*_s(?<start>\\d+)_'),
    fileset: ['start'],
    split: undefined,
  };

  it('joins the channels of a satellite scan by start time, whatever their creation time', () => {
    const [set, ...rest] = join(
      channels,
      'OR_ABI-L1b-RadC-M3C01_G17_s20182400027156_e20182400029529_c20182400029559.nc',
      'OR_ABI-L1b-RadC-M3C02_G17_s20182400027156_e20182400029529_c20182400029601.nc',
    );
    expect(rest).toEqual([]);
    expect(set!.missing).toEqual([]);
    expect(join(channels, 'x-M3C01_a_s1_', 'x-M3C02_a_s10_')).toHaveLength(2);
  });

  it('takes the captures of the list it is joined in', () => {
    const over = {
      lists: patterns('^(?<k>.)', '(?<k>.)$'),
      fileset: ['k'],
      split: undefined,
    };
    const sets = join(over, 'ab', 'ba');
    expect(sets.map(paths)).toEqual([
      [['ba'], ['ab']],
      [['ab'], ['ba']],
    ]);
  });

  it('leaves out a file without one of the captures', () => {
    const over = { lists: patterns('^(?<a>x)?y', '^(?<a>z)'), fileset: ['a'], split: undefined };
    expect(join(over, 'y')).toEqual([]);
  });

  it('comes in the order of the key files, wherever their members are', () => {
    const over = { lists: patterns('^[ac](?<k>\\d)', '^z(?<k>\\d)'), fileset: ['k'], split: undefined };
    expect(join(over, 'a1', 'c2', 'z1').map(({ keyFile }) => keyFile.path)).toEqual(['c2', 'a1']);
  });

  it('names what the members have in common, and keeps its parts apart', () => {
    const lists = patterns('^(?<a>\\d+)-(?<b>\\d+)x', '^(?<a>\\d+)-(?<b>\\d+)y');
    const over = { lists, fileset: ['a', 'b'], split: undefined };
    expect(join(over, '1-23x', '12-3y').map(({ key }) => key)).toEqual(['12 3', '1 23']);
  });

  it('joins on several', () => {
    const over = {
      lists: patterns('^f(?<cycle>\\d)-(?<hour>\\d)', '^i(?<hour>\\d)-(?<cycle>\\d)'),
      fileset: ['cycle', 'hour'],
      split: undefined,
    };
    expect(join(over, 'f1-2', 'i2-1')).toHaveLength(1);
    expect(join(over, 'f1-2', 'i1-2')).toHaveLength(2);
  });
});

describe('a set that may run before all its members are there', () => {
  const over = { lists: globs('*.foo', '*.bar', '*.baz'), fileset: 1 };
  const keysOf = (leastLists: number, known: string[], ...names: string[]) => {
    const watch = watchWith({ split: '.', ...over, leastLists });
    return joinFilesets(watch, filesOf(watch, ...names), (path) => known.includes(path)).map(
      ({ keyFile, members }) => [keyFile.path, members.flat().map(({ path }) => path)],
    );
  };
  const all = ['a.foo', 'a.bar', 'a.baz'];

  it('keeps the key file it ran with, however many members come later', () => {
    expect(keysOf(1, [], ...all)).toEqual([['a.foo', all]]);
    expect(keysOf(1, ['a.baz'], ...all)).toEqual([['a.baz', all]]);
    expect(keysOf(2, ['a.bar'], ...all)).toEqual([['a.bar', all]]);
  });

  it('is the only one for which records count', () => {
    expect(keysOf(3, ['a.baz'], ...all)).toEqual([['a.foo', all]]);
  });

  it('without a record for any is named after the first list present', () => {
    expect(keysOf(1, [], 'a.bar', 'a.baz')).toEqual([['a.bar', ['a.bar', 'a.baz']]]);
  });
});

it('without a rule nothing is joined', () => {
  expect(join({ fileset: undefined }, 'a', 'b')).toEqual([]);
});
