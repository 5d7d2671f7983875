import { timeOrderedId } from '../../lib/time-ordered-id.js';
import type { JobRecord } from '../../agent/types.js';
import { wireSubmit } from '../../protocol/wire.js';
import { RequestError, parseArgument } from '../errors.js';
import { ANONYMOUS, NO_KEY, freshView } from '../job-view.js';
import { isMapping } from '../json.js';
import { Later } from '../service.js';
import type { Call, Service } from '../service.js';

/** Jobs of this pool are configurations for the node they name. */
export const CONFIG_POOL = '__config';

/** A submit to the pool __config: `args` is merged into the configuration of the node, and then is all of it. */
export function submitConfig(argument: Record<string, unknown>, call: Call): unknown {
  const { args, ...rest } = argument;
  if (args !== undefined && args !== null && !isMapping(args))
    throw new RequestError('submit.args: expected a mapping, the configuration to merge');
  const { id = timeOrderedId(), node } = parseArgument(wireSubmit, rest, 'submit');
  const isHere = node === undefined || node === call.service.node;
  const pending = call.service.submits.add({
    key: `${NO_KEY}${timeOrderedId()}`,
    spec: { id, pool: CONFIG_POOL, args: [CONFIG_POOL], ...(typeof node === 'string' && { node }) },
    owner: call.session.owner,
    wire: { args: args ?? {}, ...(rest['id'] === undefined && { [ANONYMOUS]: true }) },
  });
  if (isHere) call.service.submits.whenFlushed(() => setImmediate(() => applyConfigJob(id, call.service)));
  return new Later(() => ({ [id]: freshView(pending.record, { protocol: 1, output: false }) }));
}

/** Does the work of a configuration job. */
export function applyConfigJob(id: string, service: Service): void {
  try {
    const record = service.core.find(id);
    if (record?.state !== 'new' || record.spec.pool !== CONFIG_POOL) return;
    service.core.change([applied(record, service)]);
  } catch (error) {
    service.log.error({ err: error, job: id }, 'cannot record a configuration job');
  }
}

function applied(record: JobRecord, { config, clock }: Service): JobRecord {
  const over = { ...record, end_ts: clock.now() / 1000 };
  const args = record.wire?.['args'];
  try {
    if (isMapping(args)) config.push(args);
    return { ...over, state: 'done', wire: { ...record.wire, args: config.show() } };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ...over, state: 'failed', fail_count: 1, error: message };
  }
}
