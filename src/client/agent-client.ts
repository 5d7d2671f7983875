import type { AgentPort, JobFilter, SubmitRequest, SubmitResult } from '../protocol/agent.js';
import type { Job, JobSpec, JobState } from '../protocol/job.js';
import { Channel } from './channel.js';
import { ClientError } from './errors.js';
import { Feed } from './feed.js';
import type { Greeting } from './hello.js';
import { endpointOf, type ConnectOptions, type Endpoint } from './options.js';
import { killInOriginal, listOriginal, Memory } from './original.js';
import { Presence } from './presence.js';
import { submitAs } from './submit.js';
import { isWireJob, toJob } from './wire-job.js';

/** Ids in one request for jobs with their output, of at most 2 MiB each: an answer has a bound. */
const IDS_IN_A_REQUEST = 8;
const IDS_WITHOUT_OUTPUT = 1000;

export interface JobEnvironment {
  readonly variables: Readonly<Record<string, string>>;
  /** whether an agent of protocol 1 gets them too, which shows them to anybody */
  readonly evenIfShown: boolean;
}

/**
 * An agent at the other end of a connection, as the watcher sees it. It is patient: an agent that is away or starts
 * again is tried until it is there, and requests wait for it. `stop` of any mode only disconnects; the jobs are the
 * agent's.
 *
 * @param env variables of every job that its own spec does not set
 */
export function createAgentClient(
  options: ConnectOptions,
  env: JobEnvironment = { variables: {}, evenIfShown: false },
): AgentPort {
  return new AgentClient(options, env);
}

class AgentClient implements AgentPort {
  readonly description: string;
  readonly #endpoint: Endpoint;
  readonly #channel: Channel;
  readonly #presence: Presence;
  /** empty with an agent that keeps its results */
  readonly #memory = new Memory();
  readonly #listeners = new Set<(job: Job) => void>();
  #feed: Feed | undefined;

  constructor(
    private readonly options: ConnectOptions,
    private readonly env: JobEnvironment,
  ) {
    this.#endpoint = endpointOf(options);
    this.#presence = new Presence(this.#endpoint.name, options.onStatus);
    const patience = { patienceAtStart: Infinity, patience: Infinity };
    this.#channel = new Channel(this.#endpoint, { ...patience, presence: this.#presence });
    this.description = `agent at ${this.#endpoint.name}${options.ssl === undefined ? '' : ' (TLS)'}`;
  }

  async submit(requests: readonly SubmitRequest[]): Promise<SubmitResult[]> {
    await this.#listening();
    const agent = await this.#channel.greeting();
    return Promise.all(
      requests.map(async ({ key, spec }) => {
        try {
          const whole = { ...spec, ...this.#environment(agent, spec.env), key };
          const job = await submitAs(this.#channel, agent, whole);
          if (agent.protocol < 2) this.#memory.add(job);
          return { ok: true as const, job };
        } catch (error) {
          if (error instanceof ClientError && error.code === 'request')
            return { ok: false as const, error: error.message };
          throw error;
        }
      }),
    );
  }

  async query(ids: readonly string[]): Promise<Map<string, Job>> {
    await this.#listening();
    const answers = await Promise.all(chunks(ids, IDS_IN_A_REQUEST).map((some) => this.#get({ ids: some })));
    const jobs = new Map(answers.flat().map((job) => [job.id, job]));
    for (const id of ids) {
      const job = jobs.get(id);
      const last = job === undefined ? this.#memory.lastWord(id) : undefined;
      if (job !== undefined) this.#memory.note(job);
      else if (last !== undefined) jobs.set(id, last);
    }
    return jobs;
  }

  async list(filter: JobFilter = {}): Promise<Job[]> {
    await this.#listening();
    const tag = filter.tag === undefined ? {} : { tag: filter.tag };
    const jobs = (
      await Promise.all(asked(filter.states).map((one) => this.#get({ ...tag, ...one }, false)))
    ).flat();
    return jobs.filter((job) => filter.states === undefined || filter.states.includes(job.state));
  }

  async kill(ids: readonly string[]): Promise<void> {
    const { protocol } = await this.#channel.greeting();
    const kill = (some: readonly string[]): Promise<unknown> =>
      protocol < 2 ? killInOriginal(this.#channel, some) : this.#channel.request('kill', some);
    await Promise.all(chunks(ids, IDS_WITHOUT_OUTPUT).map(kill));
  }

  async release(ids: readonly string[]): Promise<void> {
    this.#memory.forget(ids);
    const { protocol } = await this.#channel.greeting();
    if (protocol < 2) return;
    await Promise.all(
      chunks(ids, IDS_WITHOUT_OUTPUT).map((some) => this.#channel.request('release', { ids: some })),
    );
  }

  onJob(listener: (job: Job) => void): () => void {
    this.#listeners.add(listener);
    this.#feed ??= new Feed(this.#endpoint, {
      filter: {},
      refresh: (this.options.refresh ?? 1) * 1000,
      patience: Infinity,
      presence: this.#presence,
      onJob: (id, wire) => {
        const job = toJob(id, wire);
        this.#memory.note(job);
        this.#tell(job);
      },
      onAll: (known) => void this.#missed(known).catch(() => undefined),
    });
    return () => this.#listeners.delete(listener);
  }

  stop(): Promise<void> {
    this.#feed?.close();
    this.#channel.close();
    return Promise.resolve();
  }

  #environment({ protocol }: Greeting, own: JobSpec['env']): Pick<JobSpec, 'env'> {
    const ours = protocol >= 2 || this.env.evenIfShown ? this.env.variables : {};
    const env = { ...ours, ...own };
    return Object.keys(env).length === 0 ? {} : { env };
  }

  #tell(job: Job): void {
    for (const tell of this.#listeners) tell(job);
  }

  /** After a break: open jobs the agent has not listed are asked for, and told as what they are now. */
  async #missed(known: ReadonlySet<string>): Promise<void> {
    const jobs = await this.query(this.#memory.missing(known));
    for (const job of jobs.values()) this.#tell(job);
  }

  /** Who listens misses nothing of what is asked for after. */
  async #listening(): Promise<void> {
    await this.#feed?.ready;
  }

  async #get(filter: Readonly<Record<string, unknown>>, output = true): Promise<Job[]> {
    const { protocol } = await this.#channel.greeting();
    const jobs =
      protocol < 2
        ? await listOriginal(this.#channel, filter)
        : await this.#channel.request('get', filter, { alone: true, options: { output } });
    if (!isWireJob(jobs)) throw new ClientError('protocol', `${this.#endpoint.name} does not list its jobs`);
    return Object.entries(jobs).flatMap(([id, job]) => (isWireJob(job) ? [toJob(id, job)] : []));
  }
}

/** A job that is being killed is `killed` on the wire, and still running for us. */
function asked(states: JobFilter['states']): { state?: JobState }[] {
  if (states === undefined) return [{}];
  return [...new Set(states.includes('running') ? [...states, 'killed' as const] : states)].map((state) => ({
    state,
  }));
}

const chunks = <T>(items: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
