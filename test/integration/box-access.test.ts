import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { makeCertificates } from '../support/certificates.js';
import { Box, exchange, parseLines } from '../support/box.js';

let keys: string;
let certificates: ReturnType<typeof makeCertificates>;
beforeAll(() => {
  keys = mkdtempSync(join(tmpdir(), 'meeseeks-keys-'));
  certificates = makeCertificates(keys);
});
afterAll(() => rmSync(keys, { recursive: true, force: true }));

let box: Box | undefined;
afterEach(async () => {
  await box?.remove();
  box = undefined;
});

const pools = { p: {} };
const line = Buffer.from('[{"pools":{}}]\n');

function askTls(port: number, options: ConnectionOptions): Promise<string> {
  return new Promise((done) => {
    const socket = connectTls(
      { host: '127.0.0.1', port, ca: readFileSync(certificates.ca), ...options },
      () => done(exchange(socket, line)),
    );
    socket.on('error', () => done(''));
  });
}

it('serves TLS to clients with a certificate of its authority, and to nobody else', async () => {
  const ssl = { ...certificates.server, cafile: certificates.ca, verify_mode: 'CERT_REQUIRED' };
  box = await Box.start({ config: { pools, listen: { address: '127.0.0.1', port: 0, ssl } } });
  const own = {
    cert: readFileSync(certificates.client.certfile),
    key: readFileSync(certificates.client.keyfile),
  };
  expect(parseLines(await askTls(box.port, own))).toEqual([[{ pools: { p: { n1: null } } }]]);
  expect(await askTls(box.port, {})).toBe('');
  expect(await box.raw(line)).toBe('');
  expect(parseLines(await askTls(box.port, own)).length).toBe(1);
});

/** Resolves when the connection is made, or was refused. */
const opened = (socket: Socket): Promise<Socket> =>
  new Promise((done) => {
    for (const event of ['connect', 'secureConnect', 'error', 'close']) socket.on(event, () => done(socket));
  });

it.each([
  ['says nothing', async (port: number) => [await opened(connect(port, '127.0.0.1'))]],
  [
    'speaks no TLS, and never hangs up',
    async (port: number) => {
      const socket = await opened(connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
      const heard = new Promise((done) => socket.once('data', done).once('end', done));
      socket.write(line);
      await heard;
      return [socket];
    },
  ],
  [
    'has no certificate',
    async (port: number) => {
      const raw = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      const socket = await opened(connectTls({ socket: raw, ca: readFileSync(certificates.ca) }));
      return [socket, raw];
    },
  ],
  [
    'was served, and never hangs up',
    async (port: number) => {
      const raw = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      const own = {
        cert: readFileSync(certificates.client.certfile),
        key: readFileSync(certificates.client.keyfile),
      };
      const socket = await opened(connectTls({ socket: raw, ca: readFileSync(certificates.ca), ...own }));
      const heard = new Promise((done) => socket.once('data', done));
      socket.write(line);
      await heard;
      return [socket, raw];
    },
  ],
])('stops at once although a client of its TLS port %s', async (_, client) => {
  const ssl = { ...certificates.server, cafile: certificates.ca, verify_mode: 'CERT_REQUIRED' };
  const listen = { address: '127.0.0.1', port: 0, timeout: 3600, ssl };
  box = await Box.start({ config: { pools, listen } });
  const sockets = await client(box.port);
  const started = Date.now();
  expect(await box.stop()).toBe(0);
  // long before a handshake or a silent client is given up
  expect(Date.now() - started).toBeLessThan(60_000);
  for (const socket of sockets) socket.destroy();
});

it('wants the token where there is one, and tells it to nobody', async () => {
  const token_file = join(keys, 'token');
  writeFileSync(token_file, 's3cret\n', { mode: 0o600 });
  box = await Box.start({ config: { pools, listen: { address: '0.0.0.0', port: 0, token_file } } });
  expect(await box.ask([{ pools: {} }])).toEqual([[{ error: expect.stringContaining('token is needed') }]]);
  expect(await box.ask([{ hello: { protocol: 2, token: 'wrong' } }, { pools: {} }])).toEqual([
    [{ error: expect.stringContaining('not the token') }],
  ]);
  const hello = { hello: { protocol: 2, token: 's3cret' } };
  const submit = { submit: { id: 'x', pool: 'p', args: ['true'], env: { SECRET: 'v' } } };
  const answers = await box.ask(
    [hello],
    [submit],
    [{ query: 'x' }],
    [{ query: 'x', options: { env: true } }],
  );
  expect(answers[0]).toEqual([
    { hello: { protocol: 2, server: 'meeseeks-box', version: expect.any(String), node: 'n1' } },
  ]);
  expect(JSON.stringify(answers.slice(0, 3))).not.toContain('SECRET');
  expect(answers[3]).toMatchObject([{ query: { env: { SECRET: 'v' } } }]);
  expect(box.stderr).not.toContain('s3cret');
});

it('listens at a UNIX socket for its owner, also after kill -9', async () => {
  const path = join(keys, 'box.sock');
  box = await Box.start({ config: { pools, listen: { path, port: false } } });
  const ask = async (): Promise<unknown[]> => parseLines(await exchange(connect(path), line));
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await ask()).toEqual([[{ pools: { p: { n1: null } } }]]);
  await box.crash();
  await box.restart();
  expect(await ask()).toEqual([[{ pools: { p: { n1: null } } }]]);
});

it.each([
  [
    { listen: { address: '0.0.0.0' } },
    /box\.json:1:\d+: error: listen\.address: 0\.0\.0\.0 can be reached by other machines/,
  ],
  [{ listen: { address: '0.0.0.0', ssl: { certfile: 'x', verify_mode: 'CERT_NONE' } } }, /can be reached/],
  [
    { listen: { port: '13700' } },
    /listen\.port: expected a port, 0 to 65535, or false, found "13700"; remove the quotes/,
  ],
  [
    { listen: { ssl: { certfile: '/no/where', keyfile: '/no/where' } } },
    /listen\.ssl\.certfile: \/no\/where: it does not exist/,
  ],
  [
    { pools: { p: { slots: -2 } }, state: { expire: 'x' } },
    /state\.expire: expected[\s\S]*2 configuration errors/,
  ],
  [{ pools: { __config: {} } }, /reserved/],
  [{ user: 'no-such-user-x' }, /there is no "no-such-user-x"/],
  [{ poools: {} }, /nothing knows this key; did you mean "pools"\?/, true],
  [{ nodes: { n2: {} } }, /connecting to downstream nodes is not possible yet/, true],
  [{ pools: { p: { plugin: 'a.B' } } }, /plugin does nothing here/, true],
])('says what is wrong with %j', async (config, message, starts = false) => {
  const started = Box.start({ config });
  if (starts) box = await started;
  const said = starts
    ? box!.stderr
    : await started.then(
        () => 'it started',
        (error: Error) => error.message,
      );
  expect(said).toMatch(message);
});

it('does not take a token that others can read', async () => {
  const token_file = join(keys, 'open-token');
  writeFileSync(token_file, 'x');
  chmodSync(token_file, 0o644);
  await expect(Box.start({ config: { listen: { token_file } } })).rejects.toThrow(/chmod 600/);
});

it('a state directory below something that is no directory: says what is in the way', async () => {
  await expect(Box.start({ config: { state_dir: '/dev/null/x' } })).rejects.toThrow(
    /cannot make the state directory \/dev\/null\/x: \/dev\/null is there and is no directory; set state_dir/,
  );
});
