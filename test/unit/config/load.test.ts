import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatProblem, load } from '../../../src/config/load.js';
import { filesIn, jobs, lines, loadFiles, problemsOf, watchOf } from './support.js';

const watch = { a: { path: 'in', glob: '*', jobs } };
const minimal = JSON.stringify({ watch });
const configOf = (value: object, overrides: string[] = []) => {
  const loaded = loadFiles({ 'a.json': JSON.stringify({ watch, ...value }) }, overrides);
  if (loaded.config === undefined) throw new Error(lines(loaded).join('\n'));
  return loaded.config;
};

describe('load', () => {
  it('fills in every default', () => {
    const cwd = filesIn({ 'a.json': minimal });
    const { config, problems } = load(['a.json'], [], { cwd });
    expect(problems).toEqual([]);
    expect(config).toMatchObject({ pools: {}, expire: 86_400, files: [join(cwd, 'a.json')] });
    expect(config).not.toHaveProperty('client');
    const [a] = config!.watches;
    expect(a).toMatchObject({
      name: 'a',
      path: join(cwd, 'in'),
      lists: [{ glob: '*', pattern: undefined }],
      exclude: [],
      recursive: false,
      type: 'file',
      reverse: false,
      split: undefined,
      fileset: undefined,
      leastLists: 1,
      skip: 0,
      updated: false,
      retries: Infinity,
      retryDelay: 30,
      retryMaxDelay: 3600,
      runAll: true,
      minAge: 0,
      maxAge: undefined,
      maxIndex: undefined,
      maxJobs: 1000,
      count: 1,
      refresh: 10,
      rescan: 60,
      cleanup: true,
      statePath: undefined,
      store: 'marker',
      lease: 'auto',
      events: true,
      ready: { stable: undefined, sentinel: undefined, check: undefined, closed: true },
      steps: [{ kind: 'single', spec: jobs[0] }],
    });
    expect(a!.keys['path']).toBe(join(cwd, 'in'));
    expect(a!.keys['constructor']).toBeUndefined();
  });

  it('needs no files', () => {
    const { config } = load([], ['watch.a.jobs:=[{"pool":"p","args":["x"]}]'], { cwd: '/' });
    expect(config).toMatchObject({
      files: [],
      watches: [{ name: 'a', path: undefined, lists: [], leastLists: 0 }],
    });
    expect(load([], [], { cwd: '/' }).problems.map(formatProblem)).toEqual([
      'command line: error: watch: no watch is defined; add "watch": {"<name>": {"path": ..., "jobs": [...]}}',
    ]);
  });

  it('reads the example of the original', () => {
    const text = `{ "defaults":{ "pool":"q1", "split":"." }, "watch":{ "test":{ "path":".", "glob":"*.foo", "jobs":[
      { "args":["sleep","300"], "pool":"%(pool)s", "tags":["%(name)s","0","%(0)s","%(filename)s"] } ] } } }`;
    expect(problemsOf(text)).toEqual([]);
  });

  it('merges files left to right, then the command line', () => {
    const files = { 'a.json': minimal, 'b.yaml': 'watch:\n  a: {min_age: 1, max_age: 2}\n' };
    expect(loadFiles(files, ['watch.a.max_age=3']).config?.watches[0]).toMatchObject({
      minAge: 1,
      maxAge: 3,
    });
  });

  it('does not apply the operators of a single file twice', () => {
    expect(watchOf({ watch: { a: { path: '/', '+glob': 'x', jobs } } }).lists).toHaveLength(1);
  });
});

describe('definitions', () => {
  const a = (keys: object) =>
    watchOf({ watch: { a: { path: '/d', glob: ['*.a', '*.b'], split: '.', jobs, ...keys } } });
  it.each([
    [{ fileset: 2 }, { fileset: 2, leastLists: 2 }],
    [{ match: 1 }, { fileset: 1 }],
    [{ fileset: 0, match: 1 }, {}],
    [{ fileset: 0 }, { fileset: undefined }],
    [{ fileset: 2, partial: true }, { leastLists: 1 }],
    [{ fileset: 2, partial: 1 }, { leastLists: 1 }],
    [{ fileset: 2, partial: 0 }, { leastLists: 2 }],
    [
      { pattern: '(?<c>.)', fileset: ['c'] },
      {
        fileset: ['c'],
        lists: [
          { glob: '*.a', pattern: '(?<c>.)' },
          { glob: '*.b', pattern: '(?<c>.)' },
        ],
      },
    ],
    [
      { glob: '*', pattern: ['x', 'y'] },
      {
        lists: [
          { glob: '*', pattern: 'x' },
          { glob: '*', pattern: 'y' },
        ],
      },
    ],
    [{ retries: 3 }, { retries: 3 }],
    [{ retry: false, retries: 3 }, { retries: 0 }],
    [{ max_index: 0 }, { maxIndex: 0 }],
    [
      { state_path: '/s', exclude: 'x' },
      { statePath: '/s', exclude: ['x'] },
    ],
    [
      { jobs: [null, {}, [null, jobs[0]]] },
      {
        steps: [
          { kind: 'single', spec: null },
          { kind: 'single', spec: null },
          { kind: 'lists', specs: [null, jobs[0]] },
        ],
      },
    ],
  ])('%j', (keys, expected) => {
    if ('match' in keys && 'fileset' in keys) expect(() => a(keys)).toThrow('disagree');
    else expect(a(keys)).toMatchObject(expected);
  });
});

