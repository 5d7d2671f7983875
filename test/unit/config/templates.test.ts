import { describe, expect, it } from 'vitest';
import { jobs, lines, loadFiles, problemsOf, watchesOf, watchOf } from './support.js';

const names = (value: unknown, overrides: string[] = []) =>
  watchesOf(value, overrides).map(({ name }) => name);
const watch = { a: { path: '/a', glob: '*' } };

describe('precedence, lowest first', () => {
  const layered = (keys: { defaults?: object; none?: object; t?: object; own?: object }) =>
    watchOf({
      defaults: { ...keys.defaults },
      template: { null: { ...keys.none }, t: { jobs, ...keys.t } },
      watch: { a: { template: 't', path: '/a', glob: '*', ...keys.own } },
    }).minAge;

  it('defaults, null template, named template, own keys', () => {
    expect(layered({})).toBe(0);
    expect(layered({ defaults: { min_age: 1 } })).toBe(1);
    expect(layered({ defaults: { min_age: 1 }, none: { min_age: 2 } })).toBe(2);
    expect(layered({ defaults: { min_age: 1 }, none: { min_age: 2 }, t: { min_age: 3 } })).toBe(3);
    expect(layered({ none: { min_age: 2 }, t: { min_age: 3 }, own: { min_age: 4 } })).toBe(4);
  });

  it('mappings merge over the layers and operators meet their base', () => {
    const result = watchOf({
      defaults: { glob: '*.a', ready: { stable: 1 } },
      template: { t: { '+glob': '*.b', ready: { sentinel: 'x' }, jobs } },
      watch: { w: { template: 't', path: '/w', '+glob': ['*.c'], '-glob': '*.a' } },
    });
    expect(result.lists.map(({ glob }) => glob)).toEqual(['*.b', '*.c']);
    expect(result.ready).toMatchObject({ stable: 1, sentinel: 'x' });
  });

  it('a watch can delete what its template sets', () => {
    expect(
      watchOf({ template: { null: { min_age: 9, jobs } }, watch: { a: { ...watch.a, '!min_age': 1 } } })
        .minAge,
    ).toBe(0);
  });

  it('an operator in a later file meets a template of an earlier one', () => {
    const loaded = loadFiles({
      'a.json': JSON.stringify({
        template: { t: { glob: '*.a', jobs } },
        watch: { w: { template: 't', path: '/' } },
      }),
      'b.json': JSON.stringify({ watch: { w: { '+glob': '*.b' } } }),
    });
    expect(loaded.config?.watches[0]?.lists).toHaveLength(2);
  });
});

describe('templates that build on templates', () => {
  it('come in order, and one that is reached twice counts once', () => {
    const result = watchOf({
      template: {
        base: { glob: '*.a', min_age: 1, jobs },
        one: { template: 'base', '+glob': '*.b', min_age: 2 },
        two: { template: 'base', '+glob': '*.c' },
        both: { template: ['one', 'two'] },
      },
      watch: { w: { template: 'both', path: '/' } },
    });
    expect(result.lists.map(({ glob }) => glob)).toEqual(['*.a', '*.b', '*.c']);
    expect(result.minAge).toBe(2);
  });

  it('in a circle are an error, also when nobody uses them', () => {
    const text = `{"template":\n {"x": {"template": "y"},\n  "y": {"template": "x"}},\n "watch": ${JSON.stringify({ a: { ...watch.a, jobs } })}}`;
    expect(problemsOf(text)).toEqual([
      'a.json:3:21: error: template.y.template: templates build on each other in a circle: x -> y -> x; remove one',
    ]);
  });
});

