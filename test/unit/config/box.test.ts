import { describe, expect, it } from 'vitest';
import { loadBox, type BoxConfig, type LoadedBox } from '../../../src/config/box.js';
import { formatProblem } from '../../../src/config/load.js';
import { filesIn } from './support.js';

function loadFiles(files: Readonly<Record<string, string>>, overrides: readonly string[] = []): LoadedBox {
  return loadBox({ files: Object.keys(files), overrides }, filesIn(files));
}

/** As the operator reads them, without the name of the file; `keys` are on line 2, where columns count from 1. */
const problemsOf = (keys: string): string[] =>
  loadFiles({ 'b.json': `{\n${keys}}` }).problems.map((problem) =>
    formatProblem(problem).replace('b.json:', ''),
  );

function configOf(value: unknown, overrides: readonly string[] = []): BoxConfig {
  const { config, problems } = loadFiles({ 'b.json': JSON.stringify(value) }, overrides);
  if (config === undefined) throw new Error(problems.map(formatProblem).join('\n'));
  return config;
}

describe('what is wrong in a section says where, what was found and what was expected', () => {
  it.each([
    ['"name": 5', ['2:9: error: name: expected a name, found 5; put it in quotes']],
    ['"name": ""', ['2:9: error: name: expected a name, not an empty one, found ""']],
    [
      '"logging": {"level": "loud"}',
      [
        '2:22: error: logging.level: expected trace, debug, info, warn, error, fatal or a level of Python (10, 20, 30, 40, 50), found "loud"',
      ],
    ],
    ['"logging": 3', ['2:12: error: logging: expected a mapping of logging settings, found 3']],
    ['"defaults": 3', ['2:13: error: defaults: expected a mapping, found a single value']],
    [
      '"defaults": {"timeout": "x"}',
      ['2:25: error: listen.timeout: expected a number of seconds, found "x"'],
    ],
    [
      '"defaults": {"slots": -2}, "pools": {"p": {}}',
      ['2:23: error: pools.p.slots: expected a whole number, -1 or more, found -2'],
    ],
    ['"listen": 5', ['2:11: error: listen: expected a mapping, found a single value']],
    [
      '"listen": {"address": 5}',
      [
        '2:23: error: listen.address: expected a host name, an address or the path of a socket, found 5; put it in quotes',
      ],
    ],
    [
      '"listen": {"address": ""}',
      [
        '2:23: error: listen.address: expected a host name, an address or the path of a socket, not an empty one, found ""',
      ],
    ],
    [
      '"listen": {"port": "13700"}',
      ['2:20: error: listen.port: expected a port, 0 to 65535, or false, found "13700"; remove the quotes'],
    ],
    ['"listen": {"port": 70000}', ['2:20: error: listen.port: expected a port, 0 to 65535, found 70000']],
    [
      '"listen": {"port": true}',
      ['2:20: error: listen.port: expected a port, 0 to 65535, or false, found true'],
    ],
    [
      '"listen": {"path": 5}',
      ['2:20: error: listen.path: expected the path of a socket, found 5; put it in quotes'],
    ],
    ['"listen": {"mode": "rw"}', ['2:20: error: listen.mode: expected a mode such as "0600", found "rw"']],
    ['"listen": {"mode": 384}', ['2:20: error: listen.mode: expected a mode such as "0600", found 384']],
    ['"listen": {"token": ""}', ['2:21: error: listen.token: expected a token, not an empty one, found ""']],
    [
      '"listen": {"token_file": 5}',
      ['2:26: error: listen.token_file: expected a file name, found 5; put it in quotes'],
    ],
    [
      '"listen": {"insecure": "yes"}',
      ['2:24: error: listen.insecure: expected true or false, found "yes"; write true without quotes'],
    ],
    [
      '"listen": {"max_connections": 0}',
      ['2:31: error: listen.max_connections: expected a whole number above 0, found 0'],
    ],
    [
      '"listen": {"timeout": 0}',
      ['2:23: error: listen.timeout: expected a number of seconds above 0, found 0'],
    ],
    ['"listen": {"ssl": 5}', ['2:19: error: listen.ssl: expected a mapping of TLS settings, found 5']],
    [
      '"listen": {"ssl": {}}',
      ['2:19: error: listen.ssl.certfile: missing; expected the certificate of the server; add it'],
    ],
    [
      '"listen": {"ssl": {"certfile": 5}}',
      ['2:32: error: listen.ssl.certfile: expected a file name, found 5; put it in quotes'],
    ],
    [
      '"listen": {"ssl": {"certfile": "c", "verify_mode": "REQUIRED"}}',
      [
        '2:52: error: listen.ssl.verify_mode: expected CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED, found "REQUIRED"',
      ],
    ],
    [
      '"listen": {"ssl": {"certfile": "c", "verify_mode": 2}}',
      ['2:19: error: listen.ssl.cafile: missing; expected the authorities of client certificates; add it'],
    ],
    [
      '"listen": {"ssl": {"certfile": "c", "minimum_version": "SSLv3"}}',
      ['2:56: error: listen.ssl.minimum_version: expected TLSv1_2 or TLSv1_3, found "SSLv3"'],
    ],
    [
      '"listen": {"address": "0.0.0.0"}',
      [
        '2:23: error: listen.address: 0.0.0.0 can be reached by other machines, without proof of who connects; add listen.token_file, or listen.ssl with certfile and cafile; listen.insecure: true lets anybody run commands here',
      ],
    ],
    ['"state": 5', ['2:10: error: state: expected a mapping, found a single value']],
    ['"state": {"expire": "x"}', ['2:21: error: state.expire: expected a number of seconds, found "x"']],
    [
      '"state": {"expire": -1}',
      ['2:21: error: state.expire: expected a number of seconds, 0 or more, found -1'],
    ],
    [
      '"state": {"expire_active_jobs": "no"}',
      [
        '2:33: error: state.expire_active_jobs: expected true or false, found "no"; write false without quotes',
      ],
    ],
    [
      '"state": {"timeout": -1}',
      ['2:22: error: state.timeout: expected a number of seconds, 0 or more, found -1'],
    ],
    ['"state": {"file": 5}', ['2:19: error: state.file: expected a file name, found 5; put it in quotes']],
    [
      '"state": {"checkpoint": 0}',
      ['2:25: error: state.checkpoint: expected a number of seconds above 0, found 0'],
    ],
    ['"state": {"history": []}', ['2:22: error: state.history: expected a file name, found an empty list']],
    ['"nodes": 5', ['2:10: error: nodes: expected a mapping, found a single value']],
    [
      '"nodes": {"n": 5}',
      ['2:16: error: nodes.n: expected a mapping: its settings; write {} for the defaults'],
    ],
    ['"nodes": {"n": {"port": 0}}', ['2:25: error: nodes.n.port: expected a port, 1 to 65535, found 0']],
    [
      '"nodes": {"n": {"refresh": 0, "poll": "x", "timeout": -1}}',
      [
        '2:28: error: nodes.n.refresh: expected a number of seconds above 0, found 0',
        '2:39: error: nodes.n.poll: expected a number of seconds, found "x"',
        '2:55: error: nodes.n.timeout: expected a number of seconds above 0, found -1',
      ],
    ],
    ['"pools": 5', ['2:10: error: pools: expected a mapping, found a single value']],
    [
      '"pools": {"p": 5}',
      ['2:16: error: pools.p: expected a mapping: its settings; write {} for the defaults'],
    ],
    [
      '"pools": {"p": {"slots": -2}}',
      ['2:26: error: pools.p.slots: expected a whole number, -1 or more, found -2'],
    ],
    [
      '"pools": {"p": {"slots": "2"}}',
      ['2:26: error: pools.p.slots: expected a whole number, -1 or more, found "2"; remove the quotes'],
    ],
    [
      '"pools": {"p": {"max_runtime": 0}}',
      ['2:32: error: pools.p.max_runtime: expected a number of seconds above 0, found 0'],
    ],
    [
      '"pools": {"p": {"runtime": "x"}}',
      ['2:28: error: pools.p.runtime: expected a number of seconds, found "x"'],
    ],
    [
      '"pools": {"p": {"hold": "yes"}}',
      ['2:25: error: pools.p.hold: expected true or false, found "yes"; write true without quotes'],
    ],
    ['"pools": {"p": {"drain": 3}}', ['2:26: error: pools.p.drain: expected true or false, found 3']],
    [
      '"pools": {"p": {"update": 0}}',
      ['2:27: error: pools.p.update: expected a number of seconds above 0, found 0'],
    ],
    [
      '"pools": {"__config": {}}',
      ['2:11: error: pools.__config: this name is reserved for pushed configurations'],
    ],
    ['"use_loadavg": "x"', ['2:16: error: use_loadavg: expected true or false, found "x"']],
    ['"wait_in_pool": 2', ['2:17: error: wait_in_pool: expected true or false, found 2']],
    ['"user": []', ['2:9: error: user: expected a user, found an empty list']],
    ['"group": 1.5', ['2:10: error: group: expected a group, found 1.5; put it in quotes']],
    ['"state_dir": 5', ['2:14: error: state_dir: expected a directory, found 5; put it in quotes']],
    ['"on_stop": "die"', ['2:12: error: on_stop: expected "leave", "drain" or "kill", found "die"']],
    ['"pools": {"use_loadavg": "x"}', ['2:26: error: pools.use_loadavg: expected true or false, found "x"']],
    [
      '"pools": {"wait_in_pool": "no"}',
      ['2:27: error: pools.wait_in_pool: expected true or false, found "no"; write false without quotes'],
    ],
  ])('%s', (keys, expected) => {
    const found = problemsOf(keys).filter((line) => line.includes('error:'));
    expect(found).toEqual(expected);
    expect(loadFiles({ 'b.json': `{\n${keys}}` }).config).toBeUndefined();
  });
});

