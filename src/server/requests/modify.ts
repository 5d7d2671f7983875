import { wireSubmit } from '../../protocol/wire.js';
import { RequestError, parseArgument } from '../errors.js';
import { isMapping } from '../json.js';
import { show } from '../service.js';
import type { Call, Handler } from '../service.js';
import { change, changesOf } from './change.js';

const MOST_EXTRA = 65_536;

/** `modify`: changes of jobs by id, with the rules of `submit`. Keys that mean nothing here are kept and shown. */
export const modify: Handler = (argument, call) => {
  if (!isMapping(argument))
    throw new RequestError('modify: expected a mapping: {"<job id>": {"<key>": ...}}');
  return Object.fromEntries(Object.entries(argument).map(([id, keys]) => [id, modifyOne(id, keys, call)]));
};

function modifyOne(id: string, raw: unknown, call: Call): unknown {
  const record = call.service.core.find(id);
  if (record === undefined) return false;
  const keys = parseArgument(wireSubmit, raw, `modify.${id.slice(0, 100)}`);
  const changes = changesOf(keys, raw);
  const wire = { ...changes.wire, ...extras(raw) };
  if (JSON.stringify(wire).length > MOST_EXTRA)
    throw new RequestError('modify: the keys of this job are too large');
  return show(change(record, { ...changes, wire }, call.service), call);
}

function extras(raw: unknown): Record<string, unknown> {
  if (!isMapping(raw)) return {};
  const unknown = Object.entries(raw).filter(
    ([key]) => !Object.hasOwn(wireSubmit.shape, key) && !answerKeys.has(key),
  );
  return Object.fromEntries(unknown);
}

/** What only the agent says of a job. */
const answerKeys = new Set(
  'id seq ts submit_ts start_ts end_ts active submit_node start_count fail_count rc pid error reason signal stdout_data stderr_data stdout_path stderr_path'.split(
    ' ',
  ),
);
