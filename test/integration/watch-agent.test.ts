import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect } from 'vitest';
import { connect } from '../../src/client/client.js';
import type { ServiceStatus } from '../../src/cli/control.js';
import { Box } from '../support/box.js';
import { makeCertificates } from '../support/certificates.js';
import { freePort } from '../support/free-port.js';
import { oldProtocol } from '../support/old-protocol.js';
import { type Config, type Scene, test as base, stays, until } from '../support/service.js';

interface Agents {
  /** Starts a box with a pool `p`, at a port that stays the same over restarts. */
  start(config?: Record<string, unknown>): Promise<Box>;
}

const test = base.extend<{ agents: Agents }>({
  // eslint-disable-next-line no-empty-pattern -- vitest wants the pattern
  agents: async ({}, use) => {
    const boxes: Box[] = [];
    await use({
      start: async (config = {}) => {
        const whole = { pools: { p: { slots: 4 } }, ...config };
        const box = await Box.start({ config: whole });
        boxes.push(box);
        if (box.port !== 0) box.settle({ listen: { address: '127.0.0.1', port: box.port }, ...whole });
        return box;
      },
    });
    await Promise.all(boxes.map((box) => box.remove()));
  },
});

const at = (box: Box, more: Config = {}): Config => ({
  client: { address: '127.0.0.1', port: box.port, refresh: 0.2, ...more },
});

const gate = (scene: Scene): string => `while [ ! -e '${scene.path('gate')}' ]; do sleep 0.02; done`;
const open = (scene: Scene): void => writeFileSync(scene.path('gate'), '');

async function status(scene: Scene): Promise<ServiceStatus> {
  const { stdout } = await scene.run('status', '--json', scene.config);
  return JSON.parse(stdout) as ServiceStatus;
}