describe('what does nothing is a warning, with the nearest known key', () => {
  it.each([
    [
      '"defaults": {"refersh": 2}',
      ['2:14: warning: defaults.refersh: no section knows this key; did you mean "refresh"?'],
    ],
    ['"listen": {"adress": "x"}', ['2:12: warning: listen.adress: unknown key; did you mean "address"?']],
    [
      '"listen": {"ssl": {"certfile": "c", "keyfil": "x"}}',
      ['2:37: warning: listen.ssl.keyfil: keyfil does nothing here; did you mean "keyfile"?'],
    ],
    ['"state": {"expires": 5}', ['2:11: warning: state.expires: unknown key; did you mean "expire"?']],
    [
      '"nodes": {"n": {"pol": 1}}',
      [
        '2:11: warning: nodes: connecting to downstream nodes is not possible yet: jobs for them wait here',
        '2:17: warning: nodes.n.pol: unknown key; did you mean "poll"?',
      ],
    ],
    ['"pools": {"p": {"slot": 1}}', ['2:17: warning: pools.p.slot: unknown key; did you mean "slots"?']],
    [
      '"pools": {"p": {"plugin": "a.B"}}',
      ['2:27: warning: pools.p.plugin: plugin does nothing here; remove it'],
    ],
    [
      '"pools": {"use_loadavg": true, "wait_in_pool": 1, "p": {}}',
      ['2:26: warning: pools.use_loadavg: there is only this node to choose from yet'],
    ],
    ['"use_loadavg": true', ['2:16: warning: use_loadavg: there is only this node to choose from yet']],
    ['"poools": {}', ['2:1: warning: poools: nothing knows this key; did you mean "pools"?']],
    ['"listn": {"port": 1}', ['2:1: warning: listn: nothing knows this key; did you mean "listen"?']],
    [
      '"pools": {"use_loadavg": true}',
      ['2:26: warning: pools.use_loadavg: there is only this node to choose from yet'],
    ],
  ])('%s', (keys, expected) => {
    expect(problemsOf(keys)).toEqual(expected);
    expect(loadFiles({ 'b.json': `{\n${keys}}` }).config).toBeDefined();
  });
});

