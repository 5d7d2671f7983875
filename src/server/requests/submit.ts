import { randomUUID } from 'node:crypto';
import type { Submission } from '../../agent/types.js';
import type { WireSubmit } from '../../protocol/wire.js';
import { wireSubmit } from '../../protocol/wire.js';
import { RequestError, parseArgument } from '../errors.js';
import { ANONYMOUS, NO_KEY, freshView } from '../job-view.js';
import { isMapping } from '../json.js';
import { Later, show } from '../service.js';
import type { Call, Handler } from '../service.js';
import { normalise } from '../spec.js';
import type { Pending } from '../submit-batch.js';
import { change, changesOf } from './change.js';
import { CONFIG_POOL, submitConfig } from './config-job.js';

/**
 * `submit`: a new job; without a `key` also changes of the job of that id. With a `key` a second submit of the same id
 * and key is the first one, and another key runs a finished job anew. The answer comes when the job is on disk.
 */
export const submit: Handler = (argument, call) => {
  if (isMapping(argument) && argument['pool'] === CONFIG_POOL) return submitConfig(argument, call);
  const keys = parseArgument(wireSubmit, argument, 'submit');
  const { submits, core } = call.service;
  if (keys.id !== undefined && keys.key === undefined) {
    if (submits.has(keys.id)) submits.flush();
    const existing = core.find(keys.id);
    if (existing) {
      const record = change(existing, changesOf(keys, argument), call.service);
      return { [keys.id]: show(record, call) };
    }
  }
  if (keys.pool === undefined) return { [keys.id ?? randomUUID()]: false };
  if (keys.args === undefined)
    throw new RequestError('submit.args: expected a list: ["executable", "argument", ...], found nothing');
  return submitNew(keys, argument, call);
};

function submitNew(keys: WireSubmit, raw: unknown, call: Call): unknown {
  const nodes = nodesOf(keys, call);
  const added = nodes.map((node) => {
    const submission = submissionOf(keys, node, raw, call);
    return { id: submission.spec.id, pending: call.service.submits.add(submission) };
  });
  if (added.length === 0) return {};
  return new Later(() => Object.fromEntries(added.map(({ id, pending }) => [id, answer(pending, call)])));
}

function answer(pending: Pending, call: Call): unknown {
  const { record } = pending;
  const isFresh = record.start_count === 0 && record.run === 0 && record.state === 'new';
  return isFresh && call.session.protocol === 1
    ? freshView(record, { protocol: 1, output: false })
    : show(record, call);
}

/** One job a node: `*` means all nodes of the pool, a trailing `*` those of that name; undefined: any one. */
function nodesOf({ node, pool }: WireSubmit, { service }: Call): (string | undefined)[] {
  if (node === undefined || node === '') return [undefined];
  const wanted = typeof node === 'string' ? [node] : node;
  return wanted.flatMap((name) => {
    if (!name.endsWith('*')) return [name];
    const isHere =
      service.node.startsWith(name.slice(0, -1)) && Object.hasOwn(service.core.pools, pool ?? '');
    return isHere ? [service.node] : [];
  });
}

function submissionOf(
  keys: WireSubmit,
  node: string | undefined,
  raw: unknown,
  { session }: Call,
): Submission {
  const { id, key, submitter, pool, node: _node, state: _state, ...rest } = keys;
  const { spec, wire } = normalise(rest, raw);
  const written = { ...(id === undefined && { [ANONYMOUS]: true }), ...wire };
  return {
    key: key ?? NO_KEY,
    spec: {
      ...spec,
      id: id ?? randomUUID(),
      pool: pool!,
      args: spec.args!,
      ...(node !== undefined && { node }),
    },
    submitter: submitter ?? spec.tags?.[0] ?? session.peer,
    owner: session.owner,
    wire: Object.keys(written).length > 0 ? written : undefined,
  };
}
