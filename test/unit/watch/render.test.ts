import { describe, expect, it } from 'vitest';
import type { JobTemplate, WatchDefinition } from '../../../src/config/schema.js';
import { absolute, renderUnit, serviceLookup, type Rendered } from '../../../src/watch/render.js';
import {
  fileOf,
  globs,
  nastyNames,
  patterns,
  textOf,
  unitOf,
  unitsOf,
  watchWith,
} from '../../support/watch-fixtures.js';

const keys = { path: '/data', mine: 'own', number: 7, flag: true, list: ['a', 2], object: { a: 1 } };

function argsFor(
  over: Partial<WatchDefinition>,
  path: string,
  ...args: string[]
): readonly string[] | string {
  const watch = watchWith({ split: '.', keys, ...over });
  const file = fileOf(watch, path, { times: { mtime: 1_700_000_000_500, size: 42 } });
  const rendered = renderUnit(watch, unitOf(file), 3, 2, { pool: 'p', args });
  return rendered.ok ? rendered.spec.args : rendered.message;
}

describe('placeholders', () => {
  it.each([
    ['%(name)s', 'w'],
    ['%(filename)s', 'a.b.nc'],
    ['%(file)s', '/data/a.b.nc'],
    ['%(fileset)s', 'a.b.nc'],
    ['%(0)s', 'a'],
    ['%(2)s', 'nc'],
    ['%(index)s', '3'],
    ['%(index)03d', '003'],
    ['%(path)s', '/data'],
    ['%(stem)s', 'a.b'],
    ['%(ext)s', 'nc'],
    ['%(size)s', '42'],
    ['%(mtime)s', '1700000000.5'],
    ['%(mtime)d', '1700000000'],
    ['%(attempt)s', '2'],
    ['%(mine)s', 'own'],
    ['%(number)s', '7'],
    ['%(list)s!', 'a 2!'],
    ['100%%', '100%'],
    ['+%Y-%m-%d', '+%Y-%m-%d'],
    ['%(0)s/%(1)s', 'a/b'],
  ])('%s is %s', (template, value) => {
    expect(argsFor({}, 'a.b.nc', template)).toEqual([value]);
  });

  it('name the job index, not the position of the file', () => {
    const watch = watchWith();
    const rendered = renderUnit(watch, unitOf(fileOf(watch, 'x'), 9), 1, 1, {
      pool: 'p',
      args: ['%(index)s'],
    });
    expect(rendered).toMatchObject({ ok: true, spec: { args: ['1'] } });
  });

  it('of names without an extension', () => {
    expect(argsFor({}, 'README', '%(stem)s', '%(ext)s')).toEqual(['README', '']);
  });

  it('below the path give the name, and the full path', () => {
    expect(argsFor({ recursive: true }, 'sub/a.nc', '%(filename)s', '%(file)s', '%(0)s')).toEqual([
      'a.nc',
      '/data/sub/a.nc',
      'a',
    ]);
  });

  it('are also the captures of the pattern', () => {
    const lists = patterns('^(?<cycle>\\d\\d)z\\.f(?<hour>\\d+)?');
    expect(argsFor({ lists }, '06z.f12', '%(cycle)s', '%(hour)d')).toEqual(['06', '12']);
    expect(argsFor({ lists }, '06z.f', '%(hour)s')).toContain('hour');
  });

  it.each([
    ['%(7)s', 'part 7'],
    ['%(nosuch)s', 'nosuch'],
    ['%(constructor)s', 'constructor'],
    ['%(__proto__)s', '__proto__'],
    ['%(object)s', 'object'],
    ['%(fileset1)s', 'list 1'],
    ['%(0)d', 'needs a number'],
  ])('%s that this file cannot fill is an error in words', (template, words) => {
    const message = argsFor({}, 'a.b', template);
    expect(message).toBeTypeOf('string');
    expect(message).toContain(words);
  });
});