it('tells all errors at once, of files and of the command line', () => {
  const { problems, config } = loadFiles(
    {
      'a.json': '{"listen": {"port": "x"},\n"state": {"expire": "y"},\n"poools": {}}',
      'b.yaml': 'pools:\n  p:\n    slots: -9\nnodes:\n  n: {port: 0}\n',
    },
    ['pools.q.slots=many', 'state.checkpoint=0', 'nonsense'],
  );
  expect(config).toBeUndefined();
  expect(problems.filter(({ severity }) => severity === 'error').map(formatProblem)).toEqual([
    'a.json:1:21: error: listen.port: expected a port, 0 to 65535, or false, found "x"',
    'a.json:2:21: error: state.expire: expected a number of seconds, found "y"',
    'b.yaml:3:12: error: pools.p.slots: expected a whole number, -1 or more, found -9',
    'b.yaml:5:13: error: nodes.n.port: expected a port, 1 to 65535, found 0',
    'command line: nonsense: error: expected key.subkey=value',
    'command line: state.checkpoint: error: expected a number of seconds above 0, found 0',
    'command line: pools.q.slots: error: expected a whole number, -1 or more, found "many"',
  ]);
});

it('tells where JSON ends too early', () => {
  expect(problemsOf('"pools":')).toEqual([expect.stringMatching(/^2:\d+: error: syntax error/)]);
});

