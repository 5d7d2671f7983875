import type { JobRecord } from '../../agent/types.js';
import type { WireFilter } from '../../protocol/wire.js';
import { wireFilter } from '../../protocol/wire.js';
import { parseArgument } from '../errors.js';
import { matcher } from '../filter.js';
import { show } from '../service.js';
import type { Handler, Service } from '../service.js';

/** Captured output in one answer; the jobs beyond it come without, `stdout_path` tells where it is. */
const OUTPUT_BYTES = 32 * 1024 * 1024;

/** A filter, also in the documented short forms: one id, or a list of ids. */
export function parseFilter(argument: unknown, what: string): WireFilter {
  const isIds = typeof argument === 'string' || Array.isArray(argument);
  return parseArgument(wireFilter, isIds ? { ids: argument } : argument, what);
}

/** The jobs a filter means, in the order of their submission. */
export function select(filter: WireFilter, service: Service): JobRecord[] {
  const matches = matcher(filter, service.view());
  return candidates(filter, service).filter(matches);
}

/** As few jobs as the filter lets us look at. */
function candidates({ ids, seq, ...others }: WireFilter, { core }: Service): JobRecord[] {
  if (ids !== undefined)
    return [...new Set(ids)].map((id) => core.find(id)).filter((record) => record !== undefined);
  if (seq !== undefined) return core.changedSince(seq);
  if (others['state'] === 'running' || others['state'] === 'new') return [...core.live()];
  return core.list();
}

/** `get`: the jobs of a filter, by id. */
export const get: Handler = (argument, call) => {
  let left = OUTPUT_BYTES;
  const jobs = select(parseFilter(argument, 'get'), call.service).map((record) => {
    const job = show(record, call, left > 0);
    left -= size(job['stdout_data']) + size(job['stderr_data']);
    return [record.id, job];
  });
  return Object.fromEntries(jobs);
};

const size = (data: unknown): number => (typeof data === 'string' ? data.length : 0);
