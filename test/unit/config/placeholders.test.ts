import { describe, expect, it } from 'vitest';
import {
  parseTemplate,
  render,
  renderJob,
  RenderError,
  type PlaceholderValue,
} from '../../../src/config/placeholders.js';

const values: Record<string, PlaceholderValue> = {
  name: 'w',
  file: '/d/a b.foo',
  index: 7,
  size: 5_000_000_000,
  0: 'a b',
  1: '012',
  big: '20240101000000123456',
  f: 2.5,
  neg: -5,
  yes: true,
  evil: '%(file)s %% %(nope)s',
  fileset: ['a x', 'b'],
  one: ['a'],
  none: [],
  nul: 'a\0b',
  é: 'ü',
};
const lookup = (key: string) => (Object.hasOwn(values, key) ? values[key] : undefined);

describe('render', () => {
  it.each([
    ['%(name)s-%(index)s', 'w-7'],
    ['%(name)-5s|', 'w    |'],
    ['%(name)5s|', '    w|'],
    ['%(name)05s|', '    w|'],
    ['%(file).3s', '/d/'],
    ['%(index)05d', '00007'],
    ['%(index)+d %(neg)05d %(neg)d', '+7 -0005 -5'],
    ['%(index)-3d|', '7  |'],
    ['%(1)d %(1)s %(1)05d', '12 012 00012'],
    ['%(big)d', '20240101000000123456'],
    ['%(size)d %(size)x %(index)X %(index)o %(index)#x', '5000000000 12a05f200 7 7 0x7'],
    ['%(f).2f %(f)f %(f)d %(1).1f %(index)8.3f', '2.50 2.500000 2 12.0    7.000'],
    ['%(f)e %(f).1E %(f)g', '2.500000e+00 2.5E+00 2.5'],
    ['%(yes)s', 'true'],
    ['%(fileset)s.', 'a x b.'],
    ['%(é)s', 'ü'],
    ['100%% %d %Y % %', '100% %d %Y % %'],
    ['%%(name)s', '%(name)s'],
    ['%(name', '%(name'],
    ['+%Y%m%d', '+%Y%m%d'],
    ['%(evil)s', '%(file)s %% %(nope)s'],
  ])('%s', (template, expected) => expect(render(template, lookup)).toBe(expected));

  it.each([
    ['%(nope)s', 'there is no key "nope"'],
    ['%(3)s', '%(3)s: the file name has no part 3'],
    ['%(fileset4)s', 'the set has no file of list 4'],
    ['%(name)d', '%(name)d needs a number, but name is "w"'],
    ['%(name)q', 'unknown conversion in %(name)q'],
    ['%(constructor)s', 'there is no key "constructor"'],
  ])('%s cannot be rendered', (template, message) => {
    expect(() => render(template, lookup)).toThrow(RenderError);
    expect(() => render(template, lookup)).toThrow(message);
  });

  it('parses flags, width and precision', () => {
    expect(parseTemplate('a%(k)-08.3fb')).toEqual([
      'a',
      { text: '%(k)-08.3f', key: 'k', flags: '-0', width: 8, precision: 3, conversion: 'f' },
      'b',
    ]);
  });
});

describe('renderJob', () => {
  const job = (spec: object) => renderJob({ pool: 'p', args: ['x'], ...spec }, lookup);

  it('fills in strings at any depth and makes arguments text', () => {
    expect(
      job({
        pool: '%(name)s',
        args: ['e', 5, true, '%(file)s', 'date', '+%Y'],
        env: { A: '%(index)s', B: 1, C: false },
        tags: ['%(name)s', 0],
        cwd: '/%(0)s',
        runtime: 60,
        hold: false,
      }),
    ).toEqual({
      pool: 'w',
      args: ['e', '5', 'true', '/d/a b.foo', 'date', '+%Y'],
      env: { A: '7', B: '1', C: 'false' },
      tags: ['w', '0'],
      cwd: '/a b',
      runtime: 60,
      hold: false,
    });
  });

  it('makes one element a file of a whole %(fileset)s', () => {
    expect(job({ args: ['cat', '%(fileset)s', 'x=%(fileset)s', '%(one)s', '%(none)s'] }).args).toEqual([
      'cat',
      'a x',
      'b',
      'x=a x b',
      'a',
    ]);
  });

  it('converts numbers and booleans that were placeholders', () => {
    expect(job({ runtime: '%(f)s', retries: '%(1)s', restart: '%(yes)s', hold: 1 })).toMatchObject({
      runtime: 2.5,
      retries: 12,
      restart: true,
      hold: true,
    });
  });

  it('takes a text as the whole command', () =>
    expect(job({ args: '%(file)s' }).args).toEqual(['/d/a b.foo']));

  it.each([
    [{ runtime: '%(name)s' }, 'runtime: expected a number, found "w" from %(name)s'],
    [{ hold: '%(name)s' }, 'hold: expected true or false, found "w"'],
    [{ runtime: '%(neg)s' }, 'runtime: '],
    [{ args: ['%(nul)s'] }, 'args: contains a NUL byte'],
    [{ env: { A: '%(nul)s' } }, 'env: contains a NUL byte'],
    [{ args: ['%(none)s'] }, 'args: '],
  ])('%j is an error that names the key', (spec, message) => {
    expect(() => job(spec)).toThrow(RenderError);
    expect(() => job(spec)).toThrow(message);
  });
});
