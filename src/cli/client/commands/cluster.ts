import { splitAssignment } from '../../../config/keypath.js';
import { UserError } from '../../../lib/errors.js';
import { clientExit, type Call } from '../context.js';
import { formatJson, presentable } from '../json.js';
import { refused } from './refused.js';

/** `nodes`: what is known of every node */
export async function nodesCommand(call: Call): Promise<number> {
  const client = await call.connect();
  call.context.out(formatJson(await client.nodes()));
  return clientExit.ok;
}

/** `pools`: free slots by pool and node */
export async function poolsCommand(call: Call): Promise<number> {
  const client = await call.connect();
  call.context.out(formatJson(await client.pools()));
  return clientExit.ok;
}

/** `conf [key=value...] [node]`: the agent's configuration, or of a node by a job in the pool __config */
export async function configCommand(call: Call): Promise<number> {
  const settings = call.words.filter((word) => splitAssignment(word) !== undefined);
  const nodes = call.words.filter((word) => !settings.includes(word));
  if (nodes.length > 1) throw new UserError(`one node at a time: ${nodes.join(' ')}`);
  const changes = settings.reduce<Record<string, unknown>>((all, word) => merge(all, nested(word)), {});
  const client = await call.connect();
  const [node] = nodes;
  if (node === undefined) {
    call.context.out(formatJson({ config: await client.config(changes) }));
    return clientExit.ok;
  }
  const answer = await client.request('submit', { pool: '__config', node, args: changes });
  call.context.out(formatJson(presentable(answer)));
  return refused(answer, call, 'was not accepted');
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
