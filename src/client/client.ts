import type { Change, Changes, Client, Filter, Node, Output, Pools, Submission, Summary } from './api.js';
import { Channel } from './channel.js';
import { ClientError } from './errors.js';
import type { Greeting } from './hello.js';
import { isLocal } from './local.js';
import { endpointOf, type ConnectOptions, type Endpoint } from './options.js';
import { Presence } from './presence.js';
import { summarise, summaryOf } from './summary.js';
import type { Waits } from './wait.js';
import { isWireJob, slotsOf, toJob, type WireJob } from './wire-job.js';
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

/** What only some programs need is loaded when they do: short commands spend most of their time on being loaded. */
class RemoteClient implements Client {
  readonly address: string;
  readonly isLocal: boolean;
  readonly #stop = new AbortController();
  #waits: Promise<Waits> | undefined;

  constructor(
    private readonly endpoint: Endpoint,
    private readonly channel: Channel,
    private readonly follow: FollowOptions,
  ) {
    this.address = endpoint.name;
    this.isLocal = isLocal(endpoint);
  }

  get agent(): Greeting {
    return this.channel.lastGreeting;
  }

  async submit(spec: Submission): Promise<Job> {
    const { submitAs } = await import('./submit.js');
    return submitAs(this.channel, this.agent, spec);
  }

  async submitToAll(spec: Submission): Promise<Job[]> {
    const { submitToAll } = await import('./submit.js');
    return submitToAll(this.channel, this.agent, spec);
  }

  get(id: string): Promise<Job | undefined> {
    return this.#look(id, true);
  }

  async list(filter: Filter = {}, { output = false } = {}): Promise<Job[]> {
    if (this.agent.protocol < 2) {
      const { listOriginal } = await import('./original.js');
      return jobsOf(this.#is(await listOriginal(this.channel, filter), isWireJob, 'get'));
    }
    return jobsOf(await this.#ask('get', filter, isWireJob, { output }));
  }

  async summary(
    filter: Filter,
    { newest, active = false }: { readonly newest: number; readonly active?: boolean },
  ): Promise<Summary> {
    if (this.agent.protocol >= 2 && Number.isFinite(newest)) {
      const answer = await this.channel.request('stat', { filter, newest, active }, { alone: true });
      const summary = summaryOf(answer);
      if (summary !== undefined) return summary;
    }
    return summarise(await this.list(filter), active);
  }

  ids(filter: Filter = {}): Promise<string[]> {
    return this.#ask('ls', filter, isTexts);
  }

  async modify(id: string, changes: Changes): Promise<Job> {
    const answer =
      this.agent.protocol < 2
        ? await (await import('./original.js')).modifyInOriginal(this.channel, id, changes)
        : await this.channel.request('modify', { [id]: changes });
    const job = isWireJob(answer) ? answer[id] : undefined;
    if (!isWireJob(job)) throw refusal(`job ${id} cannot be changed`, job);
    return toJob(id, job);
  }

  async kill(which: string | readonly string[] | Filter): Promise<Job[]> {
    if (this.agent.protocol < 2) {
      const { killInOriginal } = await import('./original.js');
      return jobsOf(this.#is(await killInOriginal(this.channel, which), isWireJob, 'kill'));
    }
    return jobsOf(await this.#ask('kill', which, isWireJob));
  }

  async wait(id: string, signal?: AbortSignal): Promise<Job> {
    const either = signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
    this.#waits ??= import('./wait.js').then(({ Waits }) => new Waits(this.endpoint, this.follow));
    return (await this.#waits).wait(id, (output) => this.#look(id, output), either);
  }

  async *events(filter: Filter = {}, signal?: AbortSignal): AsyncIterableIterator<Change> {
    const either = signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
    const { events } = await import('./events.js');
    yield* events(this.endpoint, this.follow, filter, either);
  }

  async output(id: string): Promise<Output> {
    const job = await this.get(id);
    if (job === undefined) throw new ClientError('request', `there is no job ${id}`);
    const decode = (data: string | undefined): Buffer => Buffer.from(data ?? '', 'base64');
    return { stdout: decode(job.stdout_data), stderr: decode(job.stderr_data) };
  }

  async nodes(): Promise<Record<string, Node>> {
    const nodes = await this.#ask('nodes', {}, (value): value is Record<string, Node> => isWireJob(value));
    return Object.fromEntries(
      Object.entries(nodes).map(([name, { pools, ...node }]) => [
        name,
        { ...node, ...(isWireJob(pools) && { pools: slotsOf(pools) }) },
      ]),
    );
  }

  async pools(): Promise<Pools> {
    const pools = await this.#ask('pools', {}, isWireJob);
    return Object.fromEntries(
      Object.entries(pools).flatMap(([pool, nodes]) => (isWireJob(nodes) ? [[pool, slotsOf(nodes)]] : [])),
    );
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
    return this.#is(await this.channel.request(name, argument, { alone: true, options }), is, name);
  }

  #is<T>(answer: unknown, is: (value: unknown) => value is T, name: string): T {
    if (is(answer)) return answer;
    const whose = this.agent.protocol < 2 ? ', which speaks the protocol of the Python original,' : '';
    throw refusal(`the agent at ${this.address}${whose} does not answer "${name}"`, answer);
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
