import type { JobRecord } from '../../agent/types.js';
import type { WireFilter } from '../../protocol/wire.js';
import { wireFilter } from '../../protocol/wire.js';
import { jobStates } from '../../protocol/job.js';
import type { JobState } from '../../protocol/job.js';
import { parseArgument } from '../errors.js';
import { matcher, textInRecords } from '../filter.js';
import { show } from '../service.js';
import type { Handler, Service } from '../service.js';

/** Captured output in one answer; the jobs beyond it come without, `stdout_path` tells where it is. */
const OUTPUT_BYTES = 32 * 1024 * 1024;

/** A filter, also in the documented short forms: one id, or a list of ids. */
export function parseFilter(argument: unknown, what: string): WireFilter {
  const isIds = typeof argument === 'string' || Array.isArray(argument);
  return parseArgument(wireFilter, isIds ? { ids: argument } : argument, what);
}

/** The jobs a filter means, in the order of their submission; looks at as few as it can. */
export function select(filter: WireFilter, service: Service): JobRecord[] {
  const { core } = service;
  const { ids, seq, state } = filter;
  const matches = matcher(filter, service.view());
  if (ids !== undefined)
    return [...new Set(ids)]
      .map((id) => core.find(id))
      .filter((record) => record !== undefined)
      .filter(matches);
  if (seq !== undefined) return core.changedSince(seq).records.filter(matches);
  return core.list(statesOf(state), matches, textInRecords(filter));
}

/** The states worth looking at: a job that is being killed still runs. */
function statesOf(state: unknown): JobState[] | undefined {
  const wanted = Array.isArray(state) ? state : [state];
  const known = jobStates.filter((one) => wanted.includes(one));
  if (known.length !== wanted.length) return undefined;
  return known.includes('killed') ? [...new Set([...known, 'running' as const])] : known;
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
