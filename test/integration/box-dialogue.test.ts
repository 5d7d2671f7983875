import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Box, pause } from '../support/box.js';

/**
 * What the Python original's watcher and client say to an agent, as they were overheard, and what they rely on in the
 * answer. `#now` is a time of theirs; `#seq` the highest number they have heard; `#cached` a job as their cache has it,
 * which every answer is merged into; `#kept` the same at the turn `keep`.
 */
interface Turn {
  readonly say?: unknown;
  readonly hear?: unknown;
  /** the same question once more until the job is like this */
  readonly until?: { readonly id: string; readonly is: unknown };
  readonly touch?: string;
  readonly keep?: string;
  readonly pause?: number;
  readonly end?: boolean;
}
interface Dialogue {
  readonly dialogue: string;
  readonly turns: readonly Turn[];
}

const fixture = new URL('../fixtures/wire/dialogues.json', import.meta.url);
const dialogues = JSON.parse(readFileSync(fixture, 'utf8')) as Dialogue[];

let box: Box;
beforeAll(async () => {
  const config = { name: 'n1', pools: { q1: { slots: 4 }, free: {} } };
  box = await Box.start({ config: { ...config, listen: { address: '127.0.0.1', port: 0 } } });
});
afterAll(() => box.remove());

const path = (name: string): string => join(box.directory, name);
const runs = (name: string): number =>
  existsSync(path(name)) ? readFileSync(path(name), 'utf8').split('\n').length - 1 : 0;

describe('dialogues of the original', () => {
  it.each(dialogues.map((one) => [one.dialogue, one] as const))('%s', async (_name, { turns }) => {
    const peer = await Peer.open(box);
    try {
      for (const turn of turns) await peer.take(turn);
    } finally {
      peer.close();
    }
  });

  it('ran what was asked for, and nothing else', () => {
    expect([runs('j.late'), runs('h.late'), runs('stale'), runs('alien')]).toEqual([2, 2, 1, 0]);
  });

  it('answers only what changed after a number', async () => {
    const [first] = (await box.ask('[{"get": {}}]')) as [[{ get: Record<string, { seq: number }> }]];
    const seqs = Object.values(first[0].get)
      .map(({ seq }) => seq)
      .sort((a, b) => a - b);
    const [later] = (await box.ask(`[{"get": {"seq": ${seqs[2]}}}]`)) as (typeof first)[];
    expect(
      Object.values(later![0].get)
        .map(({ seq }) => seq)
        .sort((a, b) => a - b),
    ).toEqual(seqs.slice(3));
  });
});

/** One connection of the original: it sends a line in two pieces, and reads its answer before the next. */
class Peer {
  private received = '';
  private readonly cache: Record<string, Record<string, unknown>> = {};
  private readonly kept: Record<string, Record<string, unknown>> = {};
  private seq = 0;

  private constructor(private readonly socket: Socket) {
    socket.setEncoding('utf8').on('data', (text: string) => (this.received += text));
  }

  static async open({ port }: Box): Promise<Peer> {
    const socket = connect({ host: '127.0.0.1', port });
    await once(socket, 'connect');
    return new Peer(socket);
  }

  close(): void {
    this.socket.destroy();
  }

  async take(turn: Turn): Promise<void> {
    if (turn.touch !== undefined) writeFileSync(path(turn.touch), '');
    if (turn.keep !== undefined) this.kept[turn.keep] = { ...this.cache[turn.keep] };
    if (turn.pause !== undefined) await pause(turn.pause);
    if (turn.say !== undefined) await this.exchange(turn);
    if (turn.end === true) await this.end();
  }

  private async exchange({ say, hear, until }: Turn): Promise<void> {
    for (const end = Date.now() + 60_000; ; await pause(30)) {
      const answer = await this.ask(say);
      if (hear !== undefined) expect(answer).toEqual(like(hear));
      if (until === undefined) return;
      const job = this.cache[until.id];
      const isLike = Object.entries(until.is as object).every(([key, value]) => job?.[key] === value);
      if (isLike) return;
      if (Date.now() > end) expect(job).toEqual(like(until.is));
    }
  }

  private async ask(say: unknown): Promise<unknown> {
    const said = this.filled(say) as { sync?: Record<string, Record<string, unknown>> }[];
    for (const [id, job] of Object.entries(said[0]?.sync ?? {})) this.cache[id] = job;
    this.socket.write(python(said));
    this.socket.write('\n');
    while (!this.received.includes('\n')) await once(this.socket, 'data');
    const [line = '', ...rest] = this.received.split('\n');
    this.received = rest.join('\n');
    const answer = JSON.parse(line) as { get?: Record<string, Record<string, unknown>> }[];
    for (const [id, job] of Object.entries(answer[0]?.get ?? {})) this.learn(id, job);
    return answer;
  }

  /** Its cache takes only what is newer. */
  private learn(id: string, job: Record<string, unknown>): void {
    this.seq = Math.max(this.seq, Number(job['seq']));
    const known = this.cache[id];
    if (known === undefined || Number(known['ts']) < Number(job['ts'])) this.cache[id] = { ...known, ...job };
  }

  private filled(value: unknown): unknown {
    if (value === '#now') return Math.round(performance.timeOrigin * 1000 + performance.now() * 1000) / 1e6;
    if (value === '#seq') return this.seq;
    if (typeof value === 'string') return value.replace('$DIR', box.directory);
    if (Array.isArray(value)) return value.map((item) => this.filled(item));
    if (typeof value !== 'object' || value === null) return value;
    const { '#cached': cached, '#kept': kept, ...rest } = value as Record<string, unknown>;
    return {
      ...(typeof cached === 'string' ? this.cache[cached] : {}),
      ...(typeof kept === 'string' ? this.kept[kept] : {}),
      ...Object.fromEntries(Object.entries(rest).map(([key, item]) => [key, this.filled(item)])),
    };
  }

  private async end(): Promise<void> {
    const closed = once(this.socket, 'end');
    this.socket.end();
    await closed;
  }
}

/** Maps may hold more than is relied on. */
function like(value: unknown): unknown {
  if (value === '#number') return expect.any(Number);
  if (value === '#other') return expect.stringMatching(/not as user 12345/);
  if (value === '#refused') return expect.toSatisfy((answer: object) => Object.values(answer)[0] === false);
  if (Array.isArray(value)) return value.map(like);
  if (typeof value !== 'object' || value === null) return value;
  return expect.objectContaining(
    Object.fromEntries(Object.entries(value).map(([key, item]) => [key, like(item)])),
  );
}

/** JSON as Python writes it: with spaces, and nothing but ASCII. */
function python(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${python(item)}`);
  return `{${entries.join(', ')}}`;
}