describe('a right configuration', () => {
  it('has the documented defaults, and slots 0 means no limit', () => {
    expect(configOf({ pools: { p: null, q: { slots: 3, max_runtime: null } } })).toMatchObject({
      listen: {},
      state: {},
      nodes: [],
      pools: { p: { slots: 0 }, q: { slots: 3 } },
      waitInPool: false,
    });
  });

  it('takes defaults into every section that knows the key, under its own keys', () => {
    const config = configOf({
      defaults: { slots: 3, timeout: 9, expire: 5, port: 14000, runtime: 4 },
      listen: { timeout: 2 },
      pools: { p: {}, q: { slots: 0 } },
    });
    expect(config.pools).toEqual({ p: { slots: 3, runtime: 4 }, q: { slots: 0, runtime: 4 } });
    expect(config.listen).toEqual({ timeout: 2, port: 14_000 });
    expect(config.state).toEqual({ timeout: 9, expire: 5 });
  });

  it('merges files left to right, then the command line, typed by the schema', () => {
    const { config } = loadFiles(
      {
        'a.json': '{"name": "a", "pools": {"p": {"slots": 1}, "q": {}}, "listen": {"port": 1}}',
        'b.yaml': 'name: b\npools:\n  p: {hold: true}\n  "!q": true\n',
      },
      ['pools.p.slots=5', 'listen.port=false', 'listen.path=run/box.sock', 'name=7'],
    );
    expect(config).toMatchObject({
      name: '7',
      pools: { p: { slots: 5, hold: true } },
      listen: { port: false, path: expect.stringMatching(/^\/.*\/run\/box\.sock$/) },
    });
    expect(Object.keys(config!.pools)).toEqual(['p']);
  });

  it.each([
    [{ wait_in_pool: true }],
    [{ wait_in_pool: 1 }],
    [{ pools: { wait_in_pool: true } }],
    [{ pools: { wait_in_pool: 1, use_loadavg: null } }],
  ])('finds wait_in_pool at the top and among the pools: %j', (value) => {
    const config = configOf(value);
    expect(config.waitInPool).toBe(true);
    expect(config.pools).toEqual({});
  });

  it('lets what clients push win, and never shows a secret', () => {
    const directory = filesIn({
      'b.json': JSON.stringify({
        listen: { token: 's3cret', ssl: { certfile: 'c', password: 'pa55' } },
        pools: { p: { slots: 1 } },
      }),
    });
    const pushed = [{ pools: { p: { slots: 2 } } }, { pools: { n: {} } }];
    const { config } = loadBox({ files: ['b.json'], overrides: ['pools.p.slots=9'], pushed }, directory);
    expect(config?.pools).toMatchObject({ p: { slots: 2 }, n: { slots: 0 } });
    expect(config?.listen.token).toBe('s3cret');
    expect(JSON.stringify(config?.shown)).not.toMatch(/s3cret|pa55/);
  });

  it('reads addresses that only this machine reaches as safe, and others with proof', () => {
    for (const address of ['localhost', '127.1.2.3', '::1', '/run/box.sock'])
      expect(configOf({ listen: { address } }).listen.address).toBe(address);
    const ssl = { certfile: 'c', cafile: 'a' };
    for (const proof of [
      { token: 't' },
      { token_file: 't' },
      { insecure: 1 },
      { ssl },
      { port: false, path: 'x' },
    ])
      expect(configOf({ listen: { address: '0.0.0.0', ...proof } }).listen.address).toBe('0.0.0.0');
    for (const none of [
      {},
      { insecure: 0 },
      { ssl: { ...ssl, verify_mode: 'CERT_OPTIONAL' } },
      { ssl: { certfile: 'c' } },
    ])
      expect(() => configOf({ listen: { address: '::', ...none } })).toThrow(
        /can be reached by other machines/,
      );
  });
});
