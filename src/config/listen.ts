import { networkInterfaces } from 'node:os';
import type { ListenConfig, SslConfig } from './box-schema.js';

/** Addresses of this host, as the system lists them. */
const ownAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((some) => (some ?? []).map(({ address }) => address));

/**
 * Where `prefix` leads when no address is given: to the last address of this host that starts with it, as in the
 * original. undefined: to none.
 */
export function addressByPrefix(prefix: string, addresses = ownAddresses()): string | undefined {
  return addresses.findLast((address) => address.startsWith(prefix));
}

/** The section with its address found and the other names of its keys replaced. */
export function canonicalListen({ prefix, ssl, ...listen }: ListenConfig): ListenConfig {
  const found =
    listen.address === undefined && prefix !== undefined ? addressByPrefix(prefix) : listen.address;
  return {
    ...listen,
    ...(found !== undefined && { address: found }),
    ...(ssl !== undefined && { ssl: canonicalSsl(ssl) }),
  };
}

/** The names of the Python original (`cert`, `key`, `pass`, `verify`) as those of an SSLContext. */
export function canonicalSsl({ cert, key, pass, verify, ...ssl }: SslConfig): SslConfig {
  const named = { certfile: cert, keyfile: key, password: pass, verify_mode: verify };
  const given = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
  return { ...given, ...ssl };
}
