import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/lib/clock.js';
import type { AgentPort, SubmitRequest } from '../../src/protocol/agent.js';
import type { Job } from '../../src/protocol/job.js';
import type { HintListener } from '../../src/watch/hints.js';
import { Ledger } from '../../src/watch/ledger.js';
import { Watcher } from '../../src/watch/watcher.js';
import { quietLog } from '../conformance/harness.js';
import { jobOf, single, temporaryDirectory, watchWith } from '../support/watch-fixtures.js';

afterEach(() => void vi.restoreAllMocks());

/** Takes all jobs; they end when they are told to. */
class Agent implements AgentPort {
  readonly description = 'none';
  readonly requests: SubmitRequest[] = [];
  #tell: (job: Job) => void = () => undefined;
  submit(requests: readonly SubmitRequest[]) {
    this.requests.push(...requests);
    return Promise.resolve(
      requests.map((request) => ({ ok: true as const, job: jobOf(request, 'running') })),
    );
  }
  end(file: string): void {
    this.#tell(
      jobOf(
        this.requests.find(({ spec }) => spec.args[0] === file)!,
        'done',
      ),
    );
  }
  query = () => Promise.resolve(new Map());
  list = () => Promise.resolve([]);
  kill = () => Promise.resolve();
  release = () => Promise.resolve();
  stop = () => Promise.resolve();
  onJob(listener: (job: Job) => void) {
    this.#tell = listener;
    return () => undefined;
  }
}

it('is not settled while it plans, however often it lets the event loop go', async () => {
  const data = temporaryDirectory();
  const ledger = new Ledger(join(temporaryDirectory(), 'watch.db'));
  const agent = new Agent();
  let hint: HintListener['changed'];
  const watcher = new Watcher({
    agent,
    ledger,
    clock: systemClock,
    log: quietLog,
    createHints: (listener) => {
      hint = (...args) => listener.changed(...args);
      const nothing = (): void => undefined;
      return { add: nothing, remove: nothing, awaitPath: nothing, close: nothing };
    },
    onTurn: () => undefined,
  });
  const submitted = (): string[] => agent.requests.map(({ spec }) => spec.args[0]!);
  const drop = (name: string): void => {
    writeFileSync(join(data, name), '');
    hint('', name, 'rename');
  };
  /** whether it says so before it has submitted as many, asked in every turn of the event loop */
  const settledBefore = async (count: number): Promise<boolean> => {
    const answer = { settled: false };
    while (agent.requests.length < count && !answer.settled) {
      void watcher.settled().then(() => (answer.settled = true));
      await nextTurn();
    }
    return answer.settled;
  };
  const { ready } = watchWith();
  await watcher.configure([
    watchWith({ path: data, ready: { ...ready, closed: true }, steps: [single('%(filename)s')] }),
  ]);
  // all work takes so long that it has to let the event loop go
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => (now += 10));
  drop('y');
  drop('x1');
  while (agent.requests.length < 2) await nextTurn();
  agent.end('y');
  // recorded, and planned without it
  while (watcher.status()[0]!.done < 1) await nextTurn();
  // the last job of x1 makes x2
  drop('x2');
  agent.end('x1');
  expect(await settledBefore(3)).toBe(false);
  expect(submitted().toSorted()).toEqual(['x1', 'x2', 'y']);
  agent.end('x2');
  await watcher.settled();
  await watcher.stop();
  ledger.close();
});
