import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { ConnectOptions } from '../../../src/client/options.js';

type Job = Record<string, unknown>;
type Request = Readonly<Record<string, unknown>>;

interface FakeOptions {
  readonly protocol: 1 | 2;
  /** answers a request by name before the fake itself does; undefined leaves it to the fake */
  readonly answer?: (name: string, argument: unknown) => unknown;
  /** takes a whole line instead of all that; true: it was taken */
  readonly line?: (line: string, socket: Socket) => boolean;
  readonly path?: string;
  readonly port?: number;
  /** where the sequence numbers go on after a restart */
  readonly seq?: number;
}

/** An agent that speaks the recorded lines and runs nothing: tests say what happens to its jobs. */
export class FakeAgent {
  readonly jobs = new Map<string, Job>();
  /** every request but hello, in order */
  readonly requests: Request[] = [];
  /** requests in each line */
  readonly lineSizes: number[] = [];
  connections = 0;
  #seq: number;
  readonly #sockets = new Set<Socket>();
  readonly #watchers = new Map<Socket, number>();
  readonly #waiters = new Set<() => void>();

  private constructor(
    readonly options: FakeOptions,
    private readonly server: Server,
  ) {
    this.#seq = options.seq ?? 0;
    server.on('connection', (socket) => this.#serve(socket));
  }

  static async listen(options: FakeOptions): Promise<FakeAgent> {
    const server = createServer();
    const agent = new FakeAgent(options, server);
    if (options.path === undefined) server.listen(options.port ?? 0, '127.0.0.1');
    else server.listen(options.path);
    await once(server, 'listening');
    return agent;
  }

  get where(): ConnectOptions & { port: number } {
    const { path } = this.options;
    if (path !== undefined) return { address: path, port: 0 };
    return { address: '127.0.0.1', port: (this.server.address() as AddressInfo).port };
  }

  /** Changes a job as a pool would, and tells who watches. */
  change(id: string, changes: Job): void {
    const job: Job = { ...this.jobs.get(id), ...changes, id, seq: ++this.#seq, ts: Date.now() / 1000 };
    this.jobs.set(id, job);
    for (const [socket, since] of this.#watchers)
      if (Number(job['seq']) > since) send(socket, [{ event: { job, seq: job['seq'] } }]);
  }

  /** Sequence numbers start again, as after a restart of the original. */
  resetSeq(): void {
    this.#seq = 0;
    for (const [id, job] of this.jobs) this.jobs.set(id, { ...job, seq: ++this.#seq });
  }

  /** Resolves when a request for which `is` holds has come. */
  async received(is: (request: Request) => boolean): Promise<void> {
    while (!this.requests.some(is)) {
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
  }

  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.drop();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.connections++;
    this.#sockets.add(socket);
    let held = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      const lines = (held + chunk).split('\n');
      held = lines.pop()!;
      for (const line of lines) this.#line(line, socket);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#watchers.delete(socket);
    });
  }

  #line(line: string, socket: Socket): void {
    if (line === '') return void socket.end();
    if (this.options.line?.(line, socket) === true) return;
    const requests = JSON.parse(line) as Request[];
    const answers: Request[] = [];
    for (const request of requests) {
      const answer = this.#answer(request, socket);
      answers.push(answer);
      if ('error' in answer) break;
    }
    this.lineSizes.push(requests.length);
    send(socket, answers);
  }

  #answer(request: Request, socket: Socket): Request {
    const [name, argument] = Object.entries(request)[0] ?? ['', undefined];
    if (this.options.protocol === 1 && Object.keys(request).length > 1)
      return { error: 'the original knows no such options' };
    if (name !== 'hello') this.requests.push(request);
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
    const special = this.options.answer?.(name, argument);
    if (special !== undefined) return isError(special) ? { error: special.message } : { [name]: special };
    const value = this.#own(name, argument, socket);
    return value === undefined ? {} : { [name]: value };
  }

  #own(name: string, argument: unknown, socket: Socket): unknown {
    const isNew = this.options.protocol === 2;
    if (name === 'hello') return isNew ? { protocol: 2, server: 'fake', version: '0' } : undefined;
    if (name === 'watch') return isNew ? this.#watch(argument as Request, socket) : undefined;
    if (name === 'release') return isNew ? 1 : undefined;
    if (name === 'job') return this.jobs.get(argument as string) ?? null;
    if (name === 'get') return Object.fromEntries(this.#select(argument as Request));
    if (name === 'ls') return this.#select(argument as Request).map(([id]) => id);
    if (name === 'submit') return this.#submit(argument as Job);
    if (name === 'kill') return this.#kill(argument);
    if (name === 'nodes')
      return { n1: { online: true, loadavg: 0.5, ts: 1, pools: { q1: 4 }, routing: ['n1'] } };
    if (name === 'pools') return { q1: { n1: 4 } };
    if (name === 'modify')
      return Object.fromEntries(
        Object.entries(argument as Request).map(([id, keys]) => [id, this.#modify(id, keys as Job)]),
      );
    return undefined;
  }

  #modify(id: string, keys: Job): unknown {
    if (!this.jobs.has(id)) return false;
    this.change(id, keys);
    return this.jobs.get(id);
  }

  #watch({ seq }: Request, socket: Socket): unknown {
    const since = typeof seq === 'number' ? seq : this.#seq;
    this.#watchers.set(socket, since);
    const missed = [...this.jobs.values()].filter((job) => Number(job['seq']) > since);
    setImmediate(() => {
      for (const job of missed) send(socket, [{ event: { job, seq: job['seq'] } }]);
    });
    return { seq: since };
  }

  #select({ ids, seq, tag, ...attributes }: Request): [string, Job][] {
    const wanted = ids === undefined ? undefined : [ids].flat();
    return [...this.jobs].filter(
      ([id, job]) =>
        (wanted === undefined || wanted.includes(id)) &&
        (seq === undefined || Number(job['seq']) > Number(seq)) &&
        (tag === undefined || [job['tags']].flat().includes(tag)) &&
        Object.entries(attributes).every(([key, value]) => job[key] === value),
    );
  }

