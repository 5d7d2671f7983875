import { join } from 'node:path';
import { check, expect, until, pause, service, json, theirBox, ourClient, dist } from './harness.mjs';

/** Our client with the original's box. */
export async function checks() {
  const box = await theirBox('their-box');
  const ask = (...words) => json(ourClient(box.port, ...words));
  const job = async (id) => (await ask('get', id))[id];
  await check('sub, wait (exit code of the job), logs', async () => {
    const sub = await ask(
      'sub',
      'id=c1',
      'tags=x,y',
      'q1',
      '/bin/sh',
      '-c',
      'pwd; echo out; echo err >&2; exit 3',
    );
    expect(sub.c1?.state === 'new', sub);
    const waited = await ourClient(box.port, 'wait', 'c1');
    expect(waited.code === 3, waited);
    const logs = await ourClient(box.port, 'logs', 'c1');
    expect(logs.code === 0 && logs.stdout.endsWith('\nout\n') && logs.stderr === 'err\n', logs);
  });
  await check('get, ls, FILTER, unknown ids', async () => {
    expect((await job('c1')).tags.filter((tag) => !tag.startsWith('key:')).join() === 'x,y', await job('c1'));
    expect((await ask('ls', 'tag=x')).join() === 'c1', await ask('ls'));
    const sub = await ask('sub', 'id=c2', 'q1', '/bin/true');
    await until('what was submitted is listed', async () => (await ask('ls')).includes('c2'), 5);
    expect('c2' in sub, sub);
    const unknown = await ourClient(box.port, 'wait', 'nosuch');
    expect(unknown.code !== 0 && /no job nosuch/.test(unknown.stderr), unknown);
  });
  await check('stat flat and tree, nodes, pools, top', async () => {
    await ask('sub', 'id=c3', 'tag=run', 'q1', '/bin/sleep', '300');
    await until('it runs', async () => (await job('c3')).state === 'running');
    for (const words of [['stat'], ['stat', 'tree'], ['stat', 'jobs'], ['stat', 'state=running']]) {
      const ran = await ourClient(box.port, ...words);
      expect(ran.code === 0 && ran.stdout.includes('c3') && ran.stdout.includes('q1@n1'), words, ran);
    }
    const stat = (await ourClient(box.port, 'stat')).stdout;
    expect(!/NaN|undefined|true free|object/.test(stat), stat);
    expect('n1' in (await ask('nodes')) && 'q1' in (await ask('pools')), 'nodes, pools');
    const top = await ourClient(box.port, 'top');
    expect(top.code === 0 || /terminal/.test(top.stderr), top);
  });
  await check('mod, kill, state=new', async () => {
    const changed = await ask('mod', 'c3', 'tags=m,n');
    expect(changed.c3.tags.includes('m'), changed);
    await ask('kill', 'c3');
    const waited = await ourClient(box.port, 'wait', 'c3');
    expect(waited.code !== 0 && /kill/.test(waited.stderr), waited, await job('c3'));
    await ourClient(box.port, 'wait', 'c2');
    await ask('mod', 'c2', 'state=new');
    await until(
      'it runs again',
      async () => (await job('c2')).start_count >= 1 && (await job('c2')).state === 'done',
    );
  });
  await check('events', async () => {
    const events = service('events', process.execPath, [
      join(dist, 'meeseeks-client.js'),
      'address=127.0.0.1',
      `port=${box.port}`,
      'events',
    ]);
    await pause(2500);
    await ask('sub', 'id=c4', 'q1', '/bin/true');
    await until('the end is told', () => /done +c4/.test(events.log), 20).catch((error) => {
      throw new Error(error.message + events.log);
    });
    await events.stop('SIGTERM');
  });
  await check('conf shows the configuration', async () => {
    const conf = await ourClient(box.port, 'conf');
    expect(conf.code === 0 && conf.stdout.includes('q1'), conf);
  });
  await box.stop();
}
