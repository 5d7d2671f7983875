import { afterEach, describe, expect, it } from 'vitest';
import { connect } from '../../../src/client/client.js';
import type { Client } from '../../../src/client/api.js';
import { FakeAgent } from './fake-agent.js';

let agent: FakeAgent;
let client: Client | undefined;
afterEach(async () => {
  client?.close();
  client = undefined;
  await agent.close();
});

const args = ['true'];

describe('a connection', () => {
  it('sends what is asked together in few lines, and answers in order', async () => {
    agent = await FakeAgent.listen({ protocol: 2 });
    client = await connect(agent.where);
    const jobs = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => client!.submit({ id: `j${i}`, pool: 'p', args })),
    );
    expect(jobs.map((job) => job.id)).toEqual(Array.from({ length: 1000 }, (_, i) => `j${i}`));
    expect(agent.lineSizes.length).toBeLessThan(10);
  });

  it('goes on with the rest of a line after a request that failed', async () => {
    agent = await FakeAgent.listen({
      protocol: 2,
      answer: (name, argument) =>
        name === 'submit' && (argument as { id: string }).id.endsWith('7')
          ? new Error('no sevens')
          : undefined,
    });
    client = await connect(agent.where);
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => client!.submit({ id: `j${i}`, pool: 'p', args })),
    );
    expect(results.flatMap((result, i) => (result.status === 'rejected' ? [i] : []))).toEqual([7, 17]);
    expect(agent.jobs.size).toBe(18);
  });

  it('comes back after a break, and repeats what was not answered', async () => {
    let breaks = 2;
    agent = await FakeAgent.listen({
      protocol: 2,
      line: (line, socket) => {
        if (!line.includes('submit') || breaks-- <= 0) return false;
        socket.destroy();
        return true;
      },
    });
    client = await connect(agent.where);
    const jobs = await Promise.all(['a', 'b', 'c'].map((id) => client!.submit({ id, pool: 'p', args })));
    expect(jobs.map((job) => job.state)).toEqual(['new', 'new', 'new']);
    expect([...agent.jobs.keys()]).toEqual(['a', 'b', 'c']);
  });

  it('gives up a request that ends the connection every time', async () => {
    agent = await FakeAgent.listen({
      protocol: 2,
      line: (line, socket) => line.includes('"get"') && socket.destroy() !== undefined,
    });
    client = await connect(agent.where);
    await expect(client.list()).rejects.toMatchObject({ code: 'closed' });
    expect(Object.keys(await client.nodes())).toEqual(['n1']);
  });

  it('does not repeat what would run twice', async () => {
    agent = await FakeAgent.listen({
      protocol: 2,
      line: (line, socket) => line.includes('submit') && socket.destroy() !== undefined,
    });
    client = await connect(agent.where);
    const before = agent.connections;
    await expect(client.submitToAll({ pool: 'p', node: '*', args })).rejects.toMatchObject({
      code: 'closed',
    });
    await client.nodes();
    expect(agent.connections).toBe(before + 1);
  });

  it('refuses to wait in memory without end', async () => {
    agent = await FakeAgent.listen({ protocol: 2, line: (line) => !line.includes('hello') });
    client = await connect(agent.where);
    const asked = Array.from({ length: 200_001 }, () => client!.request('job', 'x'));
    await expect(asked.at(-1)).rejects.toMatchObject({ code: 'busy' });
    client.close();
    const ends = await Promise.allSettled(asked);
    expect(ends.every((end) => end.status === 'rejected')).toBe(true);
  });

  it('tells a token that is wrong from an agent that is away', async () => {
    agent = await FakeAgent.listen({
      protocol: 2,
      answer: (name) => (name === 'hello' ? new Error('this is not the token') : undefined),
    });
    await expect(connect({ ...agent.where, token: 'x' })).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('check token=') as string,
    });
    const { where } = agent;
    await agent.close();
    await expect(connect(where)).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('is meeseeks-box running') as string,
    });
  });
});

describe('a hostile agent', () => {
  const answering = (text: string, thenEnd = false) =>
    FakeAgent.listen({
      protocol: 2,
      line: (line, socket) => {
        if (line.includes('hello')) return false;
        socket.write(text);
        if (thenEnd) socket.end();
        return true;
      },
    });

  it.each([
    ['garbage', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'protocol'],
    ['a value', '5\n', 'protocol'],
    ['a list of values', '[1]\n', 'protocol'],
    ['too few answers', '[]\n', 'protocol'],
    ['more than was asked', '[{"nodes":{}},{"nodes":{}}]\n[{}]\n', undefined],
    ['another answer', '[{"jobs": 1}]\n', 'request'],
    ['a wrong type', '[{"nodes": 7}]\n', 'request'],
    ['null bytes', '\0\0\0\n', 'protocol'],
  ])('that answers %s gets an error, not trust', async (_, text, code) => {
    agent = await answering(text);
    client = await connect(agent.where);
    if (code === undefined) await client.nodes();
    else await expect(client.nodes()).rejects.toMatchObject({ code });
  });

  it('that sends half a line and nothing more runs into the timeout', async () => {
    agent = await answering('[{"nodes": {"n1"');
    client = await connect({ ...agent.where, timeout: 2 });
    await expect(client.nodes()).rejects.toMatchObject({ code: 'timeout' });
  });

  it('that closes in the middle of a line is asked again, and then given up', async () => {
    agent = await answering('[{"nodes": {"n1"', true);
    client = await connect({ ...agent.where, patience: 1 });
    await expect(client.nodes()).rejects.toMatchObject({ code: 'closed' });
  });

  it('that sends an endless line is cut off', async () => {
    agent = await answering(`[{"nodes": "${'x'.repeat(3_000_000)}`);
    client = await connect({ ...agent.where, maxAnswer: 1_000_000 });
    await expect(client.nodes()).rejects.toMatchObject({ code: 'protocol' });
  });

  it('that says nothing at all is given up in time', async () => {
    agent = await FakeAgent.listen({ protocol: 2, line: () => true });
    await expect(connect({ ...agent.where, timeout: 0.2 })).rejects.toMatchObject({ code: 'timeout' });
  });
});
