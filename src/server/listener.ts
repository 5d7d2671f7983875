import { chmodSync, rmSync, statSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import { hasCode } from '../lib/errors.js';
import { Connection } from './connection.js';
import type { Service, Session } from './service.js';

const HANDSHAKE_MS = 10_000;

/** Where a server listens. */
export type Endpoint =
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number; readonly tls?: TlsSettings }
  | { readonly kind: 'unix'; readonly path: string; readonly mode: number };

export interface TlsSettings {
  readonly context: SecureContextOptions;
  /** whether a client must, may or need not show a certificate */
  readonly clientCertificate: 'required' | 'optional' | 'none';
}

export interface ListenOptions {
  readonly mostConnections: number;
  readonly stallSeconds: number;
  /** clients without it must show the token first */
  readonly needsToken: boolean;
}

export interface Listening {
  /** as people write it: host:port or the path */
  readonly description: string;
  readonly port: number | undefined;
  close(): Promise<void>;
}

/** Serves the protocol at one endpoint. @throws the system error when it cannot be bound */
export async function listen(
  endpoint: Endpoint,
  service: Service,
  options: ListenOptions,
): Promise<Listening> {
  const connections = new Set<Connection>();
  const limits = { stallSeconds: options.stallSeconds, budget: { held: 0 } };
  const accept = (socket: Socket): void => {
    const connection: Connection = new Connection(
      socket,
      service,
      sessionOf(socket, endpoint, options),
      limits,
      () => connections.delete(connection),
    );
    connections.add(connection);
  };
  const server = makeServer(endpoint, accept);
  server.maxConnections = options.mostConnections;
  server.on('error', (error) =>
    service.log.warn({ err: error }, 'listening: a connection could not be taken'),
  );
  if (endpoint.kind === 'unix') await removeDeadSocket(endpoint.path);
  await bind(server, endpoint);
  return {
    ...describe(server, endpoint),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const connection of connections) connection.end();
        if (endpoint.kind === 'unix') rmSync(endpoint.path, { force: true });
      }),
  };
}

function makeServer(endpoint: Endpoint, accept: (socket: Socket) => void): Server {
  const options = { allowHalfOpen: true, noDelay: true };
  if (endpoint.kind === 'unix' || endpoint.tls === undefined) return createServer(options, accept);
  const { context, clientCertificate } = endpoint.tls;
  const server = createTlsServer({
    ...options,
    ...context,
    handshakeTimeout: HANDSHAKE_MS,
    requestCert: clientCertificate !== 'none',
    rejectUnauthorized: clientCertificate === 'required',
  });
  server.on('secureConnection', accept);
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  return server;
}

/** Who a client is: its certificate says it, or the mode of the socket's file; an address alone says nothing. */
function sessionOf(
  socket: Socket,
  endpoint: Endpoint,
  { needsToken }: ListenOptions,
): Omit<Session, 'startWatch'> {
  if (endpoint.kind === 'unix') return { protocol: 1, authorised: true, owner: 'unix', peer: 'unix' };
  const peer = socket.remoteAddress ?? 'unknown';
  const name = endpoint.tls === undefined ? undefined : certificateName(socket as TLSSocket);
  if (name !== undefined) return { protocol: 1, authorised: true, owner: `tls:${name}`, peer: `tls:${name}` };
  return { protocol: 1, authorised: !needsToken, owner: undefined, peer };
}

function certificateName(socket: TLSSocket): string | undefined {
  if (!socket.authorized) return undefined;
  const certificate = socket.getPeerCertificate();
  return certificate.fingerprint256 ?? undefined;
}

/** The socket file of a server that was killed; one that is served stays, and binding fails. */
async function removeDeadSocket(path: string): Promise<void> {
  try {
    if (!statSync(path).isSocket()) return;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  const isServed = await new Promise<boolean>((resolve) => {
    const probe = createConnection(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
  if (!isServed) rmSync(path, { force: true });
}

function bind(server: Server, endpoint: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const ready = (): void => {
      server.off('error', reject);
      resolve();
    };
    if (endpoint.kind === 'tcp')
      server.listen({ host: endpoint.address, port: endpoint.port, backlog: 1024 }, ready);
    else {
      const before = process.umask(0o177);
      server.listen(endpoint.path, () => {
        chmodSync(endpoint.path, endpoint.mode);
        ready();
      });
      process.umask(before);
    }
  });
}

function describe(server: Server, endpoint: Endpoint): Pick<Listening, 'description' | 'port'> {
  if (endpoint.kind === 'unix') return { description: endpoint.path, port: undefined };
  const { address, port, family } = server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return { description: `${host}:${port}${endpoint.tls ? ' (TLS)' : ''}`, port };
}
