import { connect as connectTcp, type Socket } from 'node:net';
import { ClientError } from './errors.js';
import type { Endpoint } from './options.js';

/** Opens the connection. @throws ClientError 'unreachable' or 'refused', in words an operator can act on */
export async function dial(endpoint: Endpoint, signal?: AbortSignal): Promise<Socket> {
  const open = await opener(endpoint);
  return new Promise((resolve, reject) => {
    const socket = open().setNoDelay(true).setKeepAlive(true, 30_000);
    const done = (error?: ClientError): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
      socket.off('error', failed);
      socket.off('close', closed);
      if (error === undefined) return resolve(socket);
      socket.on('error', () => undefined);
      socket.destroy();
      reject(error);
    };
    const seconds = endpoint.timeout / 1000;
    const timer = setTimeout(
      () => done(new ClientError('unreachable', `${endpoint.name} does not answer within ${seconds} s`)),
      endpoint.timeout,
    );
    const aborted = (): void => done(new ClientError('closed', 'stopped'));
    const failed = (error: NodeJS.ErrnoException): void => done(describeDial(error, endpoint));
    const closed = (): void => done(new ClientError('unreachable', `${endpoint.name} closed the connection`));
    signal?.addEventListener('abort', aborted);
    socket.on('error', failed);
    socket.on('close', closed);
    socket.once(endpoint.tls === undefined ? 'connect' : 'secureConnect', () => done());
    if (signal?.aborted === true) aborted();
  });
}

/** TLS takes longer to load than a plain connection to make. */
async function opener({ where, tls }: Endpoint): Promise<() => Socket> {
  if (tls === undefined) return () => connectTcp(where);
  const { connect } = await import('node:tls');
  return () => connect({ ...where, ...tls });
}

const plainWords: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there; is meeseeks-box running, are address= and port= right?',
  ENOENT: 'there is no such socket; is meeseeks-box running, is address= right?',
  EACCES: 'the socket does not let this user in; check its owner and mode',
  ENOTFOUND: 'the host name is unknown; check address=',
  EAI_AGAIN: 'the host name cannot be looked up now; check address= and the name service',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ETIMEDOUT: 'the host does not answer',
  ECONNRESET: 'the connection was reset; does the agent expect TLS (ssl.ca=)?',
  EPROTO: 'the TLS handshake failed; does the agent speak TLS on this port?',
};

function describeDial(error: NodeJS.ErrnoException, { name, tls }: Endpoint): ClientError {
  const code = error.code ?? '';
  const isTls = tls !== undefined && (code.startsWith('ERR_') || /CERT|SELF_SIGNED|ISSUER|LEAF/.test(code));
  const words = plainWords[code] ?? (code.startsWith('ERR_SSL') ? plainWords['EPROTO']! : firstOf(error));
  return isTls && !code.startsWith('ERR_SSL')
    ? new ClientError('refused', `cannot trust ${name}: ${error.message}; check ssl.ca= and ssl.servername=`)
    : new ClientError('unreachable', `cannot reach ${name}: ${words}`);
}

/** With several addresses of a name, node gives an error of errors. */
function firstOf(error: Error): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  if (!(first instanceof Error)) return error.message;
  return ('code' in first ? plainWords[String(first.code)] : undefined) ?? first.message;
}
