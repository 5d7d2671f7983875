import { wireIds } from '../../protocol/wire.js';
import { parseArgument, RequestError } from '../errors.js';
import { isMapping } from '../json.js';
import type { Handler } from '../service.js';

/** `release`: the submitter has recorded these results; they may be forgotten when they expire. */
export const release: Handler = (argument, { service }) => {
  const ids = parseArgument(wireIds, isMapping(argument) ? argument['ids'] : argument, 'release.ids');
  if (ids.length > 100_000) throw new RequestError('release.ids: expected at most 100000 ids');
  service.core.release(ids);
  return ids.length;
};
