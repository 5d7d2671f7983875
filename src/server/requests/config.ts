import { RequestError } from '../errors.js';
import { isMapping } from '../json.js';
import type { Handler } from '../service.js';

/** `config`: the present configuration, after merging the one given, if any. Other pools stay as they are. */
export const config: Handler = (argument, { service }) => {
  if (argument !== null && argument !== undefined && !isMapping(argument))
    throw new RequestError('config: expected a mapping, the configuration to merge');
  if (isMapping(argument) && Object.keys(argument).length > 0) service.config.push(argument);
  return service.config.show();
};
