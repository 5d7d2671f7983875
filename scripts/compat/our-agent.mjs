import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAgentClient } from '../../dist/client/agent-client.js';
import { check, expect, until, pause, theirBox, theirJob, home } from './harness.mjs';

/** What our watcher needs of an agent, with the original's box. */
export async function checks() {
  let box = await theirBox('their-agent');
  const agent = createAgentClient({ address: '127.0.0.1', port: box.port, refresh: 0.5 });
  const seen = [];
  agent.onJob((one) => seen.push(one));
  const isOver = (one) => ['done', 'failed', 'killed'].includes(one.state);
  const over = (id) => until(`${id} ends`, () => seen.findLast((one) => one.id === id && isOver(one)), 20);
  const submit = async (id, args, key = 'k', more = {}) =>
    (await agent.submit([{ key, spec: { id, pool: 'q1', args, ...more } }]))[0];
  await check('submit, result with output, release', async () => {
    const result = await submit('a1', ['/bin/sh', '-c', `echo hello; echo run >> ${home}/a1`]);
    expect(result.ok && result.job.key === 'k', result);
    const job = await over('a1');
    expect(
      job.state === 'done' &&
        job.rc === 0 &&
        job.reason === 'exit' &&
        job.key === 'k' &&
        job.active === false,
      job,
    );
    expect((await agent.query(['a1'])).get('a1').stdout_data === 'aGVsbG8K', 'output');
  });
  await check('the same id and key again: the same job, not a second run', async () => {
    const again = await submit('a1', ['/bin/sh', '-c', `echo run >> ${home}/a1`]);
    expect(again.ok && again.job.state === 'done', again);
    await pause(2500);
    expect(readFileSync(join(home, 'a1'), 'utf8') === 'run\n', 'it ran again');
  });
  await check('the same id, another key: runs again; refused while it is active', async () => {
    const again = await submit('a1', ['/bin/sh', '-c', `echo second >> ${home}/a1; sleep 3`], 'k2');
    expect(again.ok && again.job.state === 'new' && again.job.key === 'k2', again);
    const third = await submit('a1', ['/bin/true'], 'k3');
    expect(!third.ok && /already/.test(third.error), third);
    await until(
      'the second run',
      () => seen.some((one) => one.id === 'a1' && one.key === 'k2' && one.state === 'done'),
      20,
    );
    expect(
      readFileSync(join(home, 'a1'), 'utf8') === 'run\nsecond\n',
      readFileSync(join(home, 'a1'), 'utf8'),
    );
  });
  await check('an empty output is an empty text', async () => {
    await submit('a2', ['/bin/true']);
    const job = await over('a2');
    expect(job.state === 'done' && job.stdout_data === '', job);
  });
  await check('working directory and environment', async () => {
    mkdirSync(join(home, 'there'));
    await submit('a3', ['/bin/sh', '-c', 'pwd; echo "$COLOUR"'], 'k', {
      cwd: join(home, 'there'),
      env: { COLOUR: 'blue', PATH: process.env.PATH },
    });
    await over('a3');
    const text = Buffer.from((await agent.query(['a3'])).get('a3').stdout_data, 'base64').toString();
    const takesEnv = (await theirJob(box.port, 'a3')).env !== undefined;
    if (!takesEnv)
      console.log('note    jobs have no environment of their own in this revision of the original');
    expect(text === `${join(home, 'there')}\n${takesEnv ? 'blue' : ''}\n`, text);
  });
  await check('list: by state and tag, also what was just submitted', async () => {
    await submit('a4', ['/bin/sleep', '300'], 'k', { tags: ['t4'] });
    const now = await agent.list({ tag: 't4' });
    expect(now.length === 1 && now[0].id === 'a4' && now[0].tags.join() === 't4', now);
    await until('it runs', async () =>
      (await agent.list({ states: ['running'] })).some(({ id }) => id === 'a4'),
    );
  });
  await check('kill: reason kill; a finished job stays what it is', async () => {
    await agent.kill(['a4', 'a2']);
    const job = await over('a4');
    expect(job.state === 'killed' && job.reason === 'kill' && !job.active, job);
    await pause(1500);
    expect((await agent.query(['a2'])).get('a2').state === 'done', (await agent.query(['a2'])).get('a2'));
  });
  await check('retries: only the last failure is the end', async () => {
    await submit('a5', ['/bin/false'], 'k', { retries: 2 });
    const job = await over('a5');
    expect(job.state === 'failed' && job.fail_count === 3, job);
  });
  await check('a job that cannot start: reason start', async () => {
    await submit('a6', ['/no/such/program']);
    const job = await over('a6');
    expect(job.state === 'failed' && job.reason === 'start' && /no such file/i.test(job.error), job);
  });
  await check('a bad request fails alone', async () => {
    const results = await agent.submit([
      { key: 'k', spec: { id: 'a7', pool: '', args: ['/bin/true'] } },
      { key: 'k', spec: { id: 'a8', pool: 'q1', args: ['/bin/true'] } },
    ]);
    expect(!results[0].ok && results[1].ok, results);
  });
  let submitted;
  await check(
    'their box restarts and forgets: an open job is lost, a result is kept until it is released',
    async () => {
      await over('a8');
      await submit('a9', ['/bin/sleep', '300']);
      await until('it runs', () => seen.some(({ id, state }) => id === 'a9' && state === 'running'));
      await box.stop('SIGKILL');
      submitted = submit('b1', ['/bin/sh', '-c', `echo run >> ${home}/b1`]);
      box = await theirBox('their-agent', { port: box.port });
      const lost = await over('a9');
      expect(lost.state === 'failed' && lost.reason === 'lost', lost);
      expect((await agent.query(['a9'])).get('a9')?.reason === 'lost', 'query');
      expect((await submitted).ok, 'what was submitted meanwhile');
      await until('it ran', () => existsSync(join(home, 'b1')));
      await over('b1');
      expect(readFileSync(join(home, 'b1'), 'utf8') === 'run\n', 'ran twice');
      expect(
        (await agent.query(['a8'])).get('a8')?.state === 'done',
        'the result of a8',
        Object.fromEntries(await agent.query(['a8'])),
      );
      await agent.release(['a8', 'a9']);
      expect((await agent.query(['a8', 'a9'])).size === 0, 'after release');
    },
  );
  submitted?.catch(() => undefined);
  await agent.stop('leave');
  await box.stop();
}
