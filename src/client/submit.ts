import { timeOrderedId } from '../lib/time-ordered-id.js';
import type { Job } from '../protocol/job.js';
import type { Submission } from './api.js';
import type { Channel } from './channel.js';
import { ClientError } from './errors.js';
import type { Greeting } from './hello.js';
import { asOriginal, submitToOriginal } from './original.js';
import { isWireJob, toJob, type WireJob } from './wire-job.js';

/** Submits one job under an id of our making, so that a lost answer can be asked for again. */
export async function submitAs(channel: Channel, agent: Greeting, spec: Submission): Promise<Job> {
  const id = spec.id ?? timeOrderedId();
  const named = { ...spec, id, key: spec.key ?? timeOrderedId() };
  const answer =
    agent.protocol >= 2 ? await channel.request('submit', named) : await submitToOriginal(channel, named);
  return toJob(id, accepted(id, answer));
}

/** One job a node: ids are the agent's, so this is not repeated when the answer is lost. */
export async function submitToAll(channel: Channel, agent: Greeting, spec: Submission): Promise<Job[]> {
  const { key: _key, ...keyless } = spec;
  const plain = agent.protocol >= 2 ? keyless : asOriginal(keyless);
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
