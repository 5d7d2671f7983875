import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { completionScript } from '../../../src/cli/client/commands/completion.js';
import { commandNames, commands } from '../../../src/cli/client/command-table.js';
import { manual } from '../../../src/cli/client/help-texts.js';
import { client, type Ran } from './cli.js';
import { FakeAgent } from './fake-agent.js';

let agent: FakeAgent | undefined;
afterEach(async () => {
  await agent?.close();
  agent = undefined;
});

const run = (args: readonly string[], options: Parameters<typeof client>[1] = {}): Promise<Ran> =>
  client(['address=127.0.0.1', `port=${agent!.where.port}`, ...args], options);

/** A change of a running job leaves its state, as the agents have it. */
function keepsState(name: string, argument: unknown): unknown {
  if (name !== 'modify' && name !== 'submit') return undefined;
  const changes = argument as { readonly id: string };
  const id = name === 'modify' ? Object.keys(changes)[0]! : changes.id;
  return { [id]: { ...agent!.jobs.get(id), tags: ['t'] } };
}

describe.each([2, 1] as const)('meeseeks-client with an agent of protocol %i', (protocol) => {
  it('waits for jobs and exits as the first that did not end well', async () => {
    agent = await FakeAgent.listen({ protocol });
    for (const id of ['a', 'b', 'c'])
      agent.change(id, { state: 'running', active: true, pool: 'p', args: ['x'] });
    const waiting = run(['refresh=0.02', 'wait', 'a', 'b', 'c']);
    await agent.received((request) => 'job' in request);
    agent.change('a', { state: 'done', active: false, rc: 0 });
    agent.change('c', { state: 'killed', active: true });
    agent.change('b', { state: 'failed', active: false, rc: 7 });
    agent.change('c', { state: 'killed', active: false, rc: -15 });
    const { code, stderr } = await waiting;
    expect(code).toBe(7);
    expect(stderr).toBe(
      'meeseeks-client: job b failed (7): exited with code 7\nmeeseeks-client: job c killed (-15): killed on request\n',
    );
    expect(await run(['wait', 'nosuch'])).toEqual({
      code: 125,
      stdout: '',
      stderr: 'meeseeks-client: there is no job nosuch\n',
    });
  });

  it('prints what a finished job wrote, each stream on its own', async () => {
    agent = await FakeAgent.listen({ protocol });
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    agent.change('a', {
      state: 'done',
      active: false,
      stdout_data: base64('out\n'),
      stderr_data: base64('err\n'),
    });
    expect(await run(['logs', 'a'])).toEqual({ code: 0, stdout: 'out\n', stderr: 'err\n' });
    expect((await run(['logs', 'x'])).code).toBe(1);
  });

  it('follows a job to its end', async () => {
    agent = await FakeAgent.listen({ protocol });
    agent.change('a', { state: 'new', pool: 'p', args: ['x'] });
    const following = run(['refresh=0.02', 'logs', '-f', 'a']);
    await agent.received((request) => 'job' in request);
    agent.change('a', {
      state: 'done',
      active: false,
      rc: 0,
      stdout_data: Buffer.from('hello').toString('base64'),
    });
    expect(await following).toEqual({ code: 0, stdout: 'hello', stderr: '' });
  });

  it('repeats the status until no unfinished job is left', async () => {
    agent = await FakeAgent.listen({ protocol });
    agent.change('a', { state: 'running', active: true, pool: 'q1', node: 'n1', args: ['x'] });
    let times = 0;
    const { code, stdout } = await run(['refresh=0.01', 'stat', 'j'], {
      onOut: (text) => {
        if (text.includes('running') && ++times === 3)
          agent!.change('a', { state: 'done', active: false, rc: 0 });
      },
    });
    expect(code).toBe(0);
    expect(stdout.trimEnd().split('\n').at(-2)).toBe('1 job: 1 done');
  });

  it('tells changes as they happen, and that the agent stayed away in the end', async () => {
    agent = await FakeAgent.listen({ protocol });
    let seen = 0;
    const events = run(['refresh=0.01', 'patience=0.3', 'events', '--json', 'pool=p'], {
      onOut: () => void seen++,
    });
    await agent.received((request) => 'watch' in request || 'get' in request);
    await expect
      .poll(() => {
        agent!.change('a', { state: 'running', active: true, pool: 'p', args: ['x'], env: { SECRET: 's' } });
        return seen;
      })
      .toBeGreaterThan(0);
    await agent.close();
    const { code, stdout, stderr } = await events;
    expect(code).toBe(3);
    expect(JSON.parse(stdout.split('\n')[0]!)).toMatchObject({ id: 'a', state: 'running' });
    expect(stdout).not.toContain('SECRET');
    expect(stderr).toMatch(/trying again/);
  });

  it.each(['foo', 'pools.q1.slots'])('does not take the key %s without a value for a node', async (word) => {
    agent = await FakeAgent.listen({ protocol });
    const { code, stdout, stderr } = await run(['conf', word]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toBe(
      `meeseeks-client: ${word}: no such node, there is n1; to set a key give its value: ${word}=VALUE\n`,
    );
    expect(agent.requests.filter((request) => 'submit' in request)).toEqual([]);
  });

  it.each([
    [['job', 'nosuch'], '{}\n'],
    [['ls', 'nosuch'], '[]\n'],
    [['del'], '{}\n'],
  ])(
    'finds nothing without an error, as docs/client.md and the recordings have it: %j',
    async (args, stdout) => {
      agent = await FakeAgent.listen({ protocol });
      agent.change('a', { state: 'new', pool: 'p', args: ['x'] });
      expect(await run(args)).toEqual({ code: 0, stdout, stderr: '' });
      expect(agent.jobs.get('a')).toMatchObject({ state: 'new' });
    },
  );

  it('says which ids it could not kill or change', async () => {
    agent = await FakeAgent.listen({ protocol });
    const killed = await run(['del', 'nosuch']);
    expect([killed.code, JSON.parse(killed.stdout), killed.stderr]).toEqual([
      1,
      { nosuch: false },
      'meeseeks-client: job nosuch is unknown\n',
    ]);
    expect(await run(['mod', 'nosuch', 'hold=1'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('nosuch') as string,
    });
    const refused = await run(['sub', 'id=x', 'state=new']);
    expect([refused.code, JSON.parse(refused.stdout)]).toEqual([1, { x: false }]);
  });

  it.each([
    [
      ['pool=q9', 'node=zz', 'state=new', 'tags=t', 'stdout=/x', 'runtime=9'],
      'job r, s are running, and the present run is not affected: not changed: pool, node, state; for the next run: stdout, runtime',
    ],
    [['hold=1'], 'job r, s are running, and the present run is not affected: for the next run: hold'],
    [['tags=t', 'retries=2', 'restart=1', 'kill_grace=1'], undefined],
  ])('says what a change does not do to running jobs: %j', async (changes, note) => {
    agent = await FakeAgent.listen({ protocol, answer: keepsState });
    const base = { active: true, pool: 'p', args: ['x'] };
    for (const id of ['r', 's']) agent.change(id, { ...base, state: 'running' });
    agent.change('w', { ...base, state: 'new' });
    const { code, stderr } = await run(['mod', 'r', 's', 'w', ...changes]);
    expect([code, stderr]).toEqual([0, note === undefined ? '' : `meeseeks-client: ${note}\n`]);
    expect((await run(['mod', 'w', ...changes])).stderr).toBe('');
  });

  it('passes directory and environment to an agent that keeps them private', async () => {
    agent = await FakeAgent.listen({ protocol });
    const { stdout } = await run(['sub', 'q1', 'env'], {
      env: { SECRET: 's3cr3t', HOME: '/h' },
      cwd: '/work',
    });
    const submit = agent.requests.find((request) => 'submit' in request)!['submit'];
    if (protocol === 2) expect(submit).toMatchObject({ cwd: '/work', env: { SECRET: 's3cr3t', HOME: '/h' } });
    else expect(submit).not.toHaveProperty('env');
    expect(stdout).not.toContain('s3cr3t');
    await run(['sub', 'env=HOME', 'q1', 'env'], { env: { SECRET: 's3cr3t', HOME: '/h' } });
    expect(agent.requests.findLast((request) => 'submit' in request)!['submit']).toMatchObject({
      env: { HOME: '/h' },
    });
    expect((await run(['get'])).stdout).not.toContain('/h');
  });

  it('draws the table once without a terminal', async () => {
    agent = await FakeAgent.listen({ protocol });
    agent.change('a', { state: 'running', active: true, pool: 'q1', node: 'n1', args: ['x'] });
    const { code, stdout } = await run(['top']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^meeseeks 127\.0\.0\.1:\d+ {2}\d\d:\d\d:\d\d\n1 job: 1 running\nn1 {2}online/);
  });
});

describe('top on a terminal', () => {
  it.each([[[]], [['state=running']]])('is redrawn as jobs change, until Ctrl-C (%j)', async (filter) => {
    agent = await FakeAgent.listen({ protocol: 2 });
    agent.change('a', { state: 'running', active: true, pool: 'q1', node: 'n1', args: ['x'] });
    let interrupt = (): void => undefined;
    const { code, stdout } = await run(['refresh=0.2', 'top', ...filter], {
      terminal: true,
      onSignal: (listener) => (interrupt = listener),
      onOut: (text) => {
        if (text.includes('1 running')) agent!.change('a', { state: 'done', active: false, rc: 0 });
        else interrupt();
      },
    });
    expect(code).toBe(0);
    expect(stdout.split('\u001b[H').at(-1)).toContain(filter.length === 0 ? '1 job: 1 done' : '0 jobs');
  });
});

describe('top on a small terminal', () => {
  const names = Array.from({ length: 30 }, (_, i) => `pool-${i}`);
  const many = (name: string): unknown =>
    name === 'pools'
      ? Object.fromEntries(names.map((pool) => [pool, { 'a-node-of-a-long-name': 4 }]))
      : undefined;

  it.each([
    [24, 80, 30],
    [24, 40, 8],
    [12, 40, 3],
    [3, 20, 3],
    [1, 1, 3],
  ])('draws no more than %i rows of %i columns with %i pools', async (rows, columns, pools) => {
    agent = await FakeAgent.listen({
      protocol: 2,
      answer: (name) => {
        const all = many(name) as Record<string, unknown> | undefined;
        return all && Object.fromEntries(Object.entries(all).slice(0, pools));
      },
    });
    for (let i = 0; i < 50; i++)
      agent.change(`job-${i}`, {
        state: 'running',
        active: true,
        pool: names[i % pools],
        node: 'a-node-of-a-long-name',
        args: ['/usr/local/bin/model', '--steps', '1000000'],
      });
    let interrupt = (): void => undefined;
    const { stdout } = await run(['refresh=0.2', 'top'], {
      terminal: true,
      rows,
      columns,
      onSignal: (listener) => (interrupt = listener),
      onOut: () => interrupt(),
    });
    const lines = stdout.split('\u001b[3J').at(-1)!.split('\n');
    expect(lines.length).toBeLessThanOrEqual(Math.max(rows, 2));
    expect(Math.max(...lines.map((line) => Array.from(line).length))).toBeLessThanOrEqual(columns);
    if (columns < 20) return;
    if (rows > 2) expect(lines[0]).toMatch(/^meeseeks 127/);
    if (pools === 30 || rows <= 12) expect(lines.at(-2)).toMatch(/^… \d+ more$/);
    else expect(lines.at(-2)).toMatch(/older jobs are not shown/);
  });
});

describe('meeseeks-client', () => {
  it('says in one line that nothing is there, with an exit code', async () => {
    agent = await FakeAgent.listen({ protocol: 2 });
    const { port } = agent.where;
    await agent.close();
    for (const args of [['stat'], ['get'], ['sub', 'q', 'x'], ['events'], ['top']])
      expect(await client(['address=127.0.0.1', `port=${port}`, ...args])).toEqual({
        code: 3,
        stdout: '',
        stderr: `meeseeks-client: cannot reach 127.0.0.1:${port}: nothing listens there; is meeseeks-box running, are address= and port= right?\n`,
      });
  });

  it.each([
    [[], 'which command?'],
    [['frobnicate'], 'there is no command frobnicate'],
    [['sub'], 'nothing to submit'],
    [['sub', 'q1'], 'what is to run in q1?'],
    [['mod', 'a'], 'what is to change?'],
    [['mod', 'hold=1'], 'which jobs?'],
    [['mod', 'a', 'env=none'], 'env= counts when a job is submitted'],
    [['sub', 'id=a', 'state=new', 'env=A,B'], 'env= counts when a job is submitted'],
    [['wait'], 'which job?'],
    [['logs', 'a', 'b'], 'give one job'],
    [['stat', 'jbos'], 'did you mean "jobs"?'],
    [
      ['conf', 'pools.p.slots', '=', '3'],
      'one node at a time: pools.p.slots = 3; a setting is written key=value',
    ],
    [['address', 'stat'], 'there is no command address'],
    [['completion', 'fish'], 'bash and zsh'],
    [['port=0', 'stat'], 'port 0 is no port'],
    [['ssl.ca=/no/such', 'stat'], 'ssl.ca: cannot read /no/such'],
    [['token_file=/no/such', 'stat'], 'token_file: cannot read /no/such'],
  ])('refuses %j with exit code 2', async (args, message) => {
    const { code, stdout, stderr } = await client(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('has a manual for every command, no line wider than 80', async () => {
    for (const { names } of commands) {
      const { code, stdout } = await client([names[0]!, '--help']);
      expect(code).toBe(0);
      expect(stdout).toBe(`${manual[names[0]!]!}\n`);
      expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    }
    const { stdout } = await client(['--help']);
    for (const name of commandNames) expect(stdout).toContain(name);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect((await client(['help', 'kill'])).stdout).toBe(`${manual['del']!}\n`);
    expect((await client(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('completion', () => {
  const directory = mkdtempSync(join(tmpdir(), 'meeseeks-completion-'));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  /** What bash offers for a line. */
  function complete(line: string, ids = ''): string[] {
    const words = line.split(' ');
    const script = [
      completionScript('bash', commandNames),
      `meeseeks-client() { printf '%s\\n' ${ids}; }`,
      'compopt() { :; }',
      `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}`,
      `COMP_LINE='${line}'; COMP_POINT=\${#COMP_LINE}`,
      '_meeseeks_client',
      'printf "%s\\n" "${COMPREPLY[@]}"',
    ].join('\n');
    const file = join(mkdtempSync(join(tmpdir(), 'meeseeks-completion-')), 'script');
    writeFileSync(file, script);
    const text = execFileSync('bash', ['--noprofile', '--norc', file], { encoding: 'utf8', cwd: tmpdir() });
    rmSync(join(file, '..'), { recursive: true });
    return text.split('\n').filter((word) => word !== '');
  }

  it('knows commands, keys, values and ids', () => {
    expect(complete('meeseeks-client st')).toEqual(['stat']);
    expect(complete('meeseeks-client add')).toEqual(['address=']);
    expect(complete('meeseeks-client port=1 sub ret')).toContain('retries=');
    expect(complete('meeseeks-client get state=r')).toEqual(['running']);
    expect(complete('meeseeks-client address=h wait jo', 'job-1 job-2 x')).toEqual(['job-1', 'job-2']);
    expect(complete('qdel po')).toEqual(['pool=']);
    expect(complete('qstat tr')).toEqual(['tree']);
  });

  it('is a script both shells can read', () => {
    execFileSync('bash', ['-n'], { input: completionScript('bash', commandNames) });
    expect(completionScript('zsh', commandNames)).toContain('bashcompinit');
  });
});
