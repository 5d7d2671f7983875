import { randomUUID } from 'node:crypto';
import type { Job } from '../protocol/job.js';
import type { Submission } from './api.js';
import type { Channel } from './channel.js';
import { ClientError } from './errors.js';
import type { Greeting } from './hello.js';
import { isWireJob, KEY_TAG, toJob, type WireJob } from './wire-job.js';

/** Submits one job under an id of our making, so that a lost answer can be asked for again. */
export async function submitAs(channel: Channel, agent: Greeting, spec: Submission): Promise<Job> {
  const id = spec.id ?? randomUUID();
  const named = { ...spec, id, key: spec.key ?? randomUUID() };
  const answer =
    agent.protocol >= 2 ? await channel.request('submit', named) : await submitToOriginal(channel, named);
  return toJob(id, accepted(id, answer));
}

/** One job a node: ids are the agent's, so this is not repeated when the answer is lost. */
export async function submitToAll(channel: Channel, spec: Submission): Promise<Job[]> {
  const { key: _key, ...plain } = spec;
  const answer = await channel.request('submit', plain, { repeatable: false });
  if (!isWireJob(answer)) throw new ClientError('request', 'the agent does not take the job');
  return Object.keys(answer).map((id) => toJob(id, accepted(id, { [id]: answer[id] })));
}

function accepted(id: string, answer: unknown): WireJob {
  const job = isWireJob(answer) ? (answer[id] ?? answer) : undefined;
  if (isWireJob(job) && typeof job['state'] === 'string') return job;
  const why = isWireJob(job) && typeof job['error'] === 'string' ? `: ${job['error']}` : '';
  throw new ClientError('request', `job ${id} was not accepted${why || '; is its pool given and known?'}`);
}

/**
 * The original has no idempotency key and takes a submit of a known id as a change. So: look first, and leave the key
 * as a tag. A finished job under another key starts again; an active one is left alone.
 */
async function submitToOriginal(
  channel: Channel,
  spec: Submission & { readonly id: string; readonly key: string },
): Promise<unknown> {
  const { id, key, ...rest } = spec;
  const known = await channel.request('job', id, { alone: true });
  const tagged = { ...rest, id, tags: [...(spec.tags ?? []), KEY_TAG + key] };
  if (!isWireJob(known)) return channel.request('submit', tagged);
  const job = toJob(id, known);
  if (job.key === key) return { [id]: known };
  if (job.state === 'new' || job.state === 'running')
    throw new ClientError('request', `job ${id} is ${job.state} already, from another submission`);
  return channel.request('submit', { ...tagged, state: 'new' });
}
