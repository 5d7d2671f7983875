import type { JobRecord } from '../../agent/types.js';
import { LONGEST_ID, wireSubmit } from '../../protocol/wire.js';
import { RequestError } from '../errors.js';
import { ANONYMOUS, NO_KEY, SUBMITTED } from '../job-view.js';
import { isMapping } from '../json.js';
import { isFinished } from '../../protocol/job.js';
import type { Call, Handler } from '../service.js';
import { normalise } from '../spec.js';
import { change, changesOf } from './change.js';
import { failForeign, heldIfForeign } from './foreign.js';

/**
 * `sync`: jobs as a client of the original has them in its cache, submitted or changed there. Newer ones are taken
 * over; the answer is their ids. A job that makes no sense is left out: it must not keep the others from arriving.
 */
export const sync: Handler = (argument, call) => {
  if (argument === null || argument === undefined) return [];
  if (!isMapping(argument)) throw new RequestError('sync: expected a mapping: {"<job id>": {...}}');
  return Object.entries(argument)
    .filter(([id, job]) => syncOne(id, job, call))
    .map(([id]) => id);
};

function syncOne(id: string, raw: unknown, call: Call): boolean {
  if (!isMapping(raw) || id === '' || id.length > LONGEST_ID) return false;
  const parsed = wireSubmit.safeParse({ ...raw, id });
  if (!parsed.success) return false;
  const existing = call.service.core.find(id);
  if (existing) return takeOver(existing, parsed.data, raw, call);
  const { pool, node, args, state } = parsed.data;
  if (pool === undefined || args === undefined || (state !== undefined && state !== 'new')) return false;
  const { id: _id, key: _key, submitter, pool: _pool, node: _node, state: _state, ...rest } = parsed.data;
  const { spec, wire } = normalise(rest, raw);
  const place = typeof node === 'string' && node !== '' ? { node } : {};
  const submission = {
    key: NO_KEY,
    spec: { ...spec, id, pool, args: spec.args!, ...place },
    submitter: submitter ?? spec.tags?.[0] ?? call.session.peer,
    owner: call.session.owner,
    wire: { ...(typeof raw['id'] !== 'string' && { [ANONYMOUS]: true }), ...wire, ...submittedIn(raw) },
  };
  const [result] = call.service.core.submit([heldIfForeign(submission, parsed.data)]);
  failForeign(submission, parsed.data, call.service);
  return result !== undefined && 'record' in result;
}

function takeOver(
  record: JobRecord,
  keys: ReturnType<typeof wireSubmit.parse>,
  raw: Record<string, unknown>,
  call: Call,
): boolean {
  const ts = raw['ts'];
  if (typeof ts !== 'number' || ts <= record.ts) return false;
  try {
    const changes = changesOf({ ...keys, state: wish(record, keys.state, raw) }, raw);
    change(record, { ...changes, wire: { ...changes.wire, ...submittedIn(raw) } }, call.service);
    return true;
  } catch (error) {
    if (error instanceof RequestError) return false;
    throw error;
  }
}

/**
 * A copy that has not heard yet that the job ran must not run it again. A client that wants it to run again says so
 * with another time of submission, or has heard of the last run.
 */
function wish(
  record: JobRecord,
  state: string | undefined,
  raw: Record<string, unknown>,
): 'new' | 'killed' | undefined {
  if (state === 'killed') return 'killed';
  const started = raw['start_count'];
  const isUpToDate = typeof started === 'number' && started >= record.start_count;
  const submitted = raw['submit_ts'];
  const isAgain =
    typeof submitted === 'number' && submitted !== record.submit_ts && submitted !== record.wire?.[SUBMITTED];
  return state === 'new' && isFinished(record.state) && (isUpToDate || isAgain) ? 'new' : undefined;
}

const submittedIn = (raw: Record<string, unknown>): Record<string, unknown> =>
  typeof raw['submit_ts'] === 'number' ? { [SUBMITTED]: raw['submit_ts'] } : {};
