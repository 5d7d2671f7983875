import { wireId } from '../../protocol/wire.js';
import { parseArgument } from '../errors.js';
import { show } from '../service.js';
import type { Handler } from '../service.js';

/** `job`: one job, null when it is unknown. */
export const job: Handler = (argument, call) => {
  const record = call.service.core.find(parseArgument(wireId, argument, 'job'));
  return record === undefined ? null : show(record, call);
};

/** `query`: the document's own spelling; false when the job is unknown. */
export const query: Handler = (argument, call) => {
  const record = call.service.core.find(parseArgument(wireId, argument, 'query'));
  return record === undefined ? false : show(record, call);
};
