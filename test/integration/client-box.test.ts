import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAgentClient } from '../../src/client/agent-client.js';
import { connect } from '../../src/client/client.js';
import type { Client } from '../../src/client/api.js';
import type { Job } from '../../src/protocol/job.js';
import { makeCertificates } from '../support/certificates.js';
import { clientProgram, dist, RealBox } from '../unit/client/real-box.js';

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built program, as a person would. */
function program(words: readonly string[], env: NodeJS.ProcessEnv = {}, file = clientProgram): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [file, ...words],
      { env: { PATH: process.env['PATH'], ...env } },
      (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
      },
    );
  });
}

/** Dead, or dead and not yet collected by whoever runs this container. */
const isGone = (pid: number): boolean =>
  !existsSync(`/proc/${pid}/stat`) || / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));

describe('meeseeks-client with meeseeks-box', () => {
  let box: RealBox;
  let agent: Client;
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    box = await RealBox.start();
    agent = await connect(box.where);
    env = { MEESEEKS_CONF: `port=${box.port}`, SECRET: 's3cr3t' };
  });
  afterAll(async () => {
    agent.close();
    await box.remove();
  });

  it('submits, waits and shows what was written', async () => {
    const script = 'pwd; echo "$SECRET"; echo err >&2; exit 3';
    const sub = await program(['sub', 'id=one', 'tag=x', 'q1', 'sh', '-c', script], env);
    expect(sub.code).toBe(0);
    expect(JSON.parse(sub.stdout)).toMatchObject({
      one: { id: 'one', pool: 'q1', state: 'new', tags: ['x'] },
    });
    expect(await program(['wait', 'one'], env)).toEqual({
      code: 3,
      stdout: '',
      stderr: 'meeseeks-client: job one failed (3): exited with code 3\n',
    });
    expect(await program(['logs', 'one'], env)).toEqual({
      code: 0,
      stdout: `${process.cwd()}\ns3cr3t\n`,
      stderr: 'err\n',
    });
    for (const words of [
      ['get', 'one'],
      ['stat', 'all'],
    ])
      expect((await program(words, env)).stdout).not.toContain('s3cr3t');
  });

  it('starts a finished job again, and finds it by filters', async () => {
    await program(['sub', 'id=again', 'tag=again,y', 'q1', 'true'], env);
    expect((await program(['wait', 'again'], env)).code).toBe(0);
    const again = await program(['mod', 'tag=again', ':', 'state=new'], env);
    expect(JSON.parse(again.stdout)).toMatchObject({ again: { state: 'new' } });
    expect((await program(['wait', 'again'], env)).code).toBe(0);
    expect(JSON.parse((await program(['ls', 'tag=again'], env)).stdout)).toEqual(['again']);
    expect(JSON.parse((await program(['ls', 'state=fail*'], env)).stdout)).toEqual(['one']);
    expect((await program(['stat', 'state=failed', 'jobs'], env)).stdout).toMatch(
      /^1 job: 1 failed\nq1@n1 {2}one /,
    );
  });

  it('kills the whole tree of a job', async () => {
    const job = await agent.submit({
      id: 'tree',
      pool: 'q1',
      args: ['bash', '-c', 'sleep 600 & echo $!; setsid sleep 600 & echo $!; wait'],
    });
    let pids: number[] = [];
    await expect
      .poll(async () => {
        const now = await agent.get(job.id);
        pids =
          now?.stdout_path !== undefined && existsSync(now.stdout_path)
            ? readFileSync(now.stdout_path, 'utf8').split('\n').filter(Boolean).map(Number)
            : [];
        return pids.length;
      })
      .toBe(2);
    const { code, stdout } = await program(['kill', 'tree'], env);
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { tree: { state: 'killed' } }]);
    expect(await program(['wait', 'tree'], env)).toMatchObject({ code: 143 });
    expect(pids.map(isGone)).toEqual([true, true]);
  });

  it('follows the output of a running job to its end', async () => {
    await agent.submit({
      id: 'slow',
      pool: 'q1',
      args: ['sh', '-c', 'echo first; while [ ! -e go ]; do sleep 0.05; done; echo last'],
      cwd: box.directory,
    });
    const child = execFile(process.execPath, [clientProgram, 'logs', '-f', 'slow'], { env });
    let text = '';
    const ended = once(child, 'exit');
    for await (const chunk of child.stdout!) {
      text += String(chunk);
      if (text === 'first\n') symlinkSync('/dev/null', join(box.directory, 'go'));
    }
    expect(text).toBe('first\nlast\n');
    expect((await ended)[0]).toBe(0);
  });

  it('is what its name says', async () => {
    const link = join(box.directory, 'qstat');
    symlinkSync(clientProgram, link);
    const called = await new Promise<string>((resolve) => {
      execFile(link, ['n'], { env: { ...env, PATH: process.env['PATH'] } }, (_error, stdout, stderr) =>
        resolve(stdout + stderr),
      );
    });
    expect(called).toMatch(/jobs: .*\nn1 {2}online/);
  });

  it('shows and changes the configuration', async () => {
    expect(JSON.parse((await program(['conf', 'pools.q2.slots=2'], env)).stdout)).toMatchObject({
      config: { pools: { q1: { slots: 4 }, q2: { slots: 2 } } },
    });
    const sent = JSON.parse((await program(['conf', 'pools.q2.slots=3', 'n1'], env)).stdout) as Record<
      string,
      Job
    >;
    await agent.wait(Object.keys(sent)[0]!);
    expect(await agent.pools()).toMatchObject({ q2: { n1: 3 } });
  });

  it.each([
    ['slot=1', [], 'warning: slot: nothing knows this key'],
    ['pools.q2.slot=1', [], 'warning: pools.q2.slot: unknown key; did you mean "slots"?'],
    ['pools.q2.slot=1', ['n1'], 'warning: pools.q2.slot: unknown key; did you mean "slots"?'],
    ['defaults.slos=1', [], 'warning: defaults.slos: no section knows this key; did you mean "slots"?'],
  ])('warns of a pushed key as of one in a file: conf %s %j', async (word, node, message) => {
    const { code, stderr } = await program(['conf', word, ...node], env);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^meeseeks-client: .*\n$/)]);
    expect(stderr).toContain(message);
    expect((await program(['conf', '!slot=1', '!defaults=1', 'pools.!q2=1'], env)).code).toBe(0);
  });

  it.each([
    ['listen.token=abc', 'listen'],
    ['listen.token=', 'listen.token'],
    ['defaults.token=abc', 'listen'],
    ['defaults.max_connections=9', 'listen'],
    ['on_stop=kill', 'on_stop'],
    ['nodes.x.port=1', 'nodes'],
  ])('says that it cannot be pushed: conf %s', async (word, key) => {
    const before = await program(['conf'], env);
    const { code, stdout, stderr } = await program(['conf', word], env);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(new RegExp(`^meeseeks-client: config: .*\\b${key}\\b.*\n$`));
    expect(await program(['conf'], env)).toEqual(before);
  });

  it('says so of a push by a job, too, which nobody waits for', async () => {
    const { code, stdout, stderr } = await program(['conf', 'listen.token=abc', 'n1'], env);
    expect([code, stderr]).toEqual([
      0,
      expect.stringContaining('listen can only be changed in a file') as string,
    ]);
    const [id] = Object.keys(JSON.parse(stdout) as object);
    expect(await agent.wait(id!)).toMatchObject({ state: 'failed' });
    expect((await program(['conf', 'pools.q2.slots=3', 'n1'], env)).stderr).toBe('');
  });

  it('runs the example of the documentation', async () => {
    const job = await agent.submit({
      pool: 'q1',
      args: ['/bin/sh', '-c', 'echo hello; exit 3'],
      tags: ['demo'],
    });
    expect(await agent.wait(job.id)).toMatchObject({ state: 'failed', rc: 3 });
    expect((await agent.output(job.id)).stdout.toString()).toBe('hello\n');
    const seen: string[] = [];
    const following = (async () => {
      for await (const change of agent.events({ tag: 'demo', seq: (await agent.get(job.id))!.seq })) {
        seen.push(change.state);
        if (change.state === 'done') return;
      }
    })();
    await agent.submit({ pool: 'q1', args: ['true'], tags: ['demo'] });
    await agent.submit({ pool: 'q1', args: ['true'], tags: ['other'] });
    await following;
    expect(seen.at(-1)).toBe('done');
  });

  it('is what docs/client.md says', async () => {
    const page = readFileSync(new URL('../../docs/client.md', import.meta.url), 'utf8');
    const example = /```ts\n(.*?)```/s.exec(page)![1]!.replace('13700', String(box.port));
    mkdirSync(join(box.directory, 'node_modules'));
    symlinkSync(dirname(dist), join(box.directory, 'node_modules/meeseeks'));
    writeFileSync(join(box.directory, 'example.mjs'), example);
    const { code, stdout, stderr } = await program([], {}, join(box.directory, 'example.mjs'));
    expect([code, stderr]).toEqual([0, '']);
    const said = new Set(
      stdout
        .trim()
        .split('\n')
        .filter((line) => line !== '' && line !== 'new'),
    );
    expect([...said]).toEqual(['failed 3', 'hello', 'running', 'killed']);
  });

  it('submits to all nodes of a pattern', async () => {
    const jobs = await agent.submitToAll({ pool: 'q1', node: '*', args: ['true'] });
    expect(jobs.map((job) => job.node)).toEqual(['n1']);
    expect(await agent.submitToAll({ pool: 'q1', node: 'zz*', args: ['true'] })).toEqual([]);
  });

  it('says that a pool is not there, and which are; the job waits for it', async () => {
    const { code, stdout, stderr } = await program(['sub', 'id=early', 'soon', 'true'], env);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ early: { state: 'new', pool: 'soon' } });
    expect(stderr).toMatch(
      /^meeseeks-client: the agent has no pool soon: the job waits until it has; there is (q2, )?q1(, q2)?\n$/,
    );
    expect((await program(['sub', 'q1', 'true'], env)).stderr).toBe('');
    await program(['conf', 'pools.soon.slots=1'], env);
    expect((await program(['wait', 'early'], env)).code).toBe(0);
    expect((await program(['sub', 'soon', 'true'], env)).stderr).toBe('');
  });

  it('says why a job was refused', async () => {
    await expect(agent.submit({ pool: 'q1', args: [] })).rejects.toMatchObject({ code: 'request' });
    const { code, stderr } = await program(['sub', 'runtime=-1', 'q1', 'true'], env);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^meeseeks-client: .*runtime/);
  });
});