describe('a watcher with a client section', () => {
  test('runs its jobs on that agent, and the marker has what they wrote', async ({ scene, agents }) => {
    const box = await agents.start();
    scene.watch({ jobs: [scene.script('echo "$GREETING $1"; echo "$1" >>"$log"')] }, at(box));
    const service = await scene.start([scene.config], { env: { GREETING: 'hello' } });
    expect(service.said(new RegExp(`^agent at 127\\.0\\.0\\.1:${box.port}$`))).toBe(1);
    scene.drop('a');
    const marker = await scene.marked('._w_0_a.done');
    expect(marker).toMatchObject({
      state: 'done',
      rc: 0,
      node: 'n1',
      agent: `agent at 127.0.0.1:${box.port}`,
    });
    expect(Buffer.from(String(marker['stdout_data']), 'base64').toString()).toBe('hello a\n');
    expect(JSON.stringify(marker)).not.toContain('GREETING":');
    expect(existsSync(scene.path('state', 'agent.db'))).toBe(false);
    expect(await service.stop()).toBe(0);
  });

  test('env: none keeps the environment of the watcher to itself', async ({ scene, agents }) => {
    const box = await agents.start();
    scene.watch({ jobs: [scene.script('echo "${GREETING:-unset}"')] }, at(box, { env: 'none' }));
    await scene.start([scene.config], { env: { GREETING: 'hello' } });
    scene.drop('a');
    const marker = await scene.marked('._w_0_a.done');
    expect(Buffer.from(String(marker['stdout_data']), 'base64').toString()).toBe('unset\n');
  });

  test('waits for an agent that is away at the start, and says so', async ({ scene, agents }) => {
    const box = await agents.start();
    await box.stop();
    scene.watch({}, at(box));
    const service = await scene.start();
    await service.hears(/^the agent is away: .*; trying again/);
    scene.drop('a');
    expect((await status(scene)).agent_problem).toMatch(/127\.0\.0\.1/);
    expect((await scene.run('status', scene.config)).stdout).toMatch(/^! the agent is away: /m);
    await box.restart();
    await scene.marked('._w_0_a.done');
    await service.hears(/is back$/);
    expect((await status(scene)).agent_problem).toBeUndefined();
    expect(await scene.ran(1)).toEqual(['a']);
    expect(service.said(/the agent is away/)).toBe(1);
  });

  test('files come and go while the agent is away: what is there in the end runs once', async ({
    scene,
    agents,
  }) => {
    const box = await agents.start();
    scene.watch({ rescan: 1 }, at(box));
    const service = await scene.start();
    scene.drop('before');
    await scene.marked('._w_0_before.done');
    await box.stop();
    scene.drop('during');
    scene.drop('gone');
    await service.hears(/the agent is away/);
    rmSync(scene.file('before'));
    await until(() => !scene.markers().includes('._w_0_before.done'), 'cleanup goes on without the agent');
    await box.restart();
    await scene.marked('._w_0_during.done');
    scene.drop('after');
    await scene.marked('._w_0_after.done');
    expect(scene.count('during')).toBe(1);
  });

  test('kill -9 of the agent while a job runs: the job is recorded once', async ({ scene, agents }) => {
    const box = await agents.start();
    scene.watch({ jobs: [scene.append(gate(scene))] }, at(box));
    const service = await scene.start();
    scene.drop('a');
    await until(async () => (await status(scene)).watches[0]?.running === 1, 'the job runs');
    await box.crash();
    await service.hears(/the agent is away/);
    open(scene);
    await box.restart();
    expect(await scene.marked('._w_0_a.done')).toMatchObject({ rc: 0, attempt: 1 });
    expect(await scene.ran(1)).toEqual(['a']);
  });

  test('kill -9 of the watcher while a job runs: the next start collects the result', async ({
    scene,
    agents,
  }) => {
    const box = await agents.start();
    scene.watch({ jobs: [scene.append(gate(scene))] }, at(box));
    const first = await scene.start();
    scene.drop('a');
    await until(async () => (await status(scene)).watches[0]?.running === 1, 'the job runs');
    await first.crash();
    open(scene);
    const agent = await connect({ address: '127.0.0.1', port: box.port });
    await until(async () => (await agent.list({ state: 'done' })).length === 1, 'the job ends');
    agent.close();
    const second = await scene.start();
    await scene.marked('._w_0_a.done');
    expect(second.said(/took up the jobs of the last run/)).toBe(1);
    expect(await scene.ran(1)).toEqual(['a']);
  });

  test('a job that the agent has forgotten is lost: failed, and run again', async ({ scene, agents }) => {
    const box = await agents.start();
    scene.watch({ refresh: 0.2, retry_delay: 0.1, jobs: [scene.append(gate(scene))] }, at(box));
    const service = await scene.start();
    scene.drop('a');
    await until(async () => (await status(scene)).watches[0]?.running === 1, 'the job runs');
    const agent = await connect({ address: '127.0.0.1', port: box.port });
    const [job] = await agent.list();
    agent.close();
    await box.crash();
    process.kill(-job!.pid!, 'SIGKILL');
    rmSync(`${box.directory}/state`, { recursive: true });
    await box.restart();
    await service.hears(/failed a: the agent does not know the job any more; whether it ran cannot be told/);
    open(scene);
    expect(await scene.marked('._w_0_a.done')).toMatchObject({ attempt: 2 });
    expect(await scene.ran(1)).toEqual(['a']);
    await stays(() => scene.markers().join() === '._w_0_a.done', 'only the success is left', 50);
  });

  test('retry: false leaves a lost job failed', async ({ scene, agents }) => {
    const box = await agents.start();
    scene.watch({ refresh: 0.2, retry: false, jobs: [scene.append(gate(scene))] }, at(box));
    await scene.start();
    scene.drop('a');
    await until(async () => (await status(scene)).watches[0]?.running === 1, 'the job runs');
    const agent = await connect({ address: '127.0.0.1', port: box.port });
    const [job] = await agent.list();
    agent.close();
    await box.crash();
    process.kill(-job!.pid!, 'SIGKILL');
    rmSync(`${box.directory}/state`, { recursive: true });
    await box.restart();
    expect(await scene.marked('._w_0_a.failed')).toMatchObject({ state: 'failed', reason: 'lost' });
  });

  test('results that are recorded are released', async ({ scene, agents }) => {
    const box = await agents.start({ state: { expire: 0 } });
    scene.watch({}, at(box));
    await scene.start();
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    const agent = await connect({ address: '127.0.0.1', port: box.port });
    await until(async () => (await agent.ids()).length === 0, 'the agent forgets the job');
    agent.close();
  });

  test('keeps services running, also when the agent forgets them', async ({ scene, agents }) => {
    const box = await agents.start();
    const job = scene.script('echo up >>"$log"; exec sleep 1000');
    scene.configure({
      watch: {
        s: { refresh: 0.2, jobs: [{ ...job, args: ['sh', '-c', 'echo up >>"$log"; exec sleep 1000'] }] },
      },
      ...at(box),
    });
    const service = await scene.start();
    await scene.ran(1);
    const agent = await connect({ address: '127.0.0.1', port: box.port });
    const [up] = await agent.list({ state: 'running' });
    agent.close();
    await box.crash();
    process.kill(-up!.pid!, 'SIGKILL');
    rmSync(`${box.directory}/state`, { recursive: true });
    await box.restart();
    await service.hears(/the agent does not know service s_0 any more; starting it again/);
    await scene.ran(2);
    expect(await service.stop('SIGINT')).toBe(0);
    const after = await connect({ address: '127.0.0.1', port: box.port });
    expect(await after.list({ state: 'running' })).toEqual([]);
    after.close();
  });
});

