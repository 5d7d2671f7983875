import { describe, expect, it } from 'vitest';
import { parse } from '../../../src/config/parse.js';
import { formatProblem } from '../../../src/config/problem.js';
import { locate, toPlain } from '../../../src/config/tree.js';

const parsed = (text: string | Buffer, file = 'a.json') => {
  const { tree, problems } = parse(Buffer.from(text), file);
  return { value: tree && toPlain(tree), tree, problems: problems.map(formatProblem) };
};

describe('JSON', () => {
  it('allows comments, trailing commas and a byte order mark', () => {
    expect(parsed('\ufeff// c\n{ "a": [1, /* x */ 2,], }').value).toEqual({ a: [1, 2] });
  });

  it('knows where everything is', () => {
    const { tree } = parsed('{\n  "a": {\n    "b": [1,\n      2]\n  }\n}');
    expect(locate(tree!, ['a', 'b', 1]).at).toEqual({ file: 'a.json', line: 4, column: 7 });
    expect(locate(tree!, ['a', 'b']).keyAt).toEqual({ file: 'a.json', line: 3, column: 5 });
  });

  it.each([
    ['{\n "a": 1\n "b": 2}', 'a.json:3:2: error: syntax error: a comma is missing before this: "b"'],
    ['{"a": }', 'a.json:1:7: error: syntax error: a value is missing here: }'],
    ['{"a": 1', 'a.json:1:8: error: syntax error: a closing } is missing'],
    ['{"a": [1', 'a.json:1:9: error: syntax error: a closing ] is missing'],
    ["{'a': 1}", "a.json:1:2: error: syntax error: is not JSON: 'a'; put text and keys in double quotes"],
    ['{"a": 1} x', 'a.json:1:10: error: syntax error: '],
    ['{"a": "x\n"}', 'a.json:1:7: error: syntax error: a text does not end'],
    ['{"a" 1}', 'a.json:1:6: error: syntax error: a colon is missing here: 1; write "key": value'],
    ['', 'a.json:1:1: error: is empty; write at least {}'],
    ['// only this', 'a.json:1:13: error: '],
    ['[1]', 'a.json:1:1: error: expected a mapping at the top of the file, found a list; start with {'],
    ['{"a":1,\n"__proto__": {}}', 'a.json:2:1: error: "__proto__" cannot be a key; rename it'],
  ])('%j is an error with a position', (text, message) => {
    const { problems, value } = parsed(text);
    expect(value).toBeUndefined();
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(message);
  });

  it('warns of a repeated key, and the last one counts', () => {
    const { value, problems } = parsed('{"a": 1,\n "a": 2}');
    expect(value).toEqual({ a: 2 });
    expect(problems).toEqual([
      'a.json:2:2: warning: the key "a" is repeated; this one counts, not the one in line 1; remove one',
    ]);
  });

  it('keeps keys named like methods of Object as mere keys', () => {
    const { tree, value } = parsed('{"constructor": {"toString": 1}, "hasOwnProperty": 2}');
    expect(value).toEqual({ constructor: { toString: 1 }, hasOwnProperty: 2 });
    expect(locate(tree!, ['valueOf']).value).toBeUndefined();
  });
});

describe('YAML', () => {
  it.each(['a.yaml', 'a.yml', 'a.YML'])('is read from %s', (file) => {
    expect(parsed('a:\n  - 1\n  - x # c\n', file).value).toEqual({ a: [1, 'x'] });
  });

  it('takes null as the key "null", numbers as text keys, and nothing as an empty file', () => {
    expect(parsed('null:\n  a: 1\n', 'a.yaml').value).toEqual({ null: { a: 1 } });
    expect(parsed('1: a', 'a.yaml').value).toEqual({ 1: 'a' });
    expect(parsed('# nothing\n', 'a.yaml').value).toEqual({});
  });

  it('follows anchors and merges <<', () => {
    const text = 'x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\n';
    expect(parsed(text, 'a.yaml').value).toEqual({ x: { a: 1, b: 2 }, y: { a: 1, b: 3 } });
  });

  it.each([
    ['a: 1\nb: 2\na: 3', 'a.yaml:3:1: error: syntax error: Map keys must be unique; remove one of them'],
    ['1: a\n"1": b', 'a.yaml:2:1: error: syntax error: the key "1" is repeated; remove one of them'],
    ['a: 1\n!b: 2', 'A key that starts with ! needs quotes'],
    [
      'a: !b 2',
      'a.yaml:1:4: error: syntax error: Unresolved tag: !b; put keys and texts that start with ! in quotes',
    ],
    ['a: [1', 'a.yaml:1:'],
    ['a: 1\n---\nb: 2', 'a second YAML document; write one document a file'],
    ['- 1', 'a.yaml:1:1: error: expected a mapping at the top of the file, found a list'],
    ['a:\n\t- 1', 'a.yaml:2:1: error: syntax error: Tabs are not allowed as indentation; indent with spaces'],
    ['a: &a [*a]', 'a.yaml:1:7: error: nested more than 100 levels deep'],
    ['__proto__: 1', 'a.yaml:1:1: error: "__proto__" cannot be a key'],
  ])('%j is an error with a position', (text, message) => {
    const { problems, value } = parsed(text, 'a.yaml');
    expect(value).toBeUndefined();
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(message);
  });

  it('stops aliases of aliases before they fill the memory', () => {
    const level = (n: number): string =>
      `a${n}: &a${n} [${Array(10)
        .fill(`*a${n - 1}`)
        .join(', ')}]\n`;
    const bomb = `a0: &a0 [${Array(10).fill('x').join(', ')}]\n${[1, 2, 3, 4, 5, 6, 7].map(level).join('')}`;
    expect(parsed(bomb, 'a.yaml').problems[0]).toContain('more than 500000 values');
  });
});

describe('files that are no configuration', () => {
  it.each(['a.json', 'a.yaml'])('%s with deep nesting', (file) => {
    expect(parsed('['.repeat(200_000), file).problems[0]).toContain('nested more than 100 levels deep');
  });
  it('with a NUL byte', () => {
    expect(parsed('{"a":\n "\0"}').problems).toEqual([
      'a.json:2:3: error: is not a text file (it has a NUL byte); save it as UTF-8',
    ]);
  });
  it('with bytes that are no UTF-8', () => {
    expect(parsed(Buffer.from([0x7b, 0x0a, 0x22, 0xff, 0x22])).problems).toEqual([
      'a.json:2:2: error: is not valid UTF-8; save it as UTF-8',
    ]);
  });
  it('of enormous size', () => {
    expect(parsed(Buffer.alloc(17 * 1024 * 1024, 0x20)).problems[0]).toContain('larger than 16 MiB');
  });
});
