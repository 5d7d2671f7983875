import type { JobSpec } from '../protocol/job.js';
import { isFinished } from '../protocol/job.js';
import { impossible } from './admission.js';
import { restarted } from './outcome.js';
import type { JobRecord } from './types.js';

/** What somebody wants to be different about a job. */
export interface Changes {
  readonly spec: Partial<JobSpec>;
  readonly wire?: Readonly<Record<string, unknown>>;
  /** new: run a finished job again; killed: end it */
  readonly state?: 'new' | 'killed' | undefined;
}

export type Changed =
  | { readonly kind: 'record'; readonly record: JobRecord; readonly kill: boolean }
  | { readonly kind: 'refuse'; readonly error: string };

/**
 * A job with changes applied (seeds, "JSON request format"): only finished jobs start again, running ones do not move.
 * A restart that names no node may run anywhere. Pure.
 * @param order place in the queue for a job that starts again
 */
export function applyChanges(record: JobRecord, changes: Changes, order: number): Changed {
  const isOver = isFinished(record.state);
  const isAgain = isOver && changes.state === 'new';
  const { pool, node, ...rest } = changes.spec;
  const place =
    record.state === 'running'
      ? {}
      : { ...(pool !== undefined && { pool }), ...(node !== undefined && { node }) };
  const spec = { ...record.spec, ...rest, ...place };
  if (isAgain && node === undefined) delete spec.node;
  const problem = impossible(spec);
  if (problem !== undefined) return { kind: 'refuse', error: problem };
  const wire = mergeWire(record.wire, changes);
  const next: JobRecord = { ...record, spec, wire };
  return {
    kind: 'record',
    record: isAgain ? restarted(next, order) : next,
    kill: !isOver && changes.state === 'killed',
  };
}

/** What was written before about a key that is set anew is out of date. */
function mergeWire(before: JobRecord['wire'], { spec, wire }: Changes): JobRecord['wire'] {
  const kept = Object.entries(before ?? {}).filter(([key]) => !Object.hasOwn(spec, key));
  const merged = Object.fromEntries([...kept, ...Object.entries(wire ?? {})]);
  return Object.keys(merged).length > 0 ? merged : undefined;
}