describe('a client while the box starts again', () => {
  it('loses no change and runs nothing twice', async () => {
    const box = await RealBox.start();
    const port = createAgentClient(box.where);
    try {
      const ended = new Map<string, number>();
      let resolveAll = (): void => undefined;
      const all = new Promise<void>((resolve) => (resolveAll = resolve));
      port.onJob((job) => {
        if (job.state === 'done') ended.set(job.id, job.start_count);
        if (ended.size === 40) resolveAll();
      });
      const spec = (i: number) => ({ key: 'k', spec: { id: `j${i}`, pool: 'q1', args: ['sleep', '0.05'] } });
      const first = await port.submit(Array.from({ length: 20 }, (_, i) => spec(i)));
      expect(first.every(({ ok }) => ok)).toBe(true);
      await box.stop('SIGKILL');
      const second = port.submit(Array.from({ length: 40 }, (_, i) => spec(i)));
      await box.start();
      expect((await second).every(({ ok }) => ok)).toBe(true);
      await all;
      expect([...ended.values()].every((count) => count === 1)).toBe(true);
      expect((await port.list()).length).toBe(40);
      await port.release([...ended.keys()]);
    } finally {
      await port.stop('leave');
      await box.remove();
    }
  });
});

describe('other ways to the box', () => {
  it('a UNIX socket', async () => {
    const box = await RealBox.start('listen.path=box.sock');
    const address = join(box.directory, 'box.sock');
    expect((await program([`address=${address}`, 'stat', 'n'])).stdout).toMatch(
      /^0 jobs\nn1 {2}online {2}load [\d.]+\n$/,
    );
    const agent = await connect({ address });
    expect(await agent.wait((await agent.submit({ pool: 'q1', args: ['true'] })).id)).toMatchObject({
      state: 'done',
    });
    agent.close();
    await box.remove();
  });

  it('TLS with certificates on both sides', async () => {
    const box = new RealBox();
    const { ca, server, client } = makeCertificates(box.directory);
    await box.start(
      `listen.ssl.certfile=${server.certfile}`,
      `listen.ssl.keyfile=${server.keyfile}`,
      `listen.ssl.cafile=${ca}`,
    );
    const ssl = { ca, cert: client.certfile, key: client.keyfile };
    const agent = await connect({ address: 'localhost', port: box.port, ssl });
    expect(await agent.wait((await agent.submit({ pool: 'q1', args: ['true'] })).id)).toMatchObject({
      state: 'done',
    });
    agent.close();
    const words = [
      `port=${box.port}`,
      `ssl.ca=${ssl.ca}`,
      `ssl.cert=${ssl.cert}`,
      `ssl.key=${ssl.key}`,
      'pools',
    ];
    expect(JSON.parse((await program(words)).stdout)).toEqual({ q1: { n1: 4 } });
    const untrusted = await program([`port=${box.port}`, 'ssl=1', 'pools']);
    expect(untrusted).toMatchObject({ code: 3, stderr: expect.stringContaining('cannot trust') as string });
    const anonymous = await program([`port=${box.port}`, `ssl.ca=${ssl.ca}`, 'pools']);
    expect(anonymous.code).toBe(3);
    expect(anonymous.stderr.trimEnd().split('\n')).toHaveLength(1);
    const plain = await program([`port=${box.port}`, 'timeout=2', 'pools']);
    expect(plain.code).toBe(3);
    await box.remove({ address: 'localhost', port: box.port, ssl });
  });

  it('a token', async () => {
    const box = await RealBox.start('listen.token=open-sesame');
    expect(await program([`port=${box.port}`, 'pools'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('check token=') as string,
    });
    expect((await program([`port=${box.port}`, 'token=open-sesame', 'pools'])).code).toBe(0);
    await box.remove({ ...box.where, token: 'open-sesame' });
  });

  it('a program that is no agent is told from one', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('SSH-2.0-OpenSSH_9.2\r\n');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const { code, stderr } = await program(['address=127.0.0.1', `port=${port}`, 'stat']);
    expect([code, stderr]).toEqual([
      3,
      `meeseeks-client: 127.0.0.1:${port} does not speak the protocol of meeseeks\n`,
    ]);
    server.close();
  });
});
