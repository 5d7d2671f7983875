import { isAbsolute } from 'node:path';
import { isFinished, jobSpec } from '../protocol/job.js';
import { isPlainSpec } from '../protocol/plain.js';
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
  if (existing !== undefined && existing.key === request.key) return { kind: 'known' };
  const wrong = malformed(request.spec);
  if (wrong !== undefined) return refuse(wrong);
  const { spec } = request;
  const { id } = spec;
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

function malformed(spec: unknown): string | undefined {
  if (isPlainSpec(spec)) return undefined;
  const [issue] = jobSpec.safeParse(spec).error?.issues ?? [];
  return issue && `bad job spec: ${issue.path.join('.')}: ${issue.message}`;
}

const refuse = (error: string): Admission => ({ kind: 'refuse', error });

function unknownPool(pool: string, pools: Pools): string {
  const names = Object.keys(pools).sort();
  return `unknown pool ${JSON.stringify(pool)}; known: ${names.length > 0 ? names.join(', ') : 'none'}`;
}

/** What no process can be started with; undefined: nothing is wrong. */
export function impossible(spec: SubmitRequest['spec'] | JobRecord['spec']): string | undefined {
  if (spec.args[0] === '') return 'args: the executable is empty';
  const { env, cwd } = spec;
  if (spec.args.some(hasNul) || hasNul(cwd)) return NUL;
  if (hasNul(spec.stdin) || hasNul(spec.stdout) || hasNul(spec.stderr)) return NUL;
  const problem = env === undefined ? undefined : impossibleEnv(env);
  if (problem !== undefined) return problem;
  if (cwd !== undefined && !isAbsolute(cwd)) return `cwd: ${JSON.stringify(cwd)} is not absolute`;
  return undefined;
}

const NUL = 'args, env and paths cannot hold a NUL character';
const hasNul = (text: string | undefined): boolean => text?.includes('\0') === true;
/** those that cannot change any more, and are fine */
const checked = new WeakSet<object>();

function impossibleEnv(env: Readonly<Record<string, string>>): string | undefined {
  if (checked.has(env)) return undefined;
  const variables = Object.entries(env);
  if (variables.some(([name, value]) => hasNul(name) || hasNul(value))) return NUL;
  const bad = variables.find(([name]) => name === '' || name.includes('='));
  if (bad) return `env: ${JSON.stringify(bad[0])} is no name of a variable`;
  if (Object.isFrozen(env)) checked.add(env);
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
  seq: existing?.seq ?? 0,
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
