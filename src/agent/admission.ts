import { isAbsolute } from 'node:path';
import { isFinished, jobSpec } from '../protocol/job.js';
import type { SubmitRequest } from '../protocol/agent.js';
import type { JobRecord, Pools, Submission } from './types.js';

export type Admission =
  | { readonly kind: 'known' }
  | { readonly kind: 'accept'; readonly record: JobRecord }
  | { readonly kind: 'refuse'; readonly error: string };

/**
 * What a submission does, given the job of that id, if any. Pure.
 * @param pools the pools there are, or `any`: jobs wait for a pool that is not there
 * @param order place in the queue for a job that is accepted
 * @param now seconds
 */
export function admit(
  request: Submission,
  existing: JobRecord | undefined,
  pools: Pools | 'any',
  order: number,
  now: number,
): Admission {
  if (existing?.key === request.key) return { kind: 'known' };
  const parsed = jobSpec.safeParse(request.spec);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return refuse(`bad job spec: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`);
  }
  const spec = parsed.data;
  const { id } = request.spec;
  if (id === undefined || typeof request.key !== 'string' || request.key === '')
    return refuse('a job needs an id and a key');
  if (pools !== 'any' && !Object.hasOwn(pools, spec.pool)) return refuse(unknownPool(spec.pool, pools));
  const problem = impossible(spec);
  if (problem !== undefined) return refuse(problem);
  if (existing && !isFinished(existing.state))
    return refuse(
      `job ${id} is ${existing.state === 'new' ? 'queued' : 'running'}; kill it before submitting it anew`,
    );
  return { kind: 'accept', record: fresh(request, existing, order, now) };
}

const refuse = (error: string): Admission => ({ kind: 'refuse', error });

function unknownPool(pool: string, pools: Pools): string {
  const names = Object.keys(pools).sort();
  return `unknown pool ${JSON.stringify(pool)}; known: ${names.length > 0 ? names.join(', ') : 'none'}`;
}

/** What no process can be started with; undefined: nothing is wrong. */
export function impossible(spec: SubmitRequest['spec'] | JobRecord['spec']): string | undefined {
  if (spec.args[0] === '') return 'args: the executable is empty';
  const variables = Object.entries(spec.env ?? {});
  const texts = [...spec.args, ...variables.flat(), spec.cwd, spec.stdin, spec.stdout, spec.stderr];
  if (texts.some((text) => text?.includes('\0'))) return 'args, env and paths cannot hold a NUL character';
  const bad = variables.find(([name]) => name === '' || name.includes('='));
  if (bad) return `env: ${JSON.stringify(bad[0])} is no name of a variable`;
  if (spec.cwd !== undefined && !isAbsolute(spec.cwd))
    return `cwd: ${JSON.stringify(spec.cwd)} is not absolute`;
  return undefined;
}

const fresh = (
  { key, spec, submitter, owner, wire }: Submission,
  existing: JobRecord | undefined,
  order: number,
  now: number,
): JobRecord => ({
  id: spec.id,
  key,
  spec,
  state: 'new',
  seq: 0,
  ts: now,
  submit_ts: now,
  order,
  run: existing?.run ?? 0,
  start_count: 0,
  fail_count: 0,
  failures: 0,
  quick: 0,
  submitter,
  owner,
  wire,
});
