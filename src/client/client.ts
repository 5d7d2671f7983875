import type { Changes, Client, Filter, Node, Output, Pools, Submission } from './api.js';
import { Channel } from './channel.js';
import { ClientError } from './errors.js';
import { events } from './events.js';
import type { Greeting } from './hello.js';
import { isLocal } from './local.js';
import { endpointOf, type ConnectOptions, type Endpoint } from './options.js';
import { Presence } from './presence.js';
import { submitAs, submitToAll } from './submit.js';
import { Waits } from './wait.js';
import { isWireJob, toJob, type WireJob } from './wire-job.js';
import type { Job } from '../protocol/job.js';

const PATIENCE = 10;

/**
 * Connects to an agent: ours, or the Python original.
 *
 * @example
 * const agent = await connect({ address: 'localhost' });
 * const job = await agent.submit({ pool: 'q1', args: ['echo', 'hello'] });
 * const { state, rc } = await agent.wait(job.id);
 * agent.close();
 *
 * @throws ClientError 'unreachable' when there is no agent within `patience` seconds (default 0: one attempt)
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const endpoint = endpointOf(options);
  const presence = new Presence(endpoint.name, options.onStatus);
  const patience = options.patience ?? PATIENCE;
  const channel = new Channel(endpoint, { patienceAtStart: options.patience ?? 0, patience, presence });
  try {
    await channel.greeting();
    return new RemoteClient(endpoint, channel, {
      patience,
      presence,
      refresh: (options.refresh ?? 1) * 1000,
    });
  } catch (error) {
    channel.close();
    throw error;
  }
}

/** What the connections that follow jobs share. */
export interface FollowOptions {
  readonly patience: number;
  readonly presence: Presence;
  readonly refresh: number;
}

class RemoteClient implements Client {
  readonly address: string;
  readonly isLocal: boolean;
  readonly #stop = new AbortController();
  readonly #waits: Waits;

  constructor(
    private readonly endpoint: Endpoint,
    private readonly channel: Channel,
    private readonly follow: FollowOptions,
  ) {
    this.address = endpoint.name;
    this.isLocal = isLocal(endpoint);
    this.#waits = new Waits(endpoint, follow);
  }

  get agent(): Greeting {
    return this.channel.lastGreeting;
  }

  submit(spec: Submission): Promise<Job> {
    return submitAs(this.channel, this.agent, spec);
  }

  submitToAll(spec: Submission): Promise<Job[]> {
    return submitToAll(this.channel, spec);
  }

  get(id: string): Promise<Job | undefined> {
    return this.#look(id, true);
  }

  async list(filter: Filter = {}, { output = false } = {}): Promise<Job[]> {
    return jobsOf(await this.#ask('get', filter, isWireJob, { output }));
  }

  ids(filter: Filter = {}): Promise<string[]> {
    return this.#ask('ls', filter, isTexts);
  }

  async modify(id: string, changes: Changes): Promise<Job> {
    const answer = await this.channel.request('modify', { [id]: changes });
    const job = isWireJob(answer) ? answer[id] : undefined;
    if (!isWireJob(job)) throw refusal(`job ${id} cannot be changed`, job);
    return toJob(id, job);
  }

  async kill(which: string | readonly string[] | Filter): Promise<Job[]> {
    return jobsOf(await this.#ask('kill', which, isWireJob));
  }

  wait(id: string, signal?: AbortSignal): Promise<Job> {
    const either = signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
    return this.#waits.wait(id, (output) => this.#look(id, output), either);
  }

  events(filter: Filter = {}, signal?: AbortSignal): AsyncIterableIterator<Job> {
    const either = signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
    return events(this.endpoint, this.follow, filter, either);
  }

  async output(id: string): Promise<Output> {
    const job = await this.get(id);
    if (job === undefined) throw new ClientError('request', `there is no job ${id}`);
    const decode = (data: string | undefined): Buffer => Buffer.from(data ?? '', 'base64');
    return { stdout: decode(job.stdout_data), stderr: decode(job.stderr_data) };
  }

  nodes(): Promise<Record<string, Node>> {
    return this.#ask('nodes', {}, (value): value is Record<string, Node> => isWireJob(value));
  }

  pools(): Promise<Pools> {
    return this.#ask('pools', {}, (value): value is Pools => isWireJob(value));
  }

  config(changes: Readonly<Record<string, unknown>> = {}): Promise<Record<string, unknown>> {
    return this.#ask('config', changes, isWireJob);
  }

  async release(ids: readonly string[]): Promise<void> {
    if (this.agent.protocol >= 2 && ids.length > 0) await this.channel.request('release', { ids });
  }

  request(name: string, argument: unknown): Promise<unknown> {
    return this.channel.request(name, argument, { alone: true, repeatable: name !== 'submit' });
  }

  close(): void {
    this.#stop.abort();
    this.channel.close();
  }

  async #look(id: string, output: boolean): Promise<Job | undefined> {
    const job = await this.channel.request('job', id, { alone: output, options: { output } });
    return isWireJob(job) ? toJob(id, job) : undefined;
  }

  async #ask<T>(
    name: string,
    argument: unknown,
    is: (value: unknown) => value is T,
    options: Readonly<Record<string, unknown>> = { output: false },
  ): Promise<T> {
    const answer = await this.channel.request(name, argument, { alone: true, options });
    if (is(answer)) return answer;
    throw refusal(`the agent at ${this.address} does not answer "${name}"`, answer);
  }
}

const jobsOf = (jobs: WireJob): Job[] =>
  Object.entries(jobs).flatMap(([id, job]) => (isWireJob(job) ? [toJob(id, job)] : []));

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string');

/** The agent says no with `false`, or with an error that says why. */
export function refusal(what: string, answer: unknown): ClientError {
  const why = isWireJob(answer) ? answer['error'] : undefined;
  return new ClientError('request', typeof why === 'string' ? `${what}: ${why}` : what);
}
