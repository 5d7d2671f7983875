import { UserError } from '../../../lib/errors.js';
import { printable } from '../../../lib/text.js';
import type { Job } from '../../../protocol/job.js';
import { isFinished } from '../../../protocol/states.js';
import type { Client } from '../../../client/api.js';
import { clientExit, type Call } from '../context.js';
import { FileTail } from '../file-tail.js';
import { RemoteTail } from '../remote-tail.js';

const READ_EVERY = 200;
const streams = ['stdout', 'stderr'] as const;

/** `logs [-f] JOB`: what the job wrote, its standard error on ours; -f goes on to its end */
export async function logsCommand(call: Call): Promise<number> {
  const [id, ...more] = call.words;
  if (id === undefined || more.length > 0) throw new UserError('give one job: logs [-f] JOB');
  const client = await call.connect();
  const job = await client.get(id);
  if (job === undefined) {
    call.context.err(`meeseeks-client: there is no job ${printable(id)}\n`);
    return clientExit.refused;
  }
  if (call.flags.has('follow')) await follow(job, client, call);
  else await new Printer(client, call).finish(job);
  return clientExit.ok;
}

async function follow(first: Job, client: Client, call: Call): Promise<void> {
  const printer = new Printer(client, call);
  const ended = isFinished(first.state) ? Promise.resolve(first) : client.wait(first.id);
  for (let job = first; ;) {
    await printer.read(job);
    const pause = new Promise<undefined>((resolve) => {
      call.context.clock.after(READ_EVERY, () => resolve(undefined));
    });
    const end = await Promise.race([ended, pause]);
    if (end !== undefined) return printer.finish(end);
    if (job.state !== 'running') job = (await client.list({ ids: [first.id] }))[0] ?? job;
  }
}

/** Prints each byte of a job's streams once: from its files where they can be read, else from the agent, or its record. */
class Printer {
  readonly #tails = new Map<string, FileTail>();
  readonly #remote = new Map<string, RemoteTail>();
  readonly #isReadable = new Set<string>();

  constructor(
    private readonly client: Client,
    private readonly call: Call,
  ) {}

  /** What is new in the files. */
  async read(job: Job): Promise<void> {
    for (const stream of streams) await this.#read(job, stream);
  }

  /** The rest, and where it is when it cannot be read from here. */
  async finish(job: Job): Promise<void> {
    for (const stream of streams) {
      if ((await this.#read(job, stream)) || this.#remote.has(stream)) continue;
      const data = job[`${stream}_data`];
      if (data !== undefined) this.#print(stream, Buffer.from(data, 'base64'));
      else this.#note(job, stream);
    }
  }

  async #read(job: Job, stream: 'stdout' | 'stderr'): Promise<boolean> {
    if (!this.#remote.has(stream) && (await this.#readFile(job, stream))) {
      this.#isReadable.add(stream);
      return true;
    }
    if (this.#isReadable.has(stream) || job[stream] !== undefined) return false;
    const tail = this.#remote.get(stream) ?? new RemoteTail(this.client, job.id, stream);
    const isTold = await tail.read((bytes) => this.#print(stream, bytes));
    if (isTold) this.#remote.set(stream, tail);
    return isTold;
  }

  async #readFile(job: Job, stream: 'stdout' | 'stderr'): Promise<boolean> {
    const path = job[`${stream}_path`];
    if (path === undefined || !this.client.isLocal) return false;
    const tail = this.#tails.get(path) ?? new FileTail(path);
    this.#tails.set(path, tail);
    return tail.read((bytes) => this.#print(stream, bytes));
  }

  #print(stream: 'stdout' | 'stderr', bytes: Buffer): void {
    const { outBytes, errBytes } = this.call.context;
    (stream === 'stdout' ? outBytes : errBytes)(bytes);
  }

  #note(job: Job, stream: 'stdout' | 'stderr'): void {
    const { err } = this.call.context;
    if (job[stream] !== undefined)
      err(
        `meeseeks-client: ${stream} is in ${printable(job[stream])}${job.node === '' ? '' : ` on ${job.node}`}\n`,
      );
    else if (stream === 'stdout' && !isFinished(job.state))
      err(
        `meeseeks-client: job ${printable(job.id)} is ${job.state}; its output comes with its end: logs -f waits\n`,
      );
  }
}
