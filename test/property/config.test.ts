import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { load } from '../../src/config/load.js';
import { mergeMappings, resolve } from '../../src/config/merge.js';
import { applyOverrides } from '../../src/config/override.js';
import { parse } from '../../src/config/parse.js';
import { render, renderElement } from '../../src/config/placeholders.js';
import { emptyMap, toPlain, type Mapping } from '../../src/config/tree.js';

const tree = (value: unknown): Mapping => {
  const { tree: parsed } = parse(Buffer.from(JSON.stringify(value)), 'a.json');
  if (parsed === undefined) throw new Error('not a mapping');
  return parsed;
};
const plain = (mapping: Mapping) => toPlain(resolve(mapping));

const key = fc.constantFrom('a', 'b', 'c');
const anyKey = fc
  .tuple(fc.constantFrom('', '', '!', '+', '-', 'post'), key)
  .map(([op, k]) => (op === 'post' ? `${k}+` : op + k));
const leaf = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
);
const mapping = (keys: fc.Arbitrary<string>, depth: number): fc.Arbitrary<Record<string, unknown>> =>
  fc.dictionary(keys, depth === 0 ? leaf : fc.oneof(leaf, mapping(keys, depth - 1)), { maxKeys: 3 });

describe('merge', () => {
  it('is associative, with operators too', () => {
    const any = mapping(anyKey, 2);
    fc.assert(
      fc.property(any, any, any, (a, b, c) => {
        const [x, y, z] = [tree(a), tree(b), tree(c)];
        expect(plain(mergeMappings(mergeMappings(x, y), z))).toEqual(
          plain(mergeMappings(x, mergeMappings(y, z))),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it('has the empty mapping on either side as identity', () => {
    fc.assert(
      fc.property(mapping(anyKey, 2), (a) => {
        expect(plain(mergeMappings(tree(a), tree({})))).toEqual(plain(tree(a)));
        expect(plain(mergeMappings(tree({}), tree(a)))).toEqual(plain(tree(a)));
      }),
    );
  });

  it('a plain merge twice is a plain merge once', () => {
    fc.assert(
      fc.property(mapping(key, 2), mapping(key, 2), (a, b) => {
        const once = mergeMappings(tree(a), tree(b));
        expect(plain(mergeMappings(once, tree(b)))).toEqual(plain(once));
      }),
    );
  });

  it('append, prepend and remove do what arrays do', () => {
    const list = fc.array(fc.integer({ min: 0, max: 5 }));
    fc.assert(
      fc.property(list, list, list, list, (base, before, after, gone) => {
        const merged = [{ a: base }, { 'a+': before }, { '+a': after }, { '-a': gone }]
          .map(tree)
          .reduce(mergeMappings);
        expect(plain(merged)).toEqual({ a: [...before, ...base, ...after].filter((x) => !gone.includes(x)) });
      }),
    );
  });
});

describe('render', () => {
  const file = (value: string) => (name: string) => (name === 'file' ? value : undefined);

  it('leaves text without placeholders alone, but for %%', () => {
    const text = fc.string({ unit: 'grapheme' }).filter((t) => !t.includes('%('));
    fc.assert(
      fc.property(text, (t) => {
        expect(render(t, file('x'))).toBe(t.replaceAll('%%', '%'));
      }),
    );
  });

  it('never expands a value again', () => {
    const nasty = fc
      .array(fc.constantFrom('%(file)s', '%', '%%', '(', ')s', '\n', ' ', '$&', '\udcff'))
      .map((x) => x.join(''));
    fc.assert(
      fc.property(
        nasty,
        nasty.map((t) => t.replaceAll('%', '')),
        (value, text) => {
          expect(render(`${text}%(file)s${text}`, file(value))).toBe(text + value + text);
          expect(renderElement('%(file)s', () => [value, value])).toEqual([value, value]);
        },
      ),
    );
  });

  it('prints integers as given, however long', () => {
    fc.assert(
      fc.property(fc.bigInt(), (n) => {
        expect(render('%(file)d', file(String(n)))).toBe(String(n));
      }),
    );
  });

  it('pads to the width', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60 }), fc.integer(), (width, n) => {
        const rendered = render(`%(file)0${width}d`, file(String(n)));
        expect(rendered.length).toBe(Math.max(width, String(n).length));
        expect(Number(rendered)).toBe(n);
      }),
    );
  });
});

describe('nothing a user writes is an exception', () => {
  const names = fc.constantFrom('a.json', 'a.yaml');
  it('parse, any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), names, (bytes, name) => void parse(bytes, name)),
    );
  });
  it('parse, almost configurations', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"a"',
      '"',
      'a',
      '- ',
      '\n',
      '  ',
      '!',
      '&x ',
      '*x',
      '1',
      'null',
      '//',
      '/*',
      '#',
      '<<',
      '|',
      '---',
      '\t',
    );
    const text = fc.array(token, { maxLength: 40 }).map((parts) => Buffer.from(parts.join('')));
    fc.assert(
      fc.property(text, names, (bytes, name) => {
        const { tree: parsed, problems } = parse(bytes, name);
        expect(parsed !== undefined || problems.length > 0).toBe(true);
        for (const { line, column } of problems)
          expect([line, column].every((n) => n === undefined || n > 0)).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });
  it('overrides, any text', () => {
    fc.assert(fc.property(fc.string(), (text) => void applyOverrides(emptyMap({ file: 'x' }), [text])));
    const piece = fc.constantFrom(
      'watch',
      'a',
      '.',
      '=',
      ':=',
      '"',
      '\\',
      '[',
      '{}',
      ',',
      'jobs',
      'glob',
      '+',
      '1',
    );
    fc.assert(
      fc.property(
        fc.array(piece).map((p) => p.join('')),
        (text) => void load([], [text], { cwd: '/' }),
      ),
    );
  });
  it('load, any value under any key of a watch', () => {
    const watchKey = fc.constantFrom(
      'path',
      'glob',
      'pattern',
      'jobs',
      'fileset',
      'match',
      'split',
      'template',
      'ready',
      'partial',
      'recursive',
      'state_path',
      'x',
      '+glob',
      '!path',
      'constructor',
    );
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom('(', '%(', '%(x)s', '[', 'a/b', ['a', 'b']),
    );
    const watch = fc.dictionary(watchKey, value, { maxKeys: 6 });
    fc.assert(
      fc.property(watch, watch, watch, (own, template, defaults) => {
        const overrides = Object.entries({
          watch: { w: own, w_0: own },
          template: { t: template },
          defaults,
        }).map(([section, content]) => `${section}:=${JSON.stringify(content)}`);
        const { config, problems } = load([], overrides, { cwd: '/' });
        expect(config === undefined).toBe(problems.some(({ severity }) => severity === 'error'));
      }),
      { numRuns: 1500 },
    );
  });
});
