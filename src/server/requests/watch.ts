import { RequestError } from '../errors.js';
import { matcher } from '../filter.js';
import type { Handler } from '../service.js';
import { parseFilter } from './get.js';

/**
 * `watch`: from now on this connection is told every change of the jobs of the filter, and first what changed after
 * `seq`, if given. The answer tells the sequence number it starts from.
 */
export const watch: Handler = (argument, { service, session }) => {
  if (session.protocol !== 2) throw new RequestError('watch: say hello first: [{"hello": {"protocol": 2}}]');
  const { seq, ...filter } = parseFilter(argument ?? {}, 'watch');
  return { seq: session.startWatch(matcher({ ...filter, seq: undefined }, service.view()), seq) };
};
