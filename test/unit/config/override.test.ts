import { describe, expect, it } from 'vitest';
import { splitArguments } from '../../../src/config/load.js';
import { resolve } from '../../../src/config/merge.js';
import { applyOverrides } from '../../../src/config/override.js';
import { formatProblem } from '../../../src/config/problem.js';
import { emptyMap, locate, toPlain } from '../../../src/config/tree.js';
import { filesIn } from './support.js';

function overridden(...overrides: string[]) {
  const { root, problems } = applyOverrides(emptyMap({ file: 'x' }), overrides);
  const tree = resolve(root);
  return { tree, value: toPlain(tree), problems: problems.map(formatProblem) };
}

describe('a value on the command line is typed by its key', () => {
  it.each([
    ['watch.a.path=123', { path: '123' }],
    ['watch.a.min_age=5', { min_age: 5 }],
    ['watch.a.min_age=soon', { min_age: 'soon' }],
    ['watch.a.reverse=1', { reverse: true }],
    ['watch.a.reverse=true', { reverse: true }],
    ['watch.a.reverse=yes', { reverse: true }],
    ['watch.a.reverse=off', { reverse: false }],
    ['watch.a.cleanup=0', { cleanup: 0 }],
    ['watch.a.cleanup=no', { cleanup: false }],
    ['watch.a.partial=2', { partial: 2 }],
    ['watch.a.glob=*.a', { glob: '*.a' }],
    ['watch.a.glob=*.a,*.b', { glob: ['*.a', '*.b'] }],
    ['watch.a.glob=*.{a,b}', { glob: '*.{a,b}' }],
    ['watch.a.glob=a\\,b', { glob: 'a,b' }],
    ['watch.a.path=/a,b', { path: '/a,b' }],
    ['watch.a.fileset=2', { fileset: 2 }],
    ['watch.a.fileset=cycle', { fileset: ['cycle'] }],
    ['watch.a.fileset=cycle,hour', { fileset: ['cycle', 'hour'] }],
    ['watch.a.type=directory', { type: 'directory' }],
    ['watch.a.ready.check=gzip,-t', { ready: { check: ['gzip', '-t'] } }],
    ['watch.a.ready=', { ready: {} }],
    ['watch.a.mine=5', { mine: '5' }],
    ['watch.a.mine=a,b', { mine: ['a', 'b'] }],
    ['watch.a.jobs:=[{"pool":"p","args":["x",1]}]', { jobs: [{ pool: 'p', args: ['x', 1] }] }],
    ['watch.a.split:=""', { split: '' }],
    ['watch.a.path=/x=y', { path: '/x=y' }],
  ])('%s', (argument, expected) => {
    expect(overridden(argument)).toMatchObject({ value: { watch: { a: expected } }, problems: [] });
  });

  it('in other sections too', () => {
    expect(
      overridden('pools.p.slots=2', 'client.port=1', 'defaults.refresh=3', 'apply=a,b', 'expire=5').value,
    ).toEqual({
      pools: { p: { slots: 2 } },
      client: { port: 1 },
      defaults: { refresh: 3 },
      apply: ['a', 'b'],
      expire: 5,
    });
  });

  it('later arguments win, and operators work', () => {
    expect(
      overridden('watch.a.path=1', 'watch.a.path=2', 'watch.a.glob=x', 'watch.a.+glob=y,z').value,
    ).toEqual({
      watch: { a: { path: '2', glob: ['x', 'y', 'z'] } },
    });
  });

  it('keys with dots are quoted or escaped', () => {
    expect(overridden('watch."a.b".path=x', 'watch.c\\.d.path=y').value).toEqual({
      watch: { 'a.b': { path: 'x' }, 'c.d': { path: 'y' } },
    });
  });

  it('has a location that says so', () => {
    const { tree } = overridden('watch.a.path=x');
    expect(locate(tree, ['watch', 'a', 'path']).at).toEqual({ file: 'command line: watch.a.path' });
  });

  it.each([
    ['watch.a.jobs:=[', 'command line: watch.a.jobs: error: syntax error: '],
    ['watch..path=x', 'command line: watch."".path: error: a key is empty; quote keys that contain dots'],
    ['watch.__proto__.x=1', 'error: "__proto__" cannot be a key'],
    ['x', 'command line: x: error: expected key.subkey=value'],
  ])('%s is refused', (argument, message) => {
    expect(overridden(argument).problems[0]).toContain(message);
  });
});

describe('splitArguments', () => {
  it('tells settings from files', () => {
    expect(splitArguments(['a=1', 'x.cfg', 'b:=2', './y'])).toEqual({
      overrides: ['a=1', 'b:=2'],
      files: ['x.cfg', './y'],
    });
  });
  it('takes an existing path with a slash as a file', () => {
    const directory = filesIn({ 'a=b.json': '{}' });
    expect(splitArguments([`${directory}/a=b.json`, `${directory}/c=d`])).toEqual({
      files: [`${directory}/a=b.json`],
      overrides: [`${directory}/c=d`],
    });
  });
});
