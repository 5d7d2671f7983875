import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { client } from './cli.js';
import { FakeAgent } from './fake-agent.js';

interface Recording {
  readonly release: string;
  readonly step: string;
  readonly args: readonly string[];
  readonly stdout: string;
}

/** What the original's client printed (shared/golden), for the commands that print JSON. */
const recordings = JSON.parse(
  readFileSync(new URL('../../fixtures/client/golden.json', import.meta.url), 'utf8'),
) as readonly Recording[];

let agent: FakeAgent | undefined;
afterEach(() => agent?.close());

type Values = Record<string, unknown>;

/** An agent that says what the original's must have said for the client to print this. */
function replaying({ stdout, args }: Recording): (name: string, argument: unknown) => unknown {
  const printed = JSON.parse(stdout) as Values;
  const main = { get: 'get', ls: 'ls', nodes: 'nodes', pools: 'pools', sub: 'submit', del: 'kill' }[args[0]!];
  return (name, argument) => {
    if (args[0] === 'conf')
      return name === 'config' ? printed['config'] : name === 'submit' ? printed : undefined;
    if (args[0] === 'mod') {
      if (name === 'ls') return Object.keys(printed);
      // what was printed came after the change
      if (name === 'job') return { ...(printed[argument as string] as Values), state: 'failed' };
      return name === 'submit'
        ? { [(argument as Values)['id'] as string]: printed[(argument as Values)['id'] as string] }
        : undefined;
    }
    return name === main ? printed : undefined;
  };
}

const withoutEnv = (text: string): string =>
  JSON.stringify(JSON.parse(text, (key, value: unknown) => (key === 'env' ? undefined : value)));

describe('client output as recorded from the original', () => {
  // 104 is `sub` of nothing with exit code 0, a listed defect
  const all = recordings.filter(({ step }) => step !== '104');
  it.each(all)('$release $step: $args', async (recording) => {
    agent = await FakeAgent.listen({ protocol: 1, answer: replaying(recording) });
    const { code, stdout, stderr } = await client([
      'address=127.0.0.1',
      `port=${agent.where.port}`,
      ...recording.args,
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    if (recording.stdout.includes('"env"')) expect(withoutEnv(stdout)).toBe(withoutEnv(recording.stdout));
    else expect(stdout).toBe(recording.stdout);
  });

  it('asks what the original asked', async () => {
    agent = await FakeAgent.listen({ protocol: 1 });
    agent.change('run1', { state: 'new', pool: 'q2', args: ['x'] });
    const options = { env: { MEESEEKS_CONF: `address=127.0.0.1 port=${agent.where.port}` } };
    const asked = async (program: string, ...args: string[]): Promise<unknown> => {
      agent!.requests.length = 0;
      await client(args, { ...options, program });
      return agent!.requests.map(({ options: _options, ...request }) => request);
    };
    expect(await asked('qjob', 'tag=a', 'state=new')).toEqual([{ get: { tag: 'a', state: 'new' } }]);
    expect(await asked('qdel', 'run1', 'x')).toEqual([{ kill: ['run1', 'x'] }]);
    expect(await asked('qdel', 'pool=q9')).toEqual([{ kill: { pool: 'q9' } }]);
    expect(await asked('qdel')).toEqual([{ kill: {} }]);
    expect(await asked('qmod', 'pool=q2', ':', 'tags=q,r', 'hold=1')).toEqual([
      { ls: { pool: 'q2' } },
      { job: 'run1' },
      { submit: { id: 'run1', tags: ['q', 'r'], hold: true } },
    ]);
    expect(await asked('qconf', 'pools.q1.slots=5')).toEqual([{ config: { pools: { q1: { slots: 5 } } } }]);
    expect(await asked('qconf', 'a.b=x,2', 'n1')).toEqual([
      { nodes: {} },
      { submit: { pool: '__config', node: 'n1', args: { a: { b: ['x', 2] } } } },
    ]);
    expect(
      await asked('qsub', 'tag=a,b', 'retries=2', 'restart=1', 'q1@n*', 'echo', '--json', 'a=b'),
    ).toEqual([
      {
        submit: {
          tags: ['a', 'b'],
          retries: 2,
          restart: true,
          pool: 'q1',
          node: 'n*',
          args: ['echo', '--json', 'a=b'],
        },
      },
    ]);
    expect(await asked('qsub', 'id=run1', 'state=new')).toEqual([{ submit: { id: 'run1', state: 'new' } }]);
  });
});
