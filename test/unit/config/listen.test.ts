import { networkInterfaces } from 'node:os';
import { expect, it } from 'vitest';
import { loadBox } from '../../../src/config/box.js';
import { addressByPrefix } from '../../../src/config/listen.js';

const load = (...overrides: string[]) => loadBox({ files: [], overrides }, '/');
const messages = (...overrides: string[]): string[] =>
  load(...overrides).problems.map(({ severity, path, message }) => `${severity} ${path}: ${message}`);

it('takes the last address of this host that starts with the prefix', () => {
  const own = ['127.0.0.1', '10.1.0.5', '10.1.0.6', '192.168.1.4'];
  expect(addressByPrefix('10.1.', own)).toBe('10.1.0.6');
  expect(addressByPrefix('172.', own)).toBeUndefined();
  expect(Object.values(networkInterfaces()).flat().length).toBeGreaterThan(0);
  expect(load('listen.prefix=127.').config?.listen).toEqual({ address: '127.0.0.1' });
  expect(load('defaults.prefix=127.').config?.listen).toEqual({ address: '127.0.0.1' });
});

it('listens at localhost when no address fits, and says so; an address goes first', () => {
  expect(load('listen.prefix=999.').config?.listen).toEqual({});
  expect(messages('listen.prefix=999.')).toEqual([
    'warning listen.prefix: no address of this host starts with 999.: listening at localhost',
  ]);
  expect(load('listen.prefix=127.', 'listen.address=localhost').config?.listen).toEqual({
    address: 'localhost',
  });
  expect(messages('listen.prefix=127.', 'listen.address=localhost')).toEqual([
    'warning listen.prefix: does nothing beside listen.address',
  ]);
});

it('asks who connects when the prefix leads to an address that others reach', () => {
  const outside = Object.values(networkInterfaces())
    .flatMap((some) => some ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4');
  if (outside === undefined) return;
  expect(messages(`listen.prefix=${outside.address}`)).toEqual([
    `error listen.prefix: ${outside.address} can be reached by other machines, without proof of who connects`,
  ]);
});

it('understands the names the original has for its ssl section', () => {
  const ssl = ['cert=a.pem', 'key=a.key', 'pass=x', 'cafile=ca.pem', 'verify=2'].map(
    (one) => `listen.ssl.${one}`,
  );
  expect(load(...ssl).config?.listen.ssl).toEqual({
    certfile: 'a.pem',
    keyfile: 'a.key',
    password: 'x',
    cafile: 'ca.pem',
    verify_mode: 2,
  });
  expect(JSON.stringify(load(...ssl).config?.shown)).not.toContain('"x"');
  expect(messages(...ssl)).toEqual([]);
});
