import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { exitCodeOf } from '../../../src/cli/client/commands/wait.js';
import { submitEnvironment } from '../../../src/cli/client/environment.js';
import { parseInvocation } from '../../../src/cli/client/invocation.js';
import { filterOf, jobAttributes } from '../../../src/cli/client/job-words.js';
import { formatJson, presentable } from '../../../src/cli/client/json.js';
import { splitPool } from '../../../src/cli/client/pool-word.js';
import { clientSettings } from '../../../src/cli/client/settings.js';
import { toJob } from '../../../src/client/wire-job.js';

const directory = mkdtempSync(join(tmpdir(), 'meeseeks-client-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('the command line', () => {
  it('parts options, command and words', () => {
    const { options, command, words, flags } = parseInvocation(
      ['address=h', 'port=1', '--json', 'stat', 'pool=q', 'j', '-a'],
      'meeseeks-client',
    );
    expect([options, command?.names[0], words, [...flags]]).toEqual([
      ['address=h', 'port=1'],
      'stat',
      ['pool=q', 'j'],
      ['json', 'all'],
    ]);
  });

  it('leaves the words of the program that is submitted alone', () => {
    const { words } = parseInvocation(['sub', 'id=x', '--json', 'q1', 'ls', '--help', '-f', 'a=b', '--'], '');
    expect(words).toEqual(['id=x', 'q1', 'ls', '--help', '-f', 'a=b', '--']);
  });

  it('is a command when called by a q-name', () => {
    const { options, command, words } = parseInvocation(['pool=q'], 'qstat');
    expect([options, command?.names[0], words]).toEqual([[], 'stat', ['pool=q']]);
  });

  it('takes what looks like an option after -- as a word', () => {
    expect(parseInvocation(['get', '--', '-x'], '').words).toEqual(['-x']);
  });

  it.each([
    [['stta'], 'did you mean "stat"?'],
    [['stat', '--jsn'], 'did you mean "--json"?'],
    [['--foo', 'stat'], '--foo: no such option'],
  ])('says what is wrong with %j', (args, message) => {
    expect(() => parseInvocation(args, '')).toThrow(message);
  });
});

describe('words of jobs', () => {
  it('have the type of their key', () => {
    expect(
      jobAttributes([
        'id=1',
        'retries=2',
        'hold=1',
        'restart=0',
        'tag=a,b',
        'node=a,b',
        'runtime=1.5',
        'args:=["x"]',
        'stdin=',
      ]),
    ).toEqual({
      id: '1',
      retries: 2,
      hold: true,
      restart: false,
      tags: ['a', 'b'],
      node: ['a', 'b'],
      runtime: 1.5,
      args: ['x'],
      stdin: '',
    });
  });

  it.each([
    ['retrys=2', 'did you mean "retries"?'],
    ['retries=two', 'expected a number'],
    ['hold=maybe', 'expected 1 or 0'],
    ['state=done', 'only new'],
    ['args:=[', 'must be JSON'],
  ])('%s is refused', (word, message) => {
    expect(() => jobAttributes([word])).toThrow(message);
  });

  it('select jobs', () => {
    expect(filterOf(['a', 'b', 'state=failed', 'rc=3', 'colour=red', 'active=1', 'pool=q*'])).toEqual({
      ids: ['a', 'b'],
      state: 'failed',
      rc: 3,
      colour: 'red',
      active: true,
      pool: 'q*',
    });
  });

  it('select by states that there are', () => {
    expect(filterOf(['state=fail*'])).toEqual({ state: 'fail*' });
    expect(() => filterOf(['state=faild'])).toThrow('state=faild: no such state; did you mean "failed"?');
    expect(() => filterOf(['state=new,running'])).toThrow('no such state');
  });

  it('name a pool and nodes', () => {
    expect(splitPool('q1')).toEqual({ pool: 'q1' });
    expect(splitPool('q1@n1')).toEqual({ pool: 'q1', node: 'n1' });
    expect(splitPool('q1@n1,n2')).toEqual({ pool: 'q1', node: ['n1', 'n2'] });
    expect(() => splitPool('@n1')).toThrow('the pool is missing');
  });

  it('choose the environment', () => {
    const env = { A: '1', B: '2', MEESEEKS_CONF: 'token=s', _: 'x' };
    expect(submitEnvironment('all', env)).toEqual({ A: '1', B: '2' });
    expect(submitEnvironment('B,C', env)).toEqual({ B: '2' });
    expect(submitEnvironment('none', env)).toBeUndefined();
  });
});

describe('options of the client', () => {
  it('come from the environment, then the command line, from files where they are named', async () => {
    const file = join(directory, 'client.yaml');
    writeFileSync(
      file,
      'client:\n  address: fromfile\n  port: 2\n  ssl: {cafile: /ca, check_hostname: false}\n',
    );
    expect(await clientSettings(['port=3'], `address=env refresh=5 file=${file}`, '/')).toEqual({
      address: 'fromfile',
      port: 3,
      refresh: 5,
      ssl: { cafile: '/ca', check_hostname: false },
    });
  });

  it.each([
    [['adress=x'], 'did you mean "address"?'],
    [['port=x'], 'expected a number'],
    [['ssl.cafil=x'], 'ssl.cafil= is no option'],
    [['file=/no/such'], 'there is no such file'],
  ])('%j is refused', (words, message) => {
    return expect(clientSettings(words, undefined, '/')).rejects.toThrow(message);
  });
});

describe('output', () => {
  it('is JSON as Python prints it', () => {
    expect(formatJson({ b: [1, 'é😀'], a: {}, c: [] })).toBe(
      '{\n    "a": {},\n    "b": [\n        1,\n        "\\u00e9\\ud83d\\ude00"\n    ],\n    "c": []\n}\n',
    );
  });

  it('never has an environment', () => {
    expect(presentable({ a: { env: { SECRET: 'x' }, state: 'new' }, b: false })).toEqual({
      a: { state: 'new' },
      b: false,
    });
  });

  it('turns ends of jobs into exit codes', () => {
    const code = (wire: Record<string, unknown>): number => exitCodeOf(toJob('x', wire));
    expect(code({ state: 'done', rc: 0 })).toBe(0);
    expect(code({ state: 'failed', rc: 3 })).toBe(3);
    expect(code({ state: 'failed', rc: -9 })).toBe(137);
    expect(code({ state: 'failed', error: 'no such file' })).toBe(127);
    expect(code({ state: 'killed' })).toBe(143);
    expect(code({ state: 'failed', rc: 256 })).toBe(1);
  });
});