describe('names', () => {
  const template = { x: { jobs }, y: { jobs, min_age: 2 } };
  it.each<[string, unknown, string[], string[]]>([
    ['apply in the file', { apply: 'x' }, [], ['x-a']],
    ['apply a list', { apply: ['x', 'y'] }, [], ['x-a', 'y-a']],
    ['apply a,b in the file', { apply: 'x,y' }, [], ['x-a', 'y-a']],
    ['apply on the command line', {}, ['apply=y'], ['y-a']],
    ['apply a,b on the command line', {}, ['apply=x,y'], ['x-a', 'y-a']],
    ['defaults.template', { defaults: { template: 'x' } }, [], ['x-a']],
    ['defaults.template on the command line', {}, ['defaults.template=x,y'], ['x-a', 'y-a']],
    ['own single template', { watch: { a: { ...watch.a, template: 'x' } } }, [], ['a']],
    ['own templates', { watch: { a: { ...watch.a, template: ['x', 'y'] } } }, [], ['x-a', 'y-a']],
    [
      'own over defaults.template',
      { defaults: { template: 'x' }, watch: { a: { ...watch.a, template: 'y' } } },
      [],
      ['a'],
    ],
    [
      'no template over defaults.template',
      { defaults: { template: 'x' }, watch: { a: { ...watch.a, template: null, jobs } } },
      [],
      ['a'],
    ],
    ['apply and own', { apply: 'x', watch: { a: { ...watch.a, template: 'y' } } }, [], ['x-a']],
    ['apply wins over defaults.template', { apply: 'x', defaults: { template: 'y' } }, [], ['x-a']],
  ])('%s', (_, value, overrides, expected) => {
    expect(names({ template, watch, ...(value as object) }, overrides)).toEqual(expected);
  });

  it('the own template is above the applied one', () => {
    const value = {
      template: { x: { jobs, min_age: 1, max_age: 9 }, y: { min_age: 2 } },
      apply: 'x',
      watch: { a: { ...watch.a, template: 'y' } },
    };
    expect(watchOf(value)).toMatchObject({ name: 'x-a', minAge: 2, maxAge: 9 });
  });

  it('a placeholder knows the template', () => {
    expect(watchOf({ template, apply: 'x', watch }).keys['template']).toBe('x');
  });

  it('paths only, as in the document', () => {
    const loaded = loadFiles(
      {
        'templates.cfg': JSON.stringify({ template: { t: { glob: '*', jobs } } }),
        'paths.cfg': JSON.stringify({ watch: { name1: { path: 'path1' }, name2: { path: 'path2' } } }),
      },
      ['apply=t'],
    );
    expect(loaded.config?.watches.map(({ name }) => name)).toEqual(['t-name1', 't-name2']);
  });
});

describe('unknown templates', () => {
  const text = '{"template": {"goes": {}, "gfs": {}},\n"watch": {"a": {"template":\n "gsf"}}}';
  it('are errors that name the nearest and list the others', () => {
    expect(problemsOf(text)[0]).toBe(
      'a.json:3:2: error: watch.a.template: unknown template "gsf"; did you mean "gfs"? (defined are gfs, goes)',
    );
  });
  it('in apply, in defaults, in templates and where there are none', () => {
    const w = JSON.stringify({ a: { ...watch.a, jobs } });
    expect(problemsOf(`{"apply":\n"x", "watch": ${w}}`)[0]).toBe(
      'a.json:2:1: error: apply: unknown template "x"; no templates are defined',
    );
    expect(problemsOf(`{"watch": ${w}}`, ['apply=x'])[0]).toBe(
      'command line: apply: error: unknown template "x"; no templates are defined',
    );
    expect(problemsOf(`{"defaults": {"template": "x"}, "watch": ${w}}`)[0]).toContain(
      'a.json:1:27: error: defaults.template: unknown',
    );
    expect(problemsOf(`{"template": {"u": {"template": "x"}}, "watch": ${w}}`)[0]).toContain(
      'a.json:1:33: error: template.u.template: unknown template "x"; defined are u',
    );
  });
  it('do not make the watch vanish without a word', () => {
    expect(lines(loadFiles({ 'a.json': text }))).toHaveLength(1);
  });
});
