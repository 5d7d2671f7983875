import { afterEach, beforeEach, expect, it } from 'vitest';
import { join } from 'node:path';
import type { AgentPort, SubmitRequest, SubmitResult } from '../../../src/protocol/agent.js';
import type { Job } from '../../../src/protocol/job.js';
import { Ledger, type Submission } from '../../../src/watch/ledger.js';
import { Tracker } from '../../../src/watch/tracker.js';
import { identityWith, jobWith, ManualClock, NOW, temporaryDirectory } from '../../support/watch-fixtures.js';

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
let ledger: Ledger;
let tracker: Tracker;
let clock: ManualClock;
let answers: ((jobs: Map<string, Job>) => void)[];
let submits: {
  requests: readonly SubmitRequest[];
  answer: (results: SubmitResult[]) => void;
  fail: () => void;
}[];

beforeEach(() => {
  ledger = new Ledger(join(temporaryDirectory(), 'watch.db'));
  clock = new ManualClock(NOW);
  answers = [];
  submits = [];
  const agent = {
    submit: (requests: readonly SubmitRequest[]) =>
      new Promise<SubmitResult[]>((answer, reject) =>
        submits.push({ requests, answer, fail: () => reject(new Error('connection lost')) }),
      ),
    query: () => new Promise<Map<string, Job>>((answer) => answers.push(answer)),
    release: () => Promise.resolve(),
  } as unknown as AgentPort;
  tracker = new Tracker(
    'w',
    's',
    agent,
    ledger,
    clock,
    quiet,
    () => undefined,
    () => undefined,
  );
});
afterEach(() => ledger.close());

const submission = (path: string, attempt: number): Submission => ({
  ...ledger.prepare(
    { scope: 's', watch: 'w', step: 0, path, identity: identityWith(), attempt },
    `job-${path}`,
    false,
  ),
});
const spec = { pool: 'p', args: ['true'] };
const jobOf = ({ jobId, key }: Submission, state: Job['state']): Job => ({
  ...jobWith(),
  id: jobId,
  key,
  state,
  active: state === 'running',
});
const settle = (): Promise<void> => new Promise((done) => setImmediate(done));

async function taken(one: Submission): Promise<void> {
  tracker.submit([{ submission: one, spec }]);
  submits.at(-1)!.answer([{ ok: true, job: jobOf(one, 'running') }]);
  await settle();
}

it('an answer of before does not make a new attempt under the same id a lost one', async () => {
  const first = submission('a', 1);
  await taken(first);
  tracker.refresh();
  tracker.noticed(jobOf(first, 'failed'));
  tracker.close(tracker.takeFinished());
  const second = submission('a', 2);
  await taken(second);
  answers[0]!(new Map([[first.jobId, jobOf(first, 'failed')]]));
  await settle();
  expect(tracker.takeFinished()).toEqual([]);
  expect(tracker.inFlight('a')).toMatchObject({ attempt: 2 });
});

it('a job the agent took and does not know any more is lost', async () => {
  const one = submission('a', 1);
  await taken(one);
  tracker.refresh();
  answers[0]!(new Map());
  await settle();
  expect(tracker.takeFinished()).toMatchObject([
    { submission: one, job: { state: 'failed', reason: 'lost' } },
  ]);
});

it('one whose submit is still under way is not lost', async () => {
  tracker.submit([{ submission: submission('a', 1), spec }]);
  tracker.refresh();
  answers[0]!(new Map());
  await settle();
  expect(tracker.takeFinished()).toEqual([]);
});

it('of a batch whose answer was lost, what is over is not offered again', async () => {
  const [a, b] = [submission('a', 1), submission('b', 1)];
  tracker.submit([a, b].map((one) => ({ submission: one, spec })));
  submits[0]!.fail();
  await settle();
  tracker.noticed(jobOf(a, 'done'));
  tracker.close(tracker.takeFinished());
  await clock.advance(1000);
  await settle();
  expect(submits[1]!.requests.map((request) => request.spec.id)).toEqual([b.jobId]);
});