test('a pool that the agent does not have is named, again after a reload', async ({ scene, agents }) => {
  const box = await agents.start();
  const job = { ...scene.append(), pool: 'elsewhere' };
  scene.watch({ jobs: [job] }, at(box));
  const service = await scene.start();
  await service.hears(/^the agent has no pool elsewhere: jobs for it wait there until it has/);
  scene.watch({ jobs: [scene.append(), job] }, at(box));
  service.signal('SIGHUP');
  await until(() => service.said(/the agent has no pool elsewhere/) === 2, 'it says so again');
  expect(service.said(/no pool p/)).toBe(0);
});

describe('the end of a watcher with a client section', () => {
  test('Ctrl-C waits for the running job and records it', async ({ scene, agents }) => {
    const box = await agents.start();
    scene.watch({ jobs: [scene.append(gate(scene))] }, at(box));
    const service = await scene.start();
    scene.drop('a');
    await until(async () => (await status(scene)).watches[0]?.running === 1, 'the job runs');
    service.signal('SIGINT');
    await service.hears(/waiting for running jobs; once more kills them/);
    await stays(() => !service.exited, 'it waits', 200);
    open(scene);
    expect(await service.exit).toBe(0);
    expect(scene.markers()).toEqual(['._w_0_a.done']);
  });

  test('a second Ctrl-C kills its jobs, and no others', async ({ scene, agents }) => {
    const box = await agents.start();
    scene.watch({ jobs: [scene.append(gate(scene))] }, at(box));
    const agent = await connect({ address: '127.0.0.1', port: box.port });
    await agent.submit({ id: 'other', pool: 'p', args: ['sleep', '1000'] });
    const service = await scene.start();
    scene.drop('a');
    await until(async () => (await status(scene)).watches[0]?.running === 1, 'the job runs');
    service.signal('SIGINT');
    await service.hears(/once more kills them/);
    service.signal('SIGINT');
    expect(await service.exit).toBe(0);
    expect(scene.markers()).toEqual(['._w_0_a.killed']);
    expect((await agent.get('other'))?.state).toBe('running');
    agent.close();
  });

  test('SIGTERM leaves the job at the agent', async ({ scene, agents }) => {
    const box = await agents.start();
    scene.watch({ jobs: [scene.append(gate(scene))] }, at(box));
    const service = await scene.start();
    scene.drop('a');
    await until(async () => (await status(scene)).watches[0]?.running === 1, 'the job runs');
    expect(await service.stop()).toBe(0);
    expect(service.said(/1 job\(s\) go on/)).toBe(1);
    open(scene);
    await scene.start();
    await scene.marked('._w_0_a.done');
    expect(await scene.ran(1)).toEqual(['a']);
  });

  test.for(['SIGTERM', 'SIGINT'] as const)(
    '%s ends it though the agent is away, with open jobs and a reload under way',
    async (signal, { scene, agents }) => {
      const box = await agents.start();
      scene.watch({ jobs: [scene.append(gate(scene))] }, at(box));
      const service = await scene.start();
      scene.drop('a');
      await until(async () => (await status(scene)).watches[0]?.running === 1, 'the job runs');
      await box.stop();
      scene.drop('b');
      await service.hears(/the agent is away/);
      scene.watch({ jobs: [scene.append(gate(scene))], min_age: 0.01 }, at(box));
      service.signal('SIGHUP');
      if (signal === 'SIGINT') {
        service.signal('SIGINT');
        await service.hears(/once more kills them/);
        service.signal('SIGINT');
        expect(await service.exit).toBe(3);
        expect(service.said(/the agent is away: .*; its jobs go on/)).toBe(1);
      } else expect(await service.stop()).toBe(0);
      open(scene);
      await box.restart();
      await scene.start();
      await scene.marked('._w_0_a.done');
      await scene.marked('._w_0_b.done');
      expect((await scene.ran(2)).sort()).toEqual(['a', 'b']);
    },
  );

  test('it can be stopped while it waits for the agent with jobs of the last run', async ({
    scene,
    agents,
  }) => {
    const box = await agents.start();
    scene.watch({ jobs: [scene.append(gate(scene))] }, at(box));
    const first = await scene.start();
    scene.drop('a');
    await until(async () => (await status(scene)).watches[0]?.running === 1, 'the job runs');
    await first.crash();
    await box.stop();
    const second = scene.launch();
    await second.hears(/the agent is away/);
    expect(await second.stop()).toBe(0);
    open(scene);
  });
});

