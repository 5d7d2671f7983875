import { checkPushed, fixedKeys } from '../../../config/box.js';
import { splitAssignment } from '../../../config/keypath.js';
import { formatProblem } from '../../../config/problem.js';
import type { Client } from '../../../client/api.js';
import { UserError } from '../../../lib/errors.js';
import { printable } from '../../../lib/text.js';
import { clientExit, type Call } from '../context.js';
import { formatJson, presentable } from '../json.js';
import { refused } from './refused.js';

/** `conf [key=value...] [node]`: the agent's configuration, or of a node by a job in the pool __config */
export async function configCommand(call: Call): Promise<number> {
  const settings = call.words.filter((word) => splitAssignment(word) !== undefined);
  const nodes = call.words.filter((word) => !settings.includes(word));
  if (nodes.length > 1)
    throw new UserError(
      `one node at a time: ${nodes.join(' ')}; a setting is written key=value, without spaces`,
    );
  const changes = settings.reduce<Record<string, unknown>>((all, word) => merge(all, nested(word)), {});
  const client = await call.connect();
  const [node] = nodes;
  if (node === undefined) {
    call.context.out(formatJson({ config: await client.config(changes) }));
    warn(changes, client, call);
    return clientExit.ok;
  }
  await mustBeNode(node, client);
  const answer = await client.request('submit', { pool: '__config', node, args: changes });
  call.context.out(formatJson(presentable(answer)));
  warn(changes, client, call);
  warnOfFixed(changes, client, call);
  return refused(answer, call, 'was not accepted');
}

/** A job for a node that is not there waits for ever: what was meant is rather a key without its value. */
async function mustBeNode(word: string, client: Client): Promise<void> {
  if (/[*,]/.test(word)) return;
  const known = Object.keys(await client.nodes());
  if (known.includes(word)) return;
  throw new UserError(
    `${printable(word)}: no such node, there is ${known.map(printable).join(', ') || 'none'}; to set a key give its value: ${printable(word)}=VALUE`,
  );
}

/** Nobody waits for the job: that it fails would be seen only in its record. */
function warnOfFixed(changes: Record<string, unknown>, { agent }: Client, { context }: Call): void {
  const keys = Object.keys(changes).filter((key) => Object.hasOwn(fixedKeys, key));
  if (agent.protocol < 2 || keys.length === 0) return;
  context.err(
    `meeseeks-client: ${keys.join(', ')} can only be changed in a file, followed by a restart: the job fails if it would change that\n`,
  );
}

/** What the agent takes and then does nothing with: the same words as for a file. The original knows other keys. */
function warn(changes: Record<string, unknown>, { agent }: Client, { context }: Call): void {
  if (agent.protocol < 2) return;
  for (const { severity, path, message, hint } of checkPushed(changes))
    context.err(
      `meeseeks-client: ${formatProblem({ severity, message, ...(path && { path }), ...(hint && { hint }) })}\n`,
    );
}

function nested(word: string): Record<string, unknown> {
  const { parts, json, value } = splitAssignment(word)!;
  const leaf = json ? parsed(word, value) : value === '' ? {} : byLook(value);
  return parts.reduceRight<unknown>((inner, { key }) => ({ [key]: inner }), leaf) as Record<string, unknown>;
}

/** null, a truth value, a number, a list at commas, or else text. */
function byLook(text: string): unknown {
  if (text === 'null') return null;
  if (text === 'true' || text === 'false') return text === 'true';
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  return text.includes(',') ? text.split(',').map(byLook) : text;
}

function parsed(word: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UserError(`${word}: what follows := must be JSON`);
  }
}

function merge(a: Record<string, unknown>, b: Record<string, unknown>): Record<string, unknown> {
  const merged = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const before = merged[key];
    merged[key] = isMap(before) && isMap(value) ? merge(before, value) : value;
  }
  return merged;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
