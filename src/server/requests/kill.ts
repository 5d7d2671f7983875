import { wireIds } from '../../protocol/wire.js';
import { parseArgument } from '../errors.js';
import { isEmptyFilter } from '../filter.js';
import { isMapping } from '../json.js';
import { show } from '../service.js';
import type { Handler, Service } from '../service.js';
import { parseFilter, select } from './get.js';

/**
 * `kill`: the end of jobs, by id or by filter. The answer tells a running job as killed and active: it is killed when
 * it is no longer active. A finished job stays what it is; an empty filter means no job.
 */
export const kill: Handler = (argument, call) => {
  const { service } = call;
  const ids = wanted(argument, service);
  service.core.kill(ids);
  return Object.fromEntries(
    ids.map((id) => {
      const record = service.core.find(id);
      return [id, record === undefined ? false : show(record, call)];
    }),
  );
};

function wanted(argument: unknown, service: Service): string[] {
  if (!isMapping(argument)) return parseArgument(wireIds, argument, 'kill');
  const filter = parseFilter(argument, 'kill');
  return isEmptyFilter(filter) ? [] : select(filter, service).map((record) => record.id);
}
