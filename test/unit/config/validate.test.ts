import { describe, expect, it } from 'vitest';
import { problemsOf, jobs, loadFiles, watchOf } from './support.js';

const job = '[{"pool": "p", "args": ["x"]}]';
/** `keys` is on line 2, so columns count from 1 there. */
const watch = (keys: string, withJobs = job): string =>
  `{"watch": {"a": {"path": "/d", "glob": "*", "jobs": ${withJobs},\n${keys}}}}`;
const withJob = (spec: string): string =>
  `{"watch": {"a": {"path": "/d", "glob": "*", "jobs": [\n${spec}]}}}`;
const ok = JSON.stringify({ a: { path: '/d', glob: '*', jobs } });

describe('errors of one key', () => {
  it.each([
    [
      '"min_age": "60"',
      '2:12: error: watch.a.min_age: expected a number of seconds, found "60"; remove the quotes',
    ],
    ['"min_age": "x"', '2:12: error: watch.a.min_age: expected a number of seconds, found "x"'],
    ['"min_age": -1', '2:12: error: watch.a.min_age: expected a number of seconds, 0 or more, found -1'],
    [
      '"min_age": null',
      '2:12: error: watch.a.min_age: expected a number of seconds, found null; to unset an inherited value write "!min_age": true',
    ],
    ['"rescan": 0', '2:11: error: watch.a.rescan: expected a number of seconds above 0, found 0'],
    ['"max_index": 1.5', '2:14: error: watch.a.max_index: expected a whole number, 0 or more, found 1.5'],
    [
      '"reverse": "true"',
      '2:12: error: watch.a.reverse: expected true or false, found "true"; write true without quotes',
    ],
    ['"reverse": 2', '2:12: error: watch.a.reverse: expected true or false, found 2'],
    ['"path": 5', '2:9: error: watch.a.path: expected a directory, found 5; put it in quotes'],
    ['"path": ""', '2:9: error: watch.a.path: expected a directory, not an empty one, found ""'],
    ['"type": "dir"', '2:9: error: watch.a.type: expected "file" or "directory", found "dir"'],
    ['"store": "db"', '2:10: error: watch.a.store: expected "marker", "sqlite" or "xattr", found "db"'],
    ['"glob": {}', '2:9: error: watch.a.glob: expected a pattern or a list of them, found an empty mapping'],
    ['"glob": ["*", 5]', '2:15: error: watch.a.glob[1]: expected a pattern, found 5; put it in quotes'],
    ['"glob": "[a"', '2:9: error: watch.a.glob: is not a pattern: '],
    [
      '"glob": "x/*"',
      '2:9: error: watch.a.glob: a pattern with a slash never matches, found "x/*"; set recursive: true',
    ],
    [
      '"glob": "/x/*"',
      '2:9: error: watch.a.glob: a pattern is matched below path, found "/x/*"; put the directory into path',
    ],
    [
      '"pattern": "("',
      '2:12: error: watch.a.pattern: is not a regular expression: Unterminated group, found "("',
    ],
    ['"pattern": "(?P<x>.)"', 'write (?<name>...) for a named capture'],
    [
      '"glob": ["a","b"], "pattern": ["x"]',
      '2:31: error: watch.a.pattern: expected one pattern for each of the 2 lists, found 1',
    ],
    [
      '"glob": ["a","b"], "fileset": 2',
      '2:31: error: watch.a.fileset: fileset: 2 compares parts of the names, but split is missing; add split',
    ],
    [
      '"split": ".", "match": 2',
      '2:24: error: watch.a.match: a fileset joins several lists, found one; give glob a list of patterns',
    ],
    [
      '"glob": ["a","b"], "split": ".", "fileset": 2, "match": 1',
      '2:48: error: watch.a.match: fileset and match are the same key but disagree: 2 and 1; remove one of them',
    ],
    [
      '"glob": ["a","b"], "pattern": ["(?<x>.)","(?<y>.)"], "fileset": ["x"]',
      '2:66: error: watch.a.fileset: no capture "x" to join on: the pattern of list 1 lacks it; add (?<x>...) to the pattern',
    ],
    [
      '"glob": ["a","b"], "fileset": ["x"]',
      '2:32: error: watch.a.fileset: no capture "x" to join on: list 0 has no pattern',
    ],
    [
      '"glob": ["a","b"], "split": ".", "fileset": 1, "partial": 3',
      '2:59: error: watch.a.partial: expected at most the number of lists, 2, found 3',
    ],
    ['"ready": {"stabel": 5}', '2:11: error: watch.a.ready.stabel: unknown key; did you mean "stable"?'],
    [
      '"ready": {"check": []}',
      '2:20: error: watch.a.ready.check: expected a list: ["executable", "argument", ...], not an empty one',
    ],
    [
      '"ready": {"sentinel": "%(nme)s"}',
      '2:23: error: watch.a.ready.sentinel: no key can fill %(nme)s: there is no such key; did you mean "name"?',
    ],
    [
      '"jobs": []',
      '2:9: error: watch.a.jobs: expected a list of job specs, found an empty list; add a job spec',
    ],
    [
      '"jobs": {"pool": "p"}',
      '2:9: error: watch.a.jobs: expected a list of job specs, found a mapping; put it in a list: [ ... ]',
    ],
    ['"jobs": ["x"]', '2:10: error: watch.a.jobs[0]: expected a job spec, found a single value'],
    [
      '"jobs": [[]]',
      '2:10: error: watch.a.jobs[0]: expected a job spec for each list, found an empty list; write {}',
    ],
  ])('%s', (keys, expected) => {
    expect(problemsOf(watch(keys)).join('\n')).toContain(
      expected.startsWith('2:') ? `a.json:${expected}` : expected,
    );
  });
});

