import { chmodSync, rmSync, statSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import { describeError, hasCode } from '../lib/errors.js';
import { Connection } from './connection.js';
import type { Service, Session } from './service.js';

const HANDSHAKE_MS = 10_000;
/** A stop waits this long for clients to hang up after their last answer. */
const GOODBYE_MS = 1000;

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
  const sockets = track(server);
  server.maxConnections = options.mostConnections;
  if (endpoint.kind === 'unix') await removeDeadSocket(endpoint.path);
  await bind(server, endpoint);
  server.on('error', (error) =>
    service.log.warn({}, `listening: a connection could not be taken: ${describeError(error)}`),
  );
  return {
    ...describe(server, endpoint),
    close: () =>
      new Promise((resolve) => {
        const late = setTimeout(() => destroy(sockets), connections.size > 0 ? GOODBYE_MS : 0);
        server.close(() => {
          clearTimeout(late);
          resolve();
        });
        for (const connection of connections) connection.end();
        if (endpoint.kind === 'unix') rmSync(endpoint.path, { force: true });
      }),
  };
}

/** All that is connected, also before (or without ever) a TLS handshake. */
function track(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}

function destroy(sockets: Iterable<Socket>): void {
  for (const socket of sockets) socket.destroy();
}

function makeServer(endpoint: Endpoint, accept: (socket: Socket) => void): Server {
  if (endpoint.kind === 'unix' || endpoint.tls === undefined)
    return createServer({ allowHalfOpen: true, noDelay: true }, accept);
  const { context, clientCertificate } = endpoint.tls;
  const server = createTlsServer({
    ...context,
    noDelay: true,
    handshakeTimeout: HANDSHAKE_MS,
    requestCert: clientCertificate !== 'none',
    rejectUnauthorized: clientCertificate === 'required',
  });
  server.on('secureConnection', (socket) => {
    // not before: who hangs up during the handshake would keep its place until that times out
    socket.allowHalfOpen = true;
    accept(socket);
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  return server;
}

/** Who a client is: its certificate says it, or the mode of the socket's file; an address alone says nothing. */
function sessionOf(
  socket: Socket,
  endpoint: Endpoint,
  { needsToken }: ListenOptions,
): Omit<Session, 'startWatch' | 'parser'> {
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
    // anything else, such as a queue that is full, is somebody alive
    probe.on('error', (error) => resolve(!hasCode(error, 'ECONNREFUSED', 'ENOENT')));
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
