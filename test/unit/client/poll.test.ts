import { afterEach, expect, it } from 'vitest';
import { connect } from '../../../src/client/client.js';
import { FakeAgent } from './fake-agent.js';

let agent: FakeAgent;
afterEach(() => agent.close());

it('tells with an older agent, too, when a job leaves a filter of states', async () => {
  agent = await FakeAgent.listen({ protocol: 1 });
  const job = { pool: 'p', args: ['true'], tags: ['t'] };
  agent.change('there', { ...job, state: 'running' });
  agent.change('other', { ...job, state: 'new' });
  const client = await connect({ ...agent.where, refresh: 0.02 });
  const told: string[] = [];
  const stop = new AbortController();
  const following = (async () => {
    for await (const { id, state, left } of client.events({ state: 'running', tag: 't' }, stop.signal))
      told.push(`${id} ${state}${left === true ? ' left' : ''}`);
  })();
  // the first look is over when the second is asked for
  await expect.poll(() => agent.requests.filter((one) => 'get' in one).length).toBeGreaterThan(1);
  agent.change('other', { state: 'done', active: false });
  agent.change('there', { state: 'done', active: false, rc: 0 });
  agent.change('fresh', { ...job, state: 'running' });
  await expect.poll(() => told.toSorted()).toEqual(['fresh running', 'there done left']);
  agent.change('fresh', { state: 'failed', active: false, rc: 1 });
  await expect.poll(() => told.at(-1)).toBe('fresh failed left');
  expect(told.length).toBe(3);
  stop.abort();
  await following;
  client.close();
});