describe('errors of a job spec', () => {
  it.each([
    ['{"args": ["x"]}', '2:1: error: watch.a.jobs[0].pool: missing; expected the name of a pool; add it'],
    [
      '{"pool": "p"}',
      '2:1: error: watch.a.jobs[0].args: missing; expected a list: ["executable", "argument", ...]; add it',
    ],
    [
      '{"polo": "p", "pool": "p", "args": ["x"]}',
      '2:2: error: watch.a.jobs[0].polo: unknown key; did you mean "pool"?',
    ],
    [
      '{"pool": "p", "args": ["x", null]}',
      '2:29: error: watch.a.jobs[0].args[1]: expected a text, a number, true or false, found null',
    ],
    [
      '{"pool": "p", "args": ["x"], "runtime": "60"}',
      '2:41: error: watch.a.jobs[0].runtime: expected a number of seconds above 0, or a placeholder such as %(key)s, found "60"; remove the quotes',
    ],
    [
      '{"pool": "p", "args": ["x"], "env": {"A": []}}',
      '2:43: error: watch.a.jobs[0].env.A: expected a text, a number, true or false, found an empty list',
    ],
    [
      '{"pool": "p", "args": ["%(fil)s"]}',
      '2:24: error: watch.a.jobs[0].args[0]: no key can fill %(fil)s: there is no such key; did you mean "file"?',
    ],
    [
      '{"pool": "p", "args": ["%(2)s"]}',
      'no key can fill %(2)s: without split a name has only part 0; add split, e.g. "split": "."',
    ],
    ['{"pool": "p", "args": ["%(fileset0)s"]}', 'no key can fill %(fileset0)s: the watch has no fileset'],
    [
      '{"pool": "p", "args": ["%(max_age)s"]}',
      'no key can fill %(max_age)s: max_age is not set; add "max_age" to the watch',
    ],
    [
      '{"pool": "p", "args": ["%(jobs)s"]}',
      'no key can fill %(jobs)s: jobs is not a single value or a list of them',
    ],
    [
      '{"pool": "p", "args": ["%(name)q"]}',
      '2:24: error: watch.a.jobs[0].args[0]: unknown conversion in %(name)q; known are s d',
    ],
    [
      '{"pool": "p", "args": ["%(name)"]}',
      '%(name) lacks a conversion; write %(name)s; for a literal percent sign write %%',
    ],
    ['{"pool": "p", "args": ["%(name)99999d"]}', '%(name)99999d is too wide or too precise'],
    ['{"pool": "p", "args": ["%(file)d"]}', '%(file)d needs a number, but file is text; write %(file)s'],
    [
      '{"pool": "p", "args": ["x"], "env": {"A": "%(no)s"}}',
      '2:43: error: watch.a.jobs[0].env.A: no key can fill %(no)s',
    ],
    ['[{}, {"pool": "p"}]', '2:6: error: watch.a.jobs[0][1].args: missing'],
  ])('%s', (spec, expected) => {
    expect(problemsOf(withJob(spec)).join('\n')).toContain(
      expected.startsWith('2:') ? `a.json:${expected}` : expected,
    );
  });

  it('a watch without files has no file to fill in', () => {
    const text = '{"watch": {"a": {"jobs": [{"pool": "p", "args": ["%(file)s", "%(0)s", "%(name)s"]}]}}}';
    expect(problemsOf(text)).toEqual([
      'a.json:1:50: error: watch.a.jobs[0].args[0]: no key can fill %(file)s: the watch has no files; add glob',
      'a.json:1:62: error: watch.a.jobs[0].args[1]: no key can fill %(0)s: the watch has no files; add glob',
    ]);
  });
});