  #submit({ id = `made-${this.#seq}`, ...spec }: Job): unknown {
    const known = this.jobs.get(id as string);
    if (spec['pool'] === undefined && known === undefined) return { [id as string]: false };
    if (known !== undefined && (this.options.protocol === 1 || known['key'] !== spec['key']))
      this.change(id as string, known['state'] === 'running' ? { tags: spec['tags'] } : spec);
    else if (known === undefined)
      this.change(id as string, {
        submit_ts: Date.now() / 1000,
        node: false,
        state: 'new',
        start_count: 0,
        fail_count: 0,
        tags: [null],
        ...keep(spec, this.options.protocol),
      });
    return { [id as string]: this.jobs.get(id as string) };
  }

  #kill(which: unknown): unknown {
    const ids = Array.isArray(which) ? (which as string[]) : typeof which === 'string' ? [which] : [];
    return Object.fromEntries(
      ids.map((id) => {
        if (this.jobs.has(id)) this.change(id, { state: 'killed', active: true });
        return [id, this.jobs.get(id) ?? false];
      }),
    );
  }
}

const original = new Set(
  'pool args node tags env restart retries hold runtime stdin stdout stderr'.split(' '),
);

/** The original keeps the keys it knows. */
function keep(spec: Job, protocol: 1 | 2): Job {
  if (protocol === 2) return spec;
  return Object.fromEntries(Object.entries(spec).filter(([key]) => original.has(key)));
}

const isError = (value: unknown): value is Error => value instanceof Error;

function send(socket: Socket, value: unknown): void {
  socket.write(`${JSON.stringify(value)}\n`);
}
