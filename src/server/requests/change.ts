import { applyChanges } from '../../agent/changes.js';
import type { Changes } from '../../agent/changes.js';
import type { JobRecord } from '../../agent/types.js';
import type { WireSubmit } from '../../protocol/wire.js';
import { RequestError } from '../errors.js';
import { foreignIdentity } from '../identity.js';
import type { Service } from '../service.js';
import { normalise } from '../spec.js';

/** The changes that the keys of a submit ask of a job that exists. @throws RequestError for an impossible state */
export function changesOf(keys: WireSubmit, raw: unknown): Changes {
  const { id: _id, key: _key, submitter: _submitter, pool, node, state, ...rest } = keys;
  const foreign = foreignIdentity(rest);
  if (foreign !== undefined) throw new RequestError(`uid: ${foreign}`);
  const { spec, wire } = normalise(rest, raw);
  if (state !== undefined && state !== 'new' && state !== 'killed')
    throw new RequestError(`state: a job can be set to new or killed, not to ${JSON.stringify(state)}`);
  const place = {
    ...(pool !== undefined && { pool }),
    ...(typeof node === 'string' && { node }),
  };
  return { spec: { ...spec, ...place }, wire, state };
}

/** Applies and records them. @returns the job as it is then */
export function change(record: JobRecord, changes: Changes, { core }: Service): JobRecord {
  const result = applyChanges(record, changes, core.nextOrder());
  if (result.kind === 'refuse') throw new RequestError(result.error);
  core.change([result.record]);
  if (result.kill) core.kill([record.id]);
  return core.find(record.id)!;
}
