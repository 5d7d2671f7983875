import { createHash, timingSafeEqual } from 'node:crypto';
import { PROTOCOL, wireHello } from '../../protocol/wire.js';
import { RequestError, parseArgument } from '../errors.js';
import type { Handler } from '../service.js';

/** `hello`: which protocol the client speaks, and the token where one is needed. */
export const hello: Handler = (argument, { service, session }) => {
  const { protocol, token } = parseArgument(wireHello, argument ?? {}, 'hello');
  const expected = service.token();
  if (expected !== undefined && token !== undefined) {
    if (!isSame(token, expected)) throw new RequestError('hello.token: this is not the token of the agent');
    session.authorised = true;
    session.owner = `token:${digest(token).toString('hex').slice(0, 16)}`;
  }
  if (!session.authorised)
    throw new RequestError('a token is needed: [{"hello": {"protocol": 2, "token": "..."}}]');
  session.protocol = protocol;
  return { protocol: PROTOCOL, server: 'meeseeks-box', version: service.version, node: service.node };
};

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
const isSame = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));
