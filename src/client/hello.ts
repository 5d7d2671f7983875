import { dial } from './dial.js';
import { asClientError, ClientError } from './errors.js';
import { Link, type Answer } from './link.js';
import type { Endpoint } from './options.js';

/** The version of the protocol this client speaks; 1 is the Python original, which has no `hello`. */
export const PROTOCOL = 2;

/** What the agent said of itself. */
export interface Greeting {
  readonly protocol: number;
  /** name and version of the agent's program, when it says */
  readonly server?: string;
  readonly version?: string;
}

/** Connects and greets. @throws ClientError */
export async function openLink(
  endpoint: Endpoint,
  signal?: AbortSignal,
): Promise<{ link: Link; greeting: Greeting }> {
  const socket = await dial(endpoint, signal);
  const link = new Link(socket, endpoint);
  const abort = (): void => link.close();
  signal?.addEventListener('abort', abort);
  try {
    const hello = { protocol: PROTOCOL, ...(endpoint.token === undefined ? {} : { token: endpoint.token }) };
    const [answer] = await link.send([JSON.stringify({ hello })]);
    return { link, greeting: greetingOf(answer ?? {}, endpoint) };
  } catch (error) {
    link.close();
    throw explained(asClientError(error), endpoint);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** Why an agent breaks off at the first line: it is about TLS, as a rule. */
function explained(error: ClientError, { name, tls }: Endpoint): ClientError {
  if (error.code !== 'closed') return error;
  if (/certificate required/.test(error.message))
    return new ClientError('refused', `${name} wants a certificate of ours; give ssl.cert= and ssl.key=`);
  if (/alert|SSL routines/.test(error.message))
    return new ClientError(
      'refused',
      `${name} does not accept our certificate; check ssl.cert= and ssl.key=`,
    );
  const hint = tls === undefined ? '; does it expect TLS (ssl.ca=)?' : '';
  return new ClientError('closed', `${error.message} before it said anything${hint}`);
}

function greetingOf(answer: Answer, { name }: Endpoint): Greeting {
  if (typeof answer['error'] === 'string')
    throw new ClientError(
      'refused',
      `${name} refused the connection: ${answer['error']}; check token= and token_file=`,
    );
  const hello = answer['hello'];
  if (typeof hello !== 'object' || hello === null) return { protocol: 1 };
  const { protocol, server, version } = hello as Readonly<Record<string, unknown>>;
  return {
    protocol: typeof protocol === 'number' ? Math.min(protocol, PROTOCOL) : 1,
    ...(typeof server === 'string' ? { server } : {}),
    ...(typeof version === 'string' ? { version } : {}),
  };
}
