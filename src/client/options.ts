import { readFileSync } from 'node:fs';
import type { ConnectionOptions as TlsSocketOptions } from 'node:tls';
import { describeError } from '../lib/errors.js';
import { ClientError } from './errors.js';

/** TLS settings; the file names of Python's SSLContext (`cafile`, ...) are understood too. */
export interface SslOptions {
  /** file with the certificates (PEM) of the authority that signed the agent's certificate */
  readonly ca?: string;
  readonly cafile?: string;
  /** file with our own certificate, for agents that ask for one */
  readonly cert?: string;
  readonly certfile?: string;
  /** file with its key */
  readonly key?: string;
  readonly keyfile?: string;
  /** of the key */
  readonly password?: string;
  readonly ciphers?: string;
  /** name expected in the agent's certificate; default: the address */
  readonly servername?: string;
  readonly server_hostname?: string;
  /** false: the certificate need not carry the name; default true */
  readonly check_hostname?: boolean;
  /** CERT_NONE (0): any certificate will do, which is only for tests */
  readonly verify_mode?: string | number;
  /** the same */
  readonly cert_reqs?: string | number;
  /** `TLSv1_3` for nothing older; default TLSv1_2 */
  readonly minimum_version?: string;
}

/** Where the agent is, and how patient to be with it. */
export interface ConnectOptions {
  /** host name or address, or the path of a UNIX socket (`/run/meeseeks.sock`, `unix:box.sock`); default localhost */
  readonly address?: string;
  /** default 13700 */
  readonly port?: number;
  /** TLS; `true` for the certificates the system trusts */
  readonly ssl?: SslOptions | boolean;
  readonly token?: string;
  /** file with the token */
  readonly token_file?: string;
  /** seconds to connect, and seconds without a byte of an awaited answer; default 10 */
  readonly timeout?: number;
  /** seconds between polls of an agent that cannot push changes; default 1 */
  readonly refresh?: number;
  /** seconds to go on trying when the agent is away: default 0 for the first connection, 10 for a lost one */
  readonly patience?: number;
  /** longest answer taken, in bytes; default 256 MiB */
  readonly maxAnswer?: number;
  /** told once when the agent is away, once when it refuses us (token, certificate), and once when it is back */
  readonly onStatus?: (status: 'away' | 'refused' | 'back', message: string) => void;
}

/** The options with their defaults, and the address taken apart. */
export interface Endpoint {
  /** for people: `localhost:13700`, `/run/meeseeks.sock` */
  readonly name: string;
  readonly where: { readonly path: string } | { readonly host: string; readonly port: number };
  readonly tls: TlsSocketOptions | undefined;
  readonly token: string | undefined;
  /** ms */
  readonly timeout: number;
  readonly maxAnswer: number;
}

export const DEFAULT_PORT = 13700;
const MiB = 1024 * 1024;

/** @throws ClientError 'options' when a file of the TLS settings cannot be read */
export function endpointOf(options: ConnectOptions): Endpoint {
  const address = options.address ?? 'localhost';
  const port = options.port ?? DEFAULT_PORT;
  const path = socketPath(address);
  const name = path ?? (address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`);
  if (path === undefined && !(Number.isInteger(port) && port > 0 && port < 65536))
    throw new ClientError('options', `port ${port} is no port; give one from 1 to 65535`);
  return {
    name,
    where: path === undefined ? { host: address, port } : { path },
    tls: tlsOptions(options.ssl, address),
    token: options.token ?? tokenIn(options.token_file),
    timeout: (options.timeout ?? 10) * 1000,
    maxAnswer: options.maxAnswer ?? 256 * MiB,
  };
}

function socketPath(address: string): string | undefined {
  if (address.startsWith('unix:')) return address.slice('unix:'.length);
  return address.includes('/') ? address : undefined;
}

function tlsOptions(ssl: SslOptions | boolean | undefined, address: string): TlsSocketOptions | undefined {
  if (ssl === undefined || ssl === false) return undefined;
  const settings = ssl === true ? {} : ssl;
  const verify = String(settings.verify_mode ?? settings.cert_reqs ?? 'CERT_REQUIRED').toUpperCase();
  const servername = settings.servername ?? settings.server_hostname;
  return {
    ...file('ca', settings.ca ?? settings.cafile),
    ...file('cert', settings.cert ?? settings.certfile),
    ...file('key', settings.key ?? settings.keyfile ?? settings.cert ?? settings.certfile),
    ...(settings.password === undefined ? {} : { passphrase: settings.password }),
    ...(settings.ciphers === undefined ? {} : { ciphers: settings.ciphers }),
    ...serverName(servername ?? address),
    rejectUnauthorized: !['0', 'FALSE', 'CERT_NONE', 'NONE'].includes(verify),
    minVersion: settings.minimum_version === 'TLSv1_3' ? 'TLSv1.3' : 'TLSv1.2',
    ...(settings.check_hostname === false ? { checkServerIdentity: () => undefined } : {}),
  };
}

/** SNI takes names only; certificates for addresses are checked without. */
const serverName = (name: string): TlsSocketOptions =>
  /^[\d.]+$|[:/]/.test(name) ? {} : { servername: name };

function tokenIn(path: string | undefined): string | undefined {
  return path === undefined ? undefined : read('token_file', path).toString('utf8').trim();
}

function file(setting: 'ca' | 'cert' | 'key', path: string | undefined): TlsSocketOptions {
  return path === undefined ? {} : { [setting]: read(`ssl.${setting}`, path) };
}

function read(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ClientError('options', `${setting}: cannot read ${path}: ${describeError(error)}`);
  }
}