describe('placeholders that something may fill', () => {
  it.each([
    [
      'the documented ones',
      {},
      [
        'name',
        'filename',
        'file',
        'fileset',
        'files',
        '0',
        'index',
        'stem',
        'ext',
        'size',
        'mtime',
        'attempt',
      ],
    ],
    ['parts with split', { split: '.' }, ['0', '7']],
    [
      'keys of the watch, also defaults',
      { mine: 5, list: ['a'] },
      ['mine', 'list', 'path', 'glob', 'rescan'],
    ],
    ['captures', { pattern: '(?<cycle>\\d\\d)z' }, ['cycle']],
    ['lists of a fileset', { glob: ['*.a', '*.b'], split: '.', fileset: 1 }, ['fileset0', 'fileset1']],
  ])('%s', (_, keys, placeholders) => {
    const args = placeholders.map((key) => `%(${key})s`);
    watchOf({ watch: { a: { path: '/d', glob: '*', ...keys, jobs: [{ pool: 'p', args }] } } });
  });
});

describe('errors of watches', () => {
  it.each([
    [
      '{"watch":\n{"a": {"glob": "*", "jobs": [{}]}}}',
      'a.json:2:2: error: watch.a.path: missing; expected the directory to watch; add "path"',
    ],
    [
      '{"watch":\n{"a": {"path": "x", "glob": "*"}}}',
      'a.json:2:2: error: watch.a.jobs: missing; expected a list of job specs; add "jobs"',
    ],
    [
      '{"watch":\n{"a": 5}}',
      'a.json:2:7: error: watch.a: expected a mapping: the keys of the watch, found a single value',
    ],
    ['{"watch":\n[]}', 'a.json:2:1: error: watch: expected a mapping, found a list'],
    ['{\n"watch": {}}', 'a.json:2:1: error: watch: no watch is defined'],
    ['{}', 'a.json:1:1: error: watch: no watch is defined'],
    [
      '{"template":\n{"t": 5}, "watch": {"a": {"template": "t"}}}',
      'a.json:2:7: error: template.t: expected a mapping: the keys of the template',
    ],
  ])('%j', (text, expected) => expect(problemsOf(text).join('\n')).toContain(expected));

  it.each([
    ['a/b', 'a name must not contain a slash, found "a/b"; rename it'],
    ['', 'a watch needs a name, found ""'],
    ['é'.repeat(51), 'a name must not be longer than 100 bytes, found 102; shorten it'],
    ['a\\u0000', 'a name must not contain a NUL character'],
  ])('the name %j', (name, expected) => {
    const text = `{"watch": {\n"${name}": ${JSON.stringify({ path: '/d', glob: '*', jobs })}}}`;
    expect(problemsOf(text)[0]).toContain('a.json:2:1: error: watch.');
    expect(problemsOf(text)[0]).toContain(expected);
  });

  it('two that end with the same name', () => {
    const text = `{"defaults": {"template": "t"}, "template": {"t": ${JSON.stringify({ glob: '*', jobs })}},
"watch": {"t-a": {"path": "/1", "template": "t"},
"a": {"path": "/2"}}}`;
    expect(problemsOf(text)).toContain(
      'a.json:3:1: error: watch.a: two watches have the name "t-a"; the other is in a.json:2; rename one',
    );
  });
});

