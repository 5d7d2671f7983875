import { readFileSync, statSync } from 'node:fs';
import type { ListenConfig } from '../config/box-schema.js';
import { describeError, UserError } from '../lib/errors.js';
import type { Endpoint } from './listener.js';
import { tlsSettings } from './tls.js';

const DEFAULT_PORT = 13_700;
const DEFAULT_MODE = '0600';

/** Where to listen. @throws UserError when a file it needs cannot be used, or there is no place at all */
export function endpointsOf(listen: ListenConfig): Endpoint[] {
  const { address = 'localhost', port = DEFAULT_PORT, path, mode = DEFAULT_MODE, ssl } = listen;
  const paths = [...(address.startsWith('/') ? [address] : []), ...(path === undefined ? [] : [path])];
  const unix = paths.map((one): Endpoint => ({ kind: 'unix', path: one, mode: Number.parseInt(mode, 8) }));
  if (address.startsWith('/') || port === false) {
    if (unix.length === 0) throw new UserError('listen: with port: false there must be a path to listen at');
    return unix;
  }
  const tls = ssl === undefined ? {} : { tls: tlsSettings(ssl) };
  return [{ kind: 'tcp', address, port, ...tls }, ...unix];
}

/** The token clients must know, if any. @throws UserError when its file is unusable, or open to others */
export function tokenOf({ token, token_file }: ListenConfig): string | undefined {
  if (token_file === undefined) return token;
  try {
    // its group may read it: that is how secrets are handed to services and containers
    if ((statSync(token_file).mode & 0o027) !== 0)
      throw new UserError(
        `listen.token_file: ${token_file} can be read by anybody, or written by its group; chmod 600 ${token_file}`,
      );
    const text = readFileSync(token_file, 'utf8').trim();
    if (text === '') throw new UserError(`listen.token_file: ${token_file} is empty`);
    return text;
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`listen.token_file: ${token_file}: ${describeError(error)}`);
  }
}