describe('the other sections', () => {
  it('client and pools take their part of defaults', () => {
    const config = configOf({
      defaults: { refresh: 5, port: 1, slots: 2 },
      client: { port: 2 },
      pools: { p: {}, q: { slots: 0 }, use_loadavg: true },
    });
    expect(config.client).toEqual({ refresh: 5, port: 2 });
    expect(config.pools).toEqual({ p: { slots: 2 }, q: { slots: 0 } });
    expect(config.watches[0]?.refresh).toBe(5);
  });
  it('an empty client on the command line connects to the default', () => {
    expect(configOf({}, ['client=']).client).toEqual({});
    expect(configOf({ defaults: { port: 1 } })).not.toHaveProperty('client');
  });
  it.each([
    [10, 'debug'],
    [50, 'fatal'],
    ['warning', 'warn'],
    ['trace', 'trace'],
  ])('logging.level %s', (level, expected) =>
    expect(configOf({ logging: { level } }).logLevel).toBe(expected),
  );
  it('the level on the command line', () =>
    expect(configOf({}, ['logging.level=10']).logLevel).toBe('debug'));
  it('top level values', () => {
    expect(configOf({ name: 'n', state_dir: '/s', on_stop: 'drain', expire: 5 })).toMatchObject({
      name: 'n',
      stateDir: '/s',
      onStop: 'drain',
      expire: 5,
    });
  });

  it.each([
    [
      '"pools": {"p": {"slots": "4"}}',
      'a.json:2:26: error: pools.p.slots: expected a whole number, -1 or more, found "4"; remove the quotes',
    ],
    [
      '"pools": {"p": {"slots": -2}}',
      'a.json:2:26: error: pools.p.slots: expected a whole number, -1 or more, found -2',
    ],
    ['"pools": {"p": {"slot": 2}}', 'a.json:2:17: warning: pools.p.slot: unknown key; did you mean "slots"?'],
    [
      '"pools": {"p": {"plugin": "x"}}',
      'a.json:2:17: warning: pools.p.plugin: plugin does nothing here; remove it',
    ],
    ['"pools": {"p": 4}', 'a.json:2:16: error: pools.p: expected a mapping: the settings of the pool'],
    [
      '"pools": {"wait_in_pool": true}',
      'a.json:2:11: warning: pools.wait_in_pool: wait_in_pool does nothing here; remove it',
    ],
    [
      '"client": {"port": 70000}',
      'a.json:2:20: error: client.port: expected a port, 1 to 65535, found 70000',
    ],
    [
      '"client": {"prot": 7}',
      'a.json:2:12: warning: client.prot: prot does nothing here; did you mean "port"?',
    ],
    ['"client": 5', 'a.json:2:11: error: client: expected a mapping, found a single value'],
    ['"on_stop": "wait"', 'a.json:2:12: error: on_stop: expected "leave", "drain" or "kill", found "wait"'],
    ['"logging": {"level": 11}', 'a.json:2:22: error: logging.level: expected trace, debug, info'],
    ['"wacth": {}', 'a.json:2:1: warning: wacth: nothing knows this key; did you mean "watch"?'],
    ['"defaults": []', 'a.json:2:13: error: defaults: expected a mapping, found a list'],
  ])('%s', (keys, expected) => {
    expect(problemsOf(`${minimal.slice(0, -1)},\n${keys}}`)).toEqual([expect.stringContaining(expected)]);
  });
});

describe('files', () => {
  it.each([
    ['none.json', 'none.json: error: there is no such file; check the name'],
    ['dir', 'dir: error: is a directory, expected a file; name the file in it'],
    ['data.bin', 'data.bin:1:2: error: is not a text file'],
  ])('%s', (file, expected) => {
    const cwd = filesIn({ 'data.bin': Buffer.from([1, 0, 2]) });
    mkdirSync(join(cwd, 'dir'));
    const { config, problems } = load([file], [], { cwd });
    expect(config).toBeUndefined();
    expect(problems.map(formatProblem)).toEqual([expect.stringContaining(expected)]);
  });

  it.skipIf(process.getuid?.() === 0)('that may not be read', () => {
    const cwd = filesIn({ 'a.json': minimal });
    chmodSync(join(cwd, 'a.json'), 0);
    expect(load(['a.json'], [], { cwd }).problems.map(formatProblem)).toEqual([
      'a.json: error: cannot be read: permission denied; check its owner and mode',
    ]);
  });

  it('a syntax error in one does not hide real errors in another, nor make up others', () => {
    const problems = lines(
      loadFiles({
        'a.json': '{"template": {"t": {"jobs": [{}]}',
        'b.json': '{"watch": {"a": {"template": "t", "min_age": "x"}}}',
      }),
    );
    expect(problems).toEqual([
      'a.json:1:34: error: syntax error: a closing } is missing',
      'b.json:1:46: error: watch.a.min_age: expected a number of seconds, found "x"',
    ]);
  });
});

describe('formatProblem', () => {
  it('is one line, whatever the file is called', () => {
    expect(
      formatProblem({ severity: 'error', file: 'a\nb', line: 1, message: 'x\u001b[1m', hint: 'y' }),
    ).toBe('a\\nb:1:1: error: x\\u001b[1m; y');
  });
  it('quotes parts of a path that need it', () => {
    const text = JSON.stringify({ watch: { 'a.b': { path: '/d', glob: '*', jobs, min_age: 'x' } } });
    expect(problemsOf(text)[0]).toContain('watch."a.b".min_age: expected');
  });
});
