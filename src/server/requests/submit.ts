import { timeOrderedId } from '../../lib/time-ordered-id.js';
import type { Submission } from '../../agent/types.js';
import type { WireSubmit } from '../../protocol/wire.js';
import { isPlainSubmit } from '../../protocol/plain.js';
import { wireSubmit } from '../../protocol/wire.js';
import { RequestError, parseArgument } from '../errors.js';
import { failForeign, heldIfForeign } from './foreign.js';
import { foreignIdentity } from '../identity.js';
import { ANONYMOUS, NO_KEY, freshView } from '../job-view.js';
import { isMapping, toAscii } from '../json.js';
import { Later, show } from '../service.js';
import type { Call, Handler, Service } from '../service.js';
import { normalise, plainSpec } from '../spec.js';
import type { Normalised } from '../spec.js';
import type { Pending } from '../submit-batch.js';
import { change, changesOf } from './change.js';
import { CONFIG_POOL, submitConfig } from './config-job.js';

/**
 * `submit`: a new job; without a `key` also changes of the job of that id. With a `key` a second submit of the same id
 * and key is the first one, and another key runs a finished job anew. The answer comes when the job is on disk.
 */
export const submit: Handler = (argument, call) => {
  if (isMapping(argument) && argument['pool'] === CONFIG_POOL) return submitConfig(argument, call);
  const keys = isPlainSubmit(argument) ? argument : parseArgument(wireSubmit, argument, 'submit');
  const { submits, core } = call.service;
  if (keys.id !== undefined && keys.key === undefined) {
    if (submits.has(keys.id)) submits.flush();
    const existing = core.find(keys.id);
    if (existing) {
      const record = change(existing, changesOf(keys, argument), call.service);
      return { [keys.id]: show(record, call) };
    }
  }
  if (keys.pool === undefined) return { [keys.id ?? timeOrderedId()]: false };
  if (keys.args === undefined)
    throw new RequestError('submit.args: expected a list: ["executable", "argument", ...], found nothing');
  return submitNew(keys, argument, call);
};

function submitNew(keys: WireSubmit, raw: unknown, call: Call): unknown {
  const added = nodesOf(keys, call).map((node) => {
    const submission = submissionOf(keys, node, raw, call);
    return { id: submission.spec.id, pending: addTo(call.service, submission, keys) };
  });
  const [first] = added;
  if (first === undefined) return {};
  if (added.length === 1)
    return new Later(
      () => ({ [first.id]: answer(first.pending, call) }),
      () => `{${toAscii(first.id)}:${toAscii(answer(first.pending, call))}}`,
    );
  return new Later(() => Object.fromEntries(added.map(({ id, pending }) => [id, answer(pending, call)])));
}

function addTo(service: Service, submission: Submission, keys: WireSubmit): Pending {
  if (foreignIdentity(keys) === undefined) return service.submits.add(submission);
  // the same submission again is answered with the job it made
  const isKnown = service.core.find(submission.spec.id)?.key === submission.key;
  if (isKnown) return service.submits.add(submission);
  const pending = service.submits.add(heldIfForeign(submission, keys));
  service.submits.whenFlushed(() => failForeign(submission, keys, service));
  return pending;
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
  const { id, key, submitter, pool } = keys;
  // what is in plain form is in the form of the agent, and as it was written
  const { spec, wire } = keys === raw ? plainSpec(keys) : normaliseSubmit(keys, raw);
  const written = id === undefined ? { [ANONYMOUS]: true, ...wire } : wire;
  const whole = spec as { -readonly [K in keyof Submission['spec']]: Submission['spec'][K] };
  whole.id = id ?? timeOrderedId();
  whole.pool = pool!;
  if (node !== undefined) whole.node = node;
  return {
    key: key ?? NO_KEY,
    spec: whole,
    submitter: submitter ?? whole.tags?.[0] ?? session.peer,
    owner: session.owner,
    wire: Object.keys(written).length > 0 ? written : undefined,
    isNewId: id === undefined,
  };
}

function normaliseSubmit(keys: WireSubmit, raw: unknown): Normalised {
  const {
    id: _id,
    key: _key,
    submitter: _submitter,
    pool: _pool,
    node: _node,
    state: _state,
    ...rest
  } = keys;
  return normalise(rest, raw);
}
