import type { Job } from '../protocol/job.js';
import { isFinished } from '../protocol/states.js';
import type { Changes, Submission } from './api.js';
import type { Channel, RequestStyle } from './channel.js';
import { asClientError, ClientError } from './errors.js';
import { isWireJob, KEY_TAG, toJob } from './wire-job.js';

/** What the Python original needs done in another way than an agent of ours; protocol 1. */

type Filter = Readonly<Record<string, unknown>>;

/** A submit whose answer was lost is looked into so often before it is given up. */
const MOST_TRIES = 5;

/**
 * The original has no idempotency key and takes a submit of a known id as a change. So: look first, and leave the key
 * as a tag; look again when the connection broke before the answer. A finished job under another key starts again; an
 * active one is left alone.
 */
export async function submitToOriginal(
  channel: Channel,
  spec: Submission & { readonly id: string; readonly key: string },
): Promise<unknown> {
  for (let tries = 1; ; tries++) {
    const known = await channel.request('job', spec.id, { alone: true });
    try {
      return await submitOnce(channel, spec, known);
    } catch (error) {
      if (asClientError(error).code !== 'closed' || channel.isClosed || tries === MOST_TRIES) throw error;
    }
  }
}

async function submitOnce(
  channel: Channel,
  spec: Submission & { readonly id: string; readonly key: string },
  known: unknown,
): Promise<unknown> {
  const { id, key } = spec;
  const once: RequestStyle = { repeatable: false };
  if (!isWireJob(known)) return channel.request('submit', asOriginal(spec), once);
  const job = toJob(id, known);
  if (job.key === key) return { [id]: known };
  if (!isFinished(job.state))
    throw new ClientError('request', `job ${id} is ${job.state} already, from another submission`);
  return channel.request('submit', { ...asOriginal(spec), state: 'new' }, once);
}

/** The key as a tag; the working directory where the original has it, among the settings of its task. */
export function asOriginal({ key, cwd, ...spec }: Submission): Record<string, unknown> {
  return {
    ...spec,
    ...(key !== undefined && { tags: [...(spec.tags ?? []), KEY_TAG + key] }),
    ...(cwd !== undefined && { config: { cwd } }),
  };
}

/** Changes one job by `submit`: the original's `modify` knows no rules, and no pools to move between. */
export async function modifyInOriginal(channel: Channel, id: string, changes: Changes): Promise<unknown> {
  const known = await channel.request('job', id, { alone: true });
  if (!isWireJob(known)) return { [id]: false };
  const { key } = toJob(id, known);
  const { tags, ...rest } = changes;
  const kept = {
    ...rest,
    ...(tags !== undefined && { tags }),
    ...(tags !== undefined && key !== '' && { key }),
  };
  return channel.request('submit', { ...asOriginal(kept as Submission), id }, { repeatable: false });
}

/** `get`, with the jobs that have no node yet: the original leaves them out unless it is asked for them. */
export async function listOriginal(channel: Channel, filter: Filter): Promise<unknown> {
  const all = await channel.request('get', filter, { alone: true });
  if ('ids' in filter || 'node' in filter || 'seq' in filter) return all;
  const unrouted = await channel.request('get', { ...filter, node: false }, { alone: true });
  return isWireJob(all) && isWireJob(unrouted) ? { ...unrouted, ...all } : all;
}

/** Kills what runs or waits. The original would make killed ones of finished jobs. @returns all of them by id */
export async function killInOriginal(
  channel: Channel,
  which: string | readonly string[] | Filter,
): Promise<unknown> {
  const isIds = typeof which === 'string' || Array.isArray(which);
  const ids = typeof which === 'string' ? [which] : which;
  if (Object.keys(ids).length === 0) return {};
  const known = await listOriginal(channel, isIds ? { ids } : (which as Filter));
  if (!isWireJob(known)) return known;
  const over = Object.keys(known).filter((id) => isOver(id, known[id]));
  const wanted = (isIds ? (ids as readonly string[]) : Object.keys(known)).filter((id) => !over.includes(id));
  const killed = wanted.length === 0 ? {} : await channel.request('kill', wanted, { alone: true });
  const finished = Object.fromEntries(over.map((id) => [id, known[id]]));
  return isWireJob(killed) ? { ...finished, ...killed } : killed;
}

const isOver = (id: string, job: unknown): boolean => isWireJob(job) && isFinished(toJob(id, job).state);

/**
 * What an agent that forgets has said of jobs whose results nobody has recorded yet. The original keeps its state in
 * memory, and results for a minute.
 */
export class Memory {
  readonly #jobs = new Map<string, Job>();

  /** A job this program submitted: it is remembered until `forget`. */
  add(job: Job): void {
    this.#jobs.set(job.id, job);
  }

  /** News of a job; of others nothing is remembered. */
  note(job: Job): void {
    if (this.#jobs.has(job.id)) this.#jobs.set(job.id, job);
  }

  forget(ids: readonly string[]): void {
    for (const id of ids) this.#jobs.delete(id);
  }

  /** Jobs that are not over, and not among these. */
  missing(ids: ReadonlySet<string>): string[] {
    return [...this.#jobs.values()]
      .filter(({ id, state }) => !isFinished(state) && !ids.has(id))
      .map(({ id }) => id);
  }

  /** What to say of a job the agent does not know: its result, or that it is lost. undefined: never heard of it */
  lastWord(id: string): Job | undefined {
    const job = this.#jobs.get(id);
    if (job === undefined || isFinished(job.state)) return job;
    const { pid: _pid, ...rest } = job;
    const error = 'the agent does not know it any more: it was started anew, or its results have expired';
    const lost: Job = { ...rest, state: 'failed', active: false, reason: 'lost', error };
    this.#jobs.set(id, lost);
    return lost;
  }
}
