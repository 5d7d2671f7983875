import { afterEach, describe, expect, it } from 'vitest';
import { createAgentClient } from '../../../src/client/agent-client.js';
import type { AgentPort } from '../../../src/protocol/agent.js';
import type { Job } from '../../../src/protocol/job.js';
import { toJob } from '../../../src/client/wire-job.js';
import { FakeAgent } from './fake-agent.js';

let agent: FakeAgent;
let port: AgentPort;
let status: string[] = [];
afterEach(async () => {
  await port.stop('leave');
  await agent.close();
  status = [];
});

const submission = (id: string, key = 'k', more = {}) => ({
  key,
  spec: { id, pool: 'p', args: ['true'], ...more },
});
const open = (where = agent.where): AgentPort =>
  (port = createAgentClient({
    ...where,
    refresh: 0.02,
    timeout: 20,
    onStatus: (what, message) => void status.push(`${what}: ${message}`),
  }));

/** Resolves with the jobs told, when one is as wanted. */
function told(wanted: (job: Job) => boolean): Promise<Job[]> {
  const jobs: Job[] = [];
  return new Promise((resolve) => {
    port.onJob((job) => {
      jobs.push(job);
      if (wanted(job)) resolve(jobs);
    });
  });
}

describe.each([2, 1] as const)('the port over protocol %i', (protocol) => {
  it('takes a second submit of id and key as the first, and starts a finished job anew under another key', async () => {
    agent = await FakeAgent.listen({ protocol });
    open();
    const [first] = await port.submit([submission('a')]);
    expect(first).toMatchObject({ ok: true, job: { id: 'a', key: 'k', state: 'new' } });
    agent.change('a', { state: 'done', active: false, rc: 0 });
    const [again] = await port.submit([submission('a')]);
    expect(again).toMatchObject({ ok: true, job: { state: 'done', key: 'k' } });
    const submitsBefore = agent.requests.filter((request) => 'submit' in request).length;
    const [anew] = await port.submit([submission('a', 'other', { tags: ['t'] })]);
    expect(anew).toMatchObject({ ok: true, job: { key: 'other', tags: ['t'] } });
    expect(agent.requests.filter((request) => 'submit' in request)).toHaveLength(submitsBefore + 1);
  });

  it('reports a refused submission alone', async () => {
    agent = await FakeAgent.listen({
      protocol,
      answer: (name, argument) =>
        name === 'submit' && (argument as Job).id === 'b' ? { b: false } : undefined,
    });
    open();
    const results = await port.submit(['a', 'b', 'c'].map((id) => submission(id)));
    expect(results.map(({ ok }) => ok)).toEqual([true, false, true]);
  });

  it('queries, lists and kills', async () => {
    agent = await FakeAgent.listen({ protocol });
    open();
    await port.submit(Array.from({ length: 30 }, (_, i) => submission(`j${i}`, 'k', { tags: ['t'] })));
    agent.change('j1', { state: 'failed', active: false, rc: 3 });
    agent.change('j2', { state: 'running', active: true });
    const jobs = await port.query([...Array.from({ length: 30 }, (_, i) => `j${i}`), 'nosuch']);
    expect(jobs.size).toBe(30);
    expect(jobs.get('j1')).toMatchObject({ state: 'failed', rc: 3, reason: 'exit' });
    await port.kill(['j2']);
    const found = await port.list({ states: ['running', 'failed'], tag: 't' });
    expect(Object.fromEntries(found.map((job) => [job.id, job.state]))).toEqual({
      j1: 'failed',
      j2: 'running',
    });
    agent.change('j2', { state: 'killed', active: false, rc: -15 });
    expect((await port.list({ states: ['killed'] })).map((job) => [job.id, job.reason])).toEqual([
      ['j2', 'kill'],
    ]);
    await port.release(['j1']);
    expect(agent.requests.some((request) => 'release' in request)).toBe(protocol === 2);
  });

  it('tells every change after onJob, also what happened during a break, and says once that the agent was away', async () => {
    agent = await FakeAgent.listen({ protocol });
    agent.change('old', { state: 'done', active: false });
    open();
    const done = told((job) => job.id === 'a' && job.state === 'done');
    await port.submit([submission('a'), submission('b')]);
    agent.change('a', { state: 'running', active: true });
    const { port: number } = agent.where;
    const jobs = [...agent.jobs];
    await agent.close();
    agent = await FakeAgent.listen({ protocol, port: number, seq: protocol === 2 ? 100 : 0 });
    for (const [id, job] of jobs) agent.change(id, job);
    if (protocol === 1) agent.resetSeq();
    agent.change('a', { state: 'done', active: false, rc: 0 });
    const seen = await done;
    expect(seen.findLast((job) => job.id === 'a')).toMatchObject({ state: 'done', rc: 0 });
    const [result] = await port.submit([submission('c')]);
    expect(result?.ok).toBe(true);
    expect(status.filter((line) => line.startsWith('away'))).toHaveLength(1);
    expect(status.at(-1)).toMatch(/^back/);
  });

  it('waits for an agent that is not there yet', async () => {
    agent = await FakeAgent.listen({ protocol });
    const { where } = agent;
    await agent.close();
    open(where);
    const submitted = port.submit([submission('a')]);
    port.onJob(() => undefined);
    await expect.poll(() => status.length).toBe(1);
    agent = await FakeAgent.listen({ protocol, port: where.port });
    expect((await submitted)[0]).toMatchObject({ ok: true });
    expect(status).toHaveLength(2);
  });

  it('stops at once, whatever waits', async () => {
    agent = await FakeAgent.listen({ protocol, line: () => true });
    open();
    port.onJob(() => undefined);
    const submitted = port.submit([submission('a')]);
    await port.stop('drain');
    await expect(submitted).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('the port over protocol 1, where the agent forgets', () => {
  it('tells an open job as lost after a restart, keeps a result until it is released', async () => {
    agent = await FakeAgent.listen({ protocol: 1 });
    open();
    const ended = told(({ id, state }) => id === 'over' && state === 'done');
    await port.submit([submission('open'), submission('over')]);
    agent.change('open', { state: 'running', active: true, pid: 5 });
    agent.change('over', { state: 'done', active: false, rc: 0, start_count: 1, stdout_data: 'aGkK' });
    await ended;
    const lost = told(({ id, state }) => id === 'open' && state === 'failed');
    const { port: number } = agent.where;
    await agent.close();
    agent = await FakeAgent.listen({ protocol: 1, port: number });
    const job = (await lost).at(-1);
    expect(job).toMatchObject({ id: 'open', key: 'k', state: 'failed', reason: 'lost', active: false });
    expect(job).not.toHaveProperty('pid');
    const known = await port.query(['open', 'over', 'never']);
    expect([...known.keys()]).toEqual(['open', 'over']);
    expect(known.get('open')).toEqual(job);
    expect(known.get('over')).toMatchObject({ state: 'done', rc: 0, stdout_data: 'aGkK', stderr_data: '' });
    await port.release(['open', 'over']);
    expect((await port.query(['open', 'over'])).size).toBe(0);
  });

  it('looks again before it repeats a submit whose answer was lost', async () => {
    let lost = 0;
    agent = await FakeAgent.listen({
      protocol: 1,
      line: (line, socket) => {
        if (!line.includes('"submit"') || lost++ > 0) return false;
        // it was carried out, and ended, before the connection broke
        agent.change('a', { state: 'done', active: false, rc: 0, start_count: 1, tags: ['key:k'] });
        socket.destroy();
        return true;
      },
    });
    open();
    const [result] = await port.submit([submission('a')]);
    expect(result).toMatchObject({ ok: true, job: { id: 'a', key: 'k', state: 'done' } });
    expect(agent.requests.filter((request) => 'submit' in request)).toEqual([]);
  });

  it('lists jobs without a node, sends the working directory as the original has it, kills nothing that is over', async () => {
    agent = await FakeAgent.listen({ protocol: 1 });
    open();
    await port.submit([submission('a', 'k', { cwd: '/somewhere', env: { A: 'b' } })]);
    expect(agent.requests.at(-1)).toEqual({
      submit: { ...submission('a').spec, tags: ['key:k'], env: { A: 'b' }, config: { cwd: '/somewhere' } },
    });
    await port.list({ states: ['new'] });
    expect(agent.requests.slice(-2)).toEqual([
      { get: { state: 'new' } },
      { get: { state: 'new', node: false } },
    ]);
    agent.change('a', { state: 'done', active: false, rc: 0 });
    await port.submit([submission('b')]);
    await port.kill(['a', 'b', 'c']);
    expect(agent.requests.at(-1)).toEqual({ kill: ['b', 'c'] });
  });
});

it('knows the ends that are none: the original starts these jobs again', () => {
  const again = { pool: 'p', args: ['x'], tags: [], active: false, rc: 1 };
  const state = (job: object): string => toJob('a', { ...again, ...job }).state;
  expect(state({ state: 'failed', retries: 2, fail_count: 2 })).toBe('new');
  expect(state({ state: 'failed', retries: 2, fail_count: 3 })).toBe('failed');
  expect(state({ state: 'failed', fail_count: 0 })).toBe('failed');
  expect(state({ state: 'done', restart: 1 })).toBe('new');
  expect(state({ state: 'killed', restart: 1, retries: 2, fail_count: 0 })).toBe('killed');
  expect(state({ state: 'failed', reason: 'exit', retries: 2, fail_count: 1 })).toBe('failed');
});

it('says what a job of the original is in our words', async () => {
  agent = await FakeAgent.listen({ protocol: 1 });
  open();
  agent.change('f', {
    state: 'failed',
    active: false,
    pid: null,
    tags: [null],
    node: 'n1',
    rc: -9,
    pool: 'q',
    args: ['x'],
  });
  agent.change('g', { state: 'failed', error: "[Errno 2] No such file or directory: '/no'", start_count: 0 });
  agent.change('k', { state: 'killed', active: true, pid: 7, restart: 1 });
  const jobs = await port.query(['f', 'g', 'k']);
  expect(jobs.get('f')).toMatchObject({ reason: 'signal', error: 'killed by signal 9', node: 'n1' });
  expect(jobs.get('f')).not.toHaveProperty('tags');
  expect(jobs.get('f')).not.toHaveProperty('pid');
  expect(jobs.get('g')).toMatchObject({ state: 'failed', reason: 'start' });
  expect(jobs.get('k')).toMatchObject({ state: 'running', active: true, restart: true });
});