describe('--once with a client section', () => {
  test('ends with 0, with 1 when one of its own jobs failed', async ({ scene, agents }) => {
    const box = await agents.start();
    const agent = await connect({ address: '127.0.0.1', port: box.port });
    await agent.wait((await agent.submit({ pool: 'p', args: ['false'] })).id);
    agent.close();
    scene.watch({ retry: false, jobs: [scene.append(':', '[ "$1" != bad ]')] }, at(box));
    scene.drop('good');
    expect((await scene.run('--once', scene.config)).code).toBe(0);
    scene.drop('bad');
    expect((await scene.run('--once', scene.config)).code).toBe(1);
    expect(await scene.ran(2)).toEqual(['good', 'bad']);
  });

  test('does not wait for an agent that is not there: exit code 3', async ({ scene }) => {
    const port = await freePort();
    scene.watch({}, { client: { address: '127.0.0.1', port } });
    const { code, stderr } = await scene.run('--once', scene.config);
    expect(code).toBe(3);
    expect(stderr).toMatch(
      new RegExp(`^meeseeks-watch: client: .*127\\.0\\.0\\.1:${port}.*; is meeseeks-box running`, 'm'),
    );
  });
});

test('--once with a pool that the agent does not have ends at once: exit code 3', async ({
  scene,
  agents,
}) => {
  const box = await agents.start();
  scene.watch({ jobs: [{ ...scene.append(), pool: 'elsewhere' }] }, at(box));
  scene.drop('a');
  const { code, stderr } = await scene.run('--once', scene.config);
  expect(code).toBe(3);
  expect(stderr).toMatch(/^meeseeks-watch: the agent has no pool elsewhere; /m);
});

