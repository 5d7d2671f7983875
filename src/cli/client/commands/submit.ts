import { splitPool } from '../pool-word.js';
import { submitEnvironment } from '../environment.js';
import { formatJson, presentable } from '../json.js';
import { ENV_IS_FIXED, isAssignment, jobAttributes } from '../job-words.js';
import type { Call } from '../context.js';
import type { Client } from '../../../client/api.js';
import { UserError } from '../../../lib/errors.js';
import { printable } from '../../../lib/text.js';
import { timeOrderedId } from '../../../lib/time-ordered-id.js';
import { refused } from './refused.js';

/** `sub [key=value...] <pool[@node]> <executable> [args...]` */
export async function submitCommand(call: Call): Promise<number> {
  const { attributes, env, isChange } = submission(call.words);
  const client = await call.connect();
  const isOurs = client.agent.protocol >= 2;
  const context = isChange ? {} : environmentOf(call, env, isOurs);
  const spec: Record<string, unknown> = { ...context, ...attributes };
  const isOne = isSingle(spec['node']);
  if (isOne) spec['id'] ??= timeOrderedId();
  if (isOurs && isOne && !isChange) spec['key'] = timeOrderedId();
  const answer = await client.request('submit', spec);
  call.context.out(formatJson(presentable(answer)));
  if (isOurs) await warnOfPools(answer, client, call);
  return refused(answer, call, 'was not accepted; is its pool given and known?');
}

/** A job for a pool that is not there is taken all the same, and waits for it: that looks like nothing at all. */
async function warnOfPools(answer: unknown, client: Client, call: Call): Promise<void> {
  const jobs = Object.values(isMap(answer) ? answer : {}).filter(isMap);
  const wanted = new Set(jobs.filter(({ state }) => state === 'new').map(({ pool }) => pool));
  if (wanted.size === 0) return;
  const known = Object.keys(await client.pools());
  const missing = [...wanted].filter(
    (pool): pool is string => typeof pool === 'string' && !known.includes(pool),
  );
  if (missing.length > 0)
    call.context.err(
      `meeseeks-client: the agent has no pool ${names(missing)}: the job waits until it has; there is ${names(known.toSorted()) || 'none'}\n`,
    );
}

const names = (pools: readonly string[]): string => pools.map(printable).join(', ');

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

interface Submitted {
  readonly attributes: Record<string, unknown>;
  readonly env: string | undefined;
  /** changes of an existing job: nothing to run is given */
  readonly isChange: boolean;
}

function submission(words: readonly string[]): Submitted {
  const end = words.findIndex((word) => !isAssignment(word));
  const options = end < 0 ? words : words.slice(0, end);
  const rest = end < 0 ? [] : words.slice(end);
  const env = options.findLast((word) => word.startsWith('env='))?.slice('env='.length);
  const given = jobAttributes(options.filter((word) => !word.startsWith('env=')));
  if (rest.length === 0) return change(given, env);
  const [pool, args] = given['pool'] === undefined ? [splitPool(rest[0]!), rest.slice(1)] : [{}, rest];
  if (args.length === 0 && given['id'] === undefined)
    throw new UserError(
      `what is to run in ${rest[0]!}? Give: sub [key=value...] <pool[@node]> <executable> [args...]`,
    );
  return {
    attributes: { ...pool, ...given, ...(args.length === 0 ? {} : { args }) },
    env,
    isChange: args.length === 0,
  };
}

function change(attributes: Record<string, unknown>, env: string | undefined): Submitted {
  if (attributes['id'] === undefined)
    throw new UserError('nothing to submit; give: sub [key=value...] <pool[@node]> <executable> [args...]');
  if (env !== undefined) throw new UserError(ENV_IS_FIXED);
  return { attributes, env, isChange: true };
}

/** Ours keeps the environment to itself; the original shows it to everybody, so there it goes only when asked for. */
function environmentOf(call: Call, env: string | undefined, isOurs: boolean): Record<string, unknown> {
  const wanted = env ?? (isOurs ? 'all' : 'none');
  const variables = submitEnvironment(wanted, call.context.env);
  return {
    ...(isOurs ? { cwd: call.context.cwd } : {}),
    ...(variables === undefined ? {} : { env: variables }),
  };
}

/** One job under one id; several nodes get a job each, with ids of the agent's making. */
const isSingle = (node: unknown): boolean =>
  node === undefined || (typeof node === 'string' && !node.endsWith('*'));
