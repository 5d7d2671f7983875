import { RequestError } from '../errors.js';
import { matcher } from '../filter.js';
import type { Handler } from '../service.js';
import { parseFilter } from './get.js';

/**
 * `watch`: from now on this connection is told every change of the jobs of the filter, and first what changed after
 * `seq`, if given. A job that does not match any more is told once, with `left: true`; of what changed after `seq` also
 * jobs that may have matched before. The answer tells the sequence number it starts from.
 */
export const watch: Handler = (argument, { service, session }) => {
  if (session.protocol !== 2) throw new RequestError('watch: say hello first: [{"hello": {"protocol": 2}}]');
  const { seq, ...filter } = parseFilter(argument ?? {}, 'watch');
  const view = service.view();
  const matches = matcher({ ...filter, seq: undefined }, view);
  const concerns = matcher({ ids: filter.ids, tag: undefined, ts: undefined, seq: undefined }, view);
  return { seq: session.startWatch({ matches, concerns }, seq) };
};