describe('ambiguous markers', () => {
  const pair = (a: object, b: object, name = 'a_0', first = 'a') =>
    problemsOf(
      `{"watch": {"${first}": ${JSON.stringify({ glob: '*', jobs, ...a })},\n"${name}": ${JSON.stringify({ glob: '*', jobs, ...b })}}}`,
    );

  it('are explained', () => {
    expect(pair({ path: '/d' }, { path: '/d/' })).toEqual([
      'a.json:2:1: error: watch.a_0: its markers cannot be told from those of the watch "a" in the same directory: ' +
        '._a_0_0_x.done would be step 0 of x here and step 0 of 0_x there; rename one of them',
    ]);
    expect(pair({ path: '/d' }, { path: '/d' }, 'a_12_b')[0]).toContain('step 12 of b_0_x there');
  });
  it('are found in nested directories and in state_path', () => {
    expect(pair({ path: '/d', recursive: true }, { path: '/d/e' })).toHaveLength(1);
    expect(pair({ path: '/d/e' }, { path: '/d', recursive: true })).toHaveLength(1);
    expect(pair({ path: '/d', state_path: '/s' }, { path: '/e', state_path: '/s' })).toHaveLength(1);
  });
  it('need the same directory, such names and markers', () => {
    expect(pair({ path: '/d' }, { path: '/e' })).toEqual([]);
    expect(pair({ path: '/d' }, { path: '/d/e' })).toEqual([]);
    expect(pair({ path: '/d' }, { path: '/d' }, 'a_b')).toEqual([]);
    expect(pair({ path: '/d' }, { path: '/d' }, 'a0')).toEqual([]);
  });
  it.each(['sqlite', 'xattr'])('are the only store yet: %s is refused with a way out', (store) => {
    expect(pair({ path: '/d' }, { path: '/e', store })).toMatchObject([
      expect.stringMatching(/store: .*cannot be used yet; .*state_path/),
    ]);
  });
});

describe('warnings', () => {
  const only = (text: string) => {
    const loaded = loadFiles({ 'a.json': text });
    expect(loaded.config).toBeDefined();
    return problemsOf(text);
  };
  it('a key nothing knows, with the nearest', () => {
    expect(only(watch('"refesh": 5'))).toEqual([
      'a.json:2:1: warning: watch.a.refesh: nothing knows this key and no placeholder uses it; did you mean "refresh"?',
    ]);
    expect(only(watch('"zzzzzz": 5'))[0]).toContain('remove it');
  });
  it('once for a template, and not when one watch uses it', () => {
    const text = (
      arg: string,
    ) => `{"template": {"t":\n{"mine": 1, "glob": "*", "jobs": [{"pool":"p","args":["x"]}]}},
"apply": "t", "watch": {"a": {"path": "/a"}, "b": {"path": "/b", "jobs": [{"pool":"p","args":["${arg}"]}]}}}`;
    expect(only(text('x'))).toHaveLength(1);
    expect(only(text('x'))[0]).toContain('a.json:2:2: warning: ');
    expect(only(text('%(mine)s'))).toEqual([]);
  });
  it('in defaults, except what another section knows', () => {
    expect(only(`{"defaults": {"port": 1, "slots": 2, "refesh": 3}, "watch": ${ok}}`)).toEqual([
      'a.json:1:38: warning: defaults.refesh: nothing knows this key and no placeholder uses it; did you mean "refresh"?',
    ]);
  });
  it('plugin', () => {
    expect(only(watch('"plugin": "x.y"'))).toEqual([
      'a.json:2:1: warning: watch.a.plugin: plugin does nothing here; remove it',
    ]);
  });
  it('a placeholder in a value that is used by a placeholder', () => {
    const text = watch('"out": "/o/%(file)s"', '[{"pool": "p", "args": ["%(out)s"]}]');
    expect(only(text)[0]).toContain(
      'a.json:2:8: warning: watch.a.out: %(file)s in the value of a key is not filled in',
    );
  });
  it('a capture that a placeholder hides', () => {
    expect(only(watch('"pattern": "(?<file>.)"'))[0]).toContain(
      'a.json:2:12: warning: watch.a.pattern: the capture file is hidden',
    );
  });
});

it('reports everything at once, in the order of the files', () => {
  const loaded = loadFiles({
    'a.json': '{"template": {"t": {"min_age": "1",\n "jobs": [{"pol": 1}]}}}',
    'b.yaml':
      'watch:\n  a: {path: /d, glob: "*", template: t}\n  b: {template: u}\n  c: {glob: "*", max_age: x}\n',
  });
  const places = loaded.problems.map(({ file, line, path }) => `${file}:${line} ${path}`);
  expect(places).toEqual([
    'a.json:1 watch.a.min_age',
    'a.json:2 watch.a.jobs[0].pool',
    'a.json:2 watch.a.jobs[0].args',
    'a.json:2 watch.a.jobs[0].pol',
    'b.yaml:3 watch.b.template',
    'b.yaml:4 watch.c.path',
    'b.yaml:4 watch.c.jobs',
    'b.yaml:4 watch.c.max_age',
  ]);
});

it('accepts 0 and 1 for booleans, as the document writes them', () => {
  const a = { path: '/d', glob: '*', jobs, cleanup: 0, retry: 0, reverse: 1, run_all: 0, updated: 1 };
  expect(watchOf({ watch: { a } })).toMatchObject({
    cleanup: false,
    retries: 0,
    reverse: true,
    runAll: false,
    updated: true,
  });
});
