import { readdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AgentPort, SubmitRequest } from '../../src/protocol/agent.js';
import type { Job } from '../../src/protocol/job.js';
import { realFileSystem, type FileSystem } from '../../src/lib/file-system.js';
import type { HintListener } from '../../src/watch/hints.js';
import { leaseContent, readLease } from '../../src/watch/lease.js';
import { Ledger } from '../../src/watch/ledger.js';
import type { LeaseHost } from '../../src/watch/lease-host.js';
import { Watcher } from '../../src/watch/watcher.js';
import { VirtualClock } from '../simulation/clock.js';
import { jobOf, single, temporaryDirectory, watchWith } from '../support/watch-fixtures.js';

const TTL = 30;

/** A watcher on a real directory that was stopped for long and has not noticed yet: none of its timers has fired. */
class Bench {
  readonly data = temporaryDirectory();
  readonly clock = new VirtualClock(20);
  readonly submitted: string[] = [];
  readonly said: string[] = [];
  readonly watcher: Watcher;
  readonly #ledger = new Ledger(join(temporaryDirectory(), 'watch.db'));
  elapsed = 1e6;
  hint!: HintListener['changed'];
  tell!: (job: Job) => void;
  /** the process stands still after the next operation of this name on a path that matches */
  stopAt: { readonly operation: keyof FileSystem; readonly path: RegExp } | undefined;
  readonly requests: SubmitRequest[] = [];
  readonly #abandoned = new Set<string>();
  #ids = 0;

  constructor() {
    const say = (_: unknown, message: string): void => void this.said.push(message);
    this.watcher = new Watcher({
      agent: this.#agent(),
      ledger: this.#ledger,
      clock: this.clock,
      log: { debug: say, info: say, warn: say, error: say },
      host: this.#host(),
      fs: this.#files(),
      createHints: (listener) => {
        this.hint = (...args) => listener.changed(...args);
        return {
          add: () => undefined,
          remove: () => undefined,
          awaitPath: () => undefined,
          close: () => undefined,
        };
      },
      onTurn: () => undefined,
    });
  }

  start = (): Promise<unknown> =>
    this.watcher.configure([watchWith({ path: this.data, lease: TTL, steps: [single('%(filename)s')] })]);

  /** Another machine has taken over while this process was stopped. */
  stopped(): void {
    this.elapsed += 5 * TTL * 1000;
    for (const name of this.leases()) unlinkSync(join(this.data, name));
    const { self } = this.#host();
    const content = leaseContent({
      owner: 'them',
      ...self,
      host: 'them',
      host_id: 'them',
      ttl: TTL,
      renewals: 3,
    });
    writeFileSync(join(this.data, '._w.lease.2'), content);
  }

  leases = (): string[] => readdirSync(this.data).filter((name) => name.includes('.lease.'));

  drop(name: string): void {
    writeFileSync(join(this.data, name), 'x');
    this.hint('', name, 'rename');
  }

  async end(): Promise<void> {
    await this.watcher.stop();
    this.#ledger.close();
  }

  #host(): LeaseHost {
    return {
      self: { host: 'us', host_id: 'us', boot_id: 'b', pid_namespace: 'n', pid: 1, birth: '1' },
      newId: () => `us${++this.#ids}`,
      elapsed: () => this.elapsed,
      isDead: ({ content }) => this.#abandoned.has(readLease(content)?.owner ?? ''),
      abandon: (id) => void this.#abandoned.add(id),
    };
  }

  #files(): FileSystem {
    // time is virtual here: nothing waits for the disk
    const flush = (fd: number): Promise<void> => Promise.resolve(realFileSystem.fdatasyncSync(fd));
    return new Proxy(
      { ...realFileSystem, flush },
      {
        get: (fs, name: keyof FileSystem) => {
          const method = fs[name] as (...args: unknown[]) => unknown;
          return (...args: unknown[]): unknown => {
            const result = method(...args);
            if (this.stopAt?.operation === name && this.stopAt.path.test(String(args[0]))) {
              this.stopAt = undefined;
              this.stopped();
            }
            return result;
          };
        },
      },
    );
  }

  #agent(): AgentPort {
    return {
      description: 'none',
      submit: (requests: readonly SubmitRequest[]) => {
        this.requests.push(...requests);
        this.submitted.push(...requests.map(({ spec }) => spec.args[0]!));
        return Promise.resolve(
          requests.map((request) => ({ ok: true as const, job: jobOf(request, 'running') })),
        );
      },
      query: () => Promise.resolve(new Map()),
      list: () => Promise.resolve([]),
      kill: () => Promise.resolve(),
      release: () => Promise.resolve(),
      onJob: (listener) => {
        this.tell = listener;
        return () => undefined;
      },
      stop: () => Promise.resolve(),
    };
  }
}

/** One that works, with a job for the file `a` under way. */
async function working(): Promise<Bench> {
  const bench = new Bench();
  await bench.start();
  bench.drop('a');
  await bench.clock.pass(100);
  expect(bench.submitted).toEqual(['a']);
  return bench;
}

const markers = (bench: Bench): string[] => readdirSync(bench.data).filter((name) => name.startsWith('._w_'));

describe('a watcher that lost its lease and has not noticed', () => {
  it('submits nothing, and stands by', async () => {
    const bench = await working();
    bench.drop('b');
    bench.stopped();
    await bench.clock.pass(100);
    expect(bench.submitted).toEqual(['a']);
    expect(bench.said.join('\n')).toMatch(/is lost: process 1 on them works on it/);
    expect(bench.watcher.status()[0]!.problems).toEqual(['standing by: process 1 on them works on it']);
    await bench.end();
    expect(bench.leases()).toEqual(['._w.lease.2']);
  });

  it('submits nothing, when it was stopped in the middle of a turn', async () => {
    const bench = await working();
    bench.drop('b');
    bench.stopAt = { operation: 'accessSync', path: /./ };
    await bench.clock.pass(100);
    expect(bench.stopAt).toBeUndefined();
    expect(bench.submitted).toEqual(['a']);
    await bench.end();
  });

  it('records nothing', async () => {
    const bench = await working();
    bench.stopped();
    bench.tell(jobOf(bench.requests[0]!, 'failed'));
    await bench.clock.pass(5000);
    expect(markers(bench)).toEqual([]);
    await bench.end();
  });

  it('puts no marker into place, when it was stopped while writing it', async () => {
    const bench = await working();
    bench.stopAt = { operation: 'openSync', path: /\._w_0_a\.failed\.tmp$/ };
    bench.tell(jobOf(bench.requests[0]!, 'failed'));
    await bench.clock.pass(5000);
    expect(bench.stopAt).toBeUndefined();
    expect(markers(bench).filter((name) => !name.endsWith('.tmp'))).toEqual([]);
    await bench.end();
  });

  it('removes no marker of a file that is gone', async () => {
    const bench = await working();
    bench.tell(jobOf(bench.requests[0]!, 'done'));
    await bench.clock.pass(100);
    expect(markers(bench)).toEqual(['._w_0_a.done']);
    bench.stopped();
    unlinkSync(join(bench.data, 'a'));
    bench.hint('', 'a', 'rename');
    await bench.clock.pass(5000);
    expect(markers(bench)).toEqual(['._w_0_a.done']);
    await bench.end();
  });

  it('goes on when nobody took over', async () => {
    const bench = await working();
    bench.elapsed += 5 * TTL * 1000;
    bench.drop('b');
    await bench.clock.pass(100);
    expect(bench.submitted).toEqual(['a', 'b']);
    await bench.end();
    expect(bench.leases()).toEqual([]);
  });
});