describe('filesets', () => {
  function setArgs(args: string[], ...paths: string[]): Rendered {
    const watch = watchWith({
      lists: globs('*.foo', '*.bar', '*.baz'),
      split: '.',
      fileset: 1,
      leastLists: 2,
    });
    return renderUnit(watch, unitsOf(watch, ...paths)[0]!, 0, 1, { pool: 'p', args });
  }
  const all = ['a.foo', 'a.bar', 'a.baz'];

  it('%(fileset)s alone is one element a file, inside a text the names joined by spaces', () => {
    expect(setArgs(['cat', '%(fileset)s', 'x=%(fileset)s'], ...all)).toMatchObject({
      spec: { args: ['cat', 'a.foo', 'a.bar', 'a.baz', 'x=a.foo a.bar a.baz'] },
    });
  });

  it('%(files)s gives the full paths', () => {
    expect(setArgs(['%(files)s'], ...all)).toMatchObject({
      spec: { args: ['/data/a.foo', '/data/a.bar', '/data/a.baz'] },
    });
  });

  it('%(fileset<n>)s is the file of list n', () => {
    expect(setArgs(['%(fileset0)s', '%(fileset1)s', '%(fileset2)s'], ...all)).toMatchObject({
      spec: { args: ['a.foo', 'a.bar', 'a.baz'] },
    });
  });

  it('%(fileset<n>)s with several members is all of them', () => {
    expect(setArgs(['%(fileset1)s'], 'a.foo', 'a.1.bar', 'a.2.bar')).toMatchObject({
      spec: { args: ['a.2.bar', 'a.1.bar'] },
    });
  });

  it('the list that a partial set lacks is its error, and %(fileset)s leaves it out', () => {
    expect(setArgs(['%(fileset)s'], 'a.foo', 'a.baz')).toMatchObject({ spec: { args: ['a.foo', 'a.baz'] } });
    const rendered = setArgs(['%(fileset1)s'], 'a.foo', 'a.baz');
    expect(rendered.ok).toBe(false);
  });
});

describe('what a file name brings in', () => {
  it('is never expanded again, never split and never quoted', () => {
    for (const name of [...nastyNames, '%(path)s', '%%', '%(file)s.%(0)s'])
      expect(argsFor({ split: undefined }, name, 'x=%(filename)s', '%(0)s', '%(fileset)s')).toEqual([
        `x=${name}`,
        name,
        name,
      ]);
  });

  it('is as it is in the full path', () => {
    expect(argsFor({}, textOf(0xff), '%(file)s')).toEqual([`/data/${textOf(0xff)}`]);
  });
});

it('renders every text of a spec', () => {
  const watch = watchWith({ keys });
  const template: JobTemplate = {
    id: '%(name)s_%(index)s_%(filename)s',
    pool: '%(mine)s',
    args: ['a', 7, true],
    cwd: '%(path)s',
    stdout: '%(file)s.out',
    env: { F: '%(file)s', N: 5 },
    tags: ['%(0)s'],
    runtime: '%(number)s',
    hold: '%(flag)s',
  };
  const rendered = renderUnit(watch, unitOf(fileOf(watch, 'x')), 0, 1, template);
  expect(rendered).toEqual({
    ok: true,
    spec: {
      id: 'w_0_x',
      pool: 'own',
      args: ['a', '7', 'true'],
      cwd: '/data',
      stdout: '/data/x.out',
      env: { F: '/data/x', N: '5' },
      tags: ['x'],
      runtime: 7,
      hold: true,
    },
  });
});

it('a pool that renders to nothing is an error of this file', () => {
  const watch = watchWith({ lists: patterns('^(?<pool_name>[a-z]*)') });
  const render = (path: string): boolean =>
    renderUnit(watch, unitOf(fileOf(watch, path)), 0, 1, { pool: '%(pool_name)s', args: ['a'] }).ok;
  expect([render('a1'), render('1')]).toEqual([true, false]);
});

it('absolute knows the root directory', () => {
  expect(absolute(watchWith({ path: '/' }), { path: 'x' })).toBe('/x');
  expect(absolute(watchWith(), { path: 'x/y' })).toBe('/data/x/y');
});

it('a service has the keys of its watch, and no file', () => {
  const lookup = serviceLookup(watchWith({ keys }), 4, 6);
  expect(['name', 'index', 'attempt', 'mine', 'filename', 'toString'].map(lookup)).toEqual([
    'w',
    4,
    6,
    'own',
    undefined,
    undefined,
  ]);
});
