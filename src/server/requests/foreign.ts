import type { Submission } from '../../agent/types.js';
import type { WireKeys } from '../../protocol/wire.js';
import { foreignIdentity } from '../identity.js';
import type { Service } from '../service.js';

/**
 * A job for another user fails, as documented, instead of running as this one. It is held until that is recorded: a
 * crash in between must not let it run.
 */
export const heldIfForeign = (submission: Submission, keys: WireKeys): Submission =>
  foreignIdentity(keys) === undefined
    ? submission
    : { ...submission, spec: { ...submission.spec, hold: true } };

/** Records the failure of a job that `heldIfForeign` held. */
export function failForeign({ spec }: Submission, keys: WireKeys, { core, clock }: Service): void {
  const error = foreignIdentity(keys);
  const record = error === undefined ? undefined : core.find(spec.id);
  if (error === undefined || record?.state !== 'new') return;
  const end_ts = clock.now() / 1000;
  const { hold: _held, ...unheld } = record.spec;
  const asked = spec.hold === undefined ? unheld : { ...unheld, hold: spec.hold };
  core.change([{ ...record, spec: asked, state: 'failed', reason: 'start', error, end_ts, fail_count: 1 }]);
}