describe('the client section', () => {
  test('in a watch it is an error: jobs would run on another agent than meant', async ({ scene }) => {
    scene.watch({ client: { port: 1 } });
    const { code, stdout, stderr } = await scene.run('validate', scene.config);
    expect(code).toBe(2);
    expect(stdout + stderr).toMatch(
      /watch\.w\.client: belongs at the top level of the configuration; move client out of here/,
    );
  });

  test('a second watcher of the same state directory stands by', async ({ scene, agents }) => {
    const box = await agents.start();
    scene.watch({}, at(box));
    const first = await scene.start();
    const second = scene.launch();
    await second.hears(/standing by, taking over when it ends/);
    await first.stop();
    await second.watching();
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    expect(await scene.ran(1)).toEqual(['a']);
  });

  test('changes only with a restart', async ({ scene, agents }) => {
    const box = await agents.start();
    scene.watch({}, at(box));
    const service = await scene.start();
    scene.watch({}, at(box, { timeout: 5 }));
    service.signal('SIGHUP');
    await service.hears(/^client changes only with a restart$/);
    scene.watch({});
    service.signal('SIGHUP');
    await until(() => service.said(/^client changes only with a restart$/) === 2, 'it says so again');
    scene.drop('a');
    await scene.marked('._w_0_a.done');
  });

  test('TLS with certificates, and a token in a file', async ({ scene, agents }) => {
    const { ca, server, client } = makeCertificates(scene.root);
    writeFileSync(scene.path('token'), 's3cret-token\n', { mode: 0o600 });
    const box = await agents.start({
      listen: {
        address: '127.0.0.1',
        port: 0,
        ssl: { ...server, cafile: ca },
        token_file: scene.path('token'),
      },
    });
    const ssl = { cafile: ca, ...client };
    scene.watch({}, at(box, { ssl, token_file: scene.path('token') }));
    const service = await scene.start();
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    await service.stop();
    expect(service.stderr).not.toContain('s3cret-token');
    expect(readFileSync(scene.file('._w_0_a.done'), 'utf8')).not.toContain('s3cret-token');
  });

  test('a UNIX socket', async ({ scene, agents }) => {
    const path = scene.path('box.sock');
    await agents.start({ listen: { address: path } });
    scene.watch({}, { client: { address: path } });
    await scene.start();
    scene.drop('a');
    expect(await scene.marked('._w_0_a.done')).toMatchObject({ agent: `agent at ${path}` });
  });

  test('a wrong token, a file that is missing: said in one line', async ({ scene, agents }) => {
    const box = await agents.start({ listen: { address: '127.0.0.1', port: 0, token: 'right' } });
    scene.watch({}, at(box, { token: 'wrong' }));
    const once = await scene.run('--once', scene.config);
    expect(once.code).toBe(3);
    expect(once.stderr).toMatch(/^meeseeks-watch: client: .*token/m);
    scene.watch({}, at(box, { token_file: scene.path('nowhere') }));
    const missing = await scene.run(scene.config);
    expect(missing.code).toBe(2);
    expect(missing.stderr).toMatch(/client: token_file: cannot read .*nowhere: .*ENOENT|no such file/);
  });

  test('a token that is refused is told from an agent that is away, and tried again', async ({
    scene,
    agents,
  }) => {
    const box = await agents.start({ listen: { address: '127.0.0.1', port: 0, token: 'right' } });
    const listen = { address: '127.0.0.1', port: box.port };
    scene.watch({}, at(box, { token: 'wr0ng' }));
    const service = await scene.start();
    const told = /^the agent refuses this watcher, no job is submitted: .*not the token.*client section/;
    await service.hears(told);
    expect(service.log.find(({ msg }) => told.test(msg))).toMatchObject({ level: 50 });
    expect(service.said(/is away/)).toBe(0);
    scene.drop('a');
    expect((await scene.run('status', scene.config)).stdout).toMatch(/^! the agent refuses this watcher/m);
    await box.stop();
    await service.hears(/^the agent is away/);
    await box.restart({ pools: { p: {} }, listen: { ...listen, token: 'another' } });
    await until(() => service.said(told) === 2, 'it says so again');
    await box.stop();
    await box.restart({ pools: { p: {} }, listen: { ...listen, token: 'wr0ng' } });
    await scene.marked('._w_0_a.done');
    await service.hears(/is back$/);
    expect((await status(scene)).agent_problem).toBeUndefined();
    expect(service.said(told)).toBe(2);
  });

  test('pools beside it do nothing, and that is said', async ({ scene }) => {
    scene.watch({}, { client: {}, pools: { p: { slots: 1 } } });
    const { stdout, stderr } = await scene.run('validate', scene.config);
    expect(stdout + stderr).toMatch(
      /warning: pools: does nothing beside a client section; the agent has its own pools/,
    );
  });
});

describe('an agent that speaks the old protocol only', () => {
  test('is polled: jobs run once, also over a restart of the agent', async ({ scene, agents }) => {
    const box = await agents.start();
    const proxy = await oldProtocol(box.port);
    try {
      scene.watch(
        { jobs: [scene.append(gate(scene))] },
        { client: { address: '127.0.0.1', port: proxy.port, refresh: 0.1 } },
      );
      const service = await scene.start();
      scene.drop('a');
      await until(async () => (await status(scene)).watches[0]?.running === 1, 'the job runs');
      await box.crash();
      scene.drop('b');
      await service.hears(/the agent is away/);
      await box.restart();
      open(scene);
      await scene.marked('._w_0_a.done');
      await scene.marked('._w_0_b.done');
      expect((await scene.ran(2)).sort()).toEqual(['a', 'b']);
      expect(proxy.requests).not.toContain('watch');
      expect(proxy.requests).not.toContain('release');
    } finally {
      proxy.close();
    }
  });
});
