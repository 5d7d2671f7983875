import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  check,
  expect,
  until,
  pause,
  service,
  json,
  ourBox,
  config,
  theirClient,
  programs,
  python,
  home,
} from './harness.mjs';

/** The original's watcher with our box. */
export async function checks() {
  let box = await ourBox('watch-box');
  const data = join(home, 'data');
  for (const name of ['file', 'set', 'upd', 'retry', 'kill', 'slow'])
    mkdirSync(join(data, name), { recursive: true });
  const env = { PATH: process.env.PATH };
  const job = (script, more = {}) => ({
    pool: 'q1',
    env,
    args: ['/bin/sh', '-c', script],
    tags: ['%(name)s', '%(index)s'],
    ...more,
  });
  const common = { refresh: 1, rescan: 1 };
  const file = config('watch.json', {
    client: { address: '127.0.0.1', port: box.port, refresh: 1 },
    cleanup: 3,
    template: {
      file: {
        ...common,
        glob: '*.dat',
        jobs: [job('echo "%(filename)s" >> %(path)s.log', { id: '%(name)s_%(index)s_%(filename)s' })],
      },
      fileset: {
        ...common,
        glob: ['*.foo', '*.bar'],
        split: '.',
        fileset: 2,
        match: 2,
        jobs: [job('echo "%(fileset0)s %(fileset1)s" >> %(path)s.log')],
      },
      fileupdate: {
        ...common,
        glob: '*.txt',
        updated: true,
        split: '.',
        jobs: [job('cat %(file)s >> %(path)s.log', { id: '%(name)s_%(index)s_%(filename)s' })],
      },
      retry: {
        ...common,
        glob: '*.x',
        jobs: [
          job('echo run >> %(path)s.log; test -e %(path)s.ok', { id: '%(name)s_%(index)s_%(filename)s' }),
        ],
      },
      slow: {
        ...common,
        glob: '*',
        jobs: [
          job('echo start >> %(path)s.log; sleep 4; echo end >> %(path)s.log', {
            id: '%(name)s_%(filename)s',
          }),
        ],
      },
      kill: { ...common, glob: '*', retry: false, jobs: [job('sleep 300', { id: 'kill_%(filename)s' })] },
    },
    watch: {
      file: { template: 'file', path: join(data, 'file') },
      set: { template: 'fileset', path: join(data, 'set') },
      upd: { template: 'fileupdate', path: join(data, 'upd') },
      retry: { template: 'retry', path: join(data, 'retry') },
      slow: { template: 'slow', path: join(data, 'slow') },
      kill: { template: 'kill', path: join(data, 'kill') },
    },
  });
  const put = (where, text = '') => writeFileSync(join(data, where), text);
  const log = (name) =>
    existsSync(join(data, `${name}.log`)) ? readFileSync(join(data, `${name}.log`), 'utf8') : '';
  const marker = (dir, name) =>
    readdirSync(join(data, dir)).includes(name) &&
    JSON.parse(readFileSync(join(data, dir, name), 'utf8') || 'null');
  put('file/1.dat');
  put('file/2 two.dat');
  put('set/20200101.00.foo');
  put('set/20200101.00.bar');
  put('set/20200101.01.foo');
  put('upd/a.txt', 'one\n');
  put('retry/r.x');
  const watch = service('watcher', python, [join(programs, 'meeseeks-watch'), file]);
  const show = () => `\n${watch.log.slice(-2500)}`;
  const wait = (what, condition, seconds = 40) =>
    until(what, condition, seconds).catch((error) => {
      throw new Error(error.message + show());
    });
  await check('file: each runs once, .done holds the job', async () => {
    const done = await wait(
      'markers',
      () => marker('file', '._file_0_1.dat.done') && marker('file', '._file_0_2 two.dat.done'),
    );
    expect(done.state === 'done' && done.rc === 0 && done.tags.join() === 'file,0', done);
    await pause(4000);
    expect(log('file').split('\n').sort().join() === ',1.dat,2 two.dat', log('file'));
  });
  await check('fileset: a complete set runs, an incomplete one waits', async () => {
    await wait('marker', () => marker('set', '._set_0_20200101.00.foo.done'));
    expect(log('set') === '20200101.00.foo 20200101.00.bar\n', log('set'));
    put('set/20200101.01.bar');
    await wait('marker of the second', () => marker('set', '._set_0_20200101.01.foo.done'));
    expect(log('set').split('\n').length === 3, log('set'));
  });
  await check('fileupdate: a changed file runs again under the same job id', async () => {
    await wait('marker', () => marker('upd', '._upd_0_a.txt.done'));
    expect(log('upd') === 'one\n', log('upd'));
    put('upd/a.txt', 'two\n');
    utimesSync(join(data, 'upd/a.txt'), new Date(), new Date(Date.now() + 1000));
    await wait('the second run', () => log('upd') === 'one\ntwo\n');
  });
  await check('retry: a failed file is tried again under the same job id', async () => {
    await wait('a failure', () => marker('retry', '._retry_0_r.x.failed'));
    await wait('three tries', () => log('retry').split('\n').length > 3, 60);
    writeFileSync(join(data, 'retry.ok'), '');
    await wait('success', () => marker('retry', '._retry_0_r.x.done'), 60);
  });
  await check('kill: a killed file is marked, the process is gone', async () => {
    put('kill/k');
    await wait(
      'the job runs',
      async () => (await json(theirClient(box.port, 'get', 'kill_k'))).kill_k?.state === 'running',
    );
    const { kill_k } = await json(theirClient(box.port, 'get', 'kill_k'));
    await theirClient(box.port, 'kill', 'kill_k');
    await wait('marker', () => marker('kill', '._kill_0_k.killed'));
    expect(
      !existsSync(`/proc/${kill_k.pid}`) || / Z /.test(readFileSync(`/proc/${kill_k.pid}/stat`, 'latin1')),
      'the process lives',
    );
    rmSync(join(data, 'kill/k')); // it knows no end of killed files: they run again
  });
  await check('our box restarts: a running job ends and is marked, once', async () => {
    put('slow/s1');
    await wait('start', () => log('slow') === 'start\n');
    await box.stop();
    box = await ourBox('watch-box', { port: box.port });
    await wait('marker', () => marker('slow', '._slow_0_s1.done'), 60);
    await pause(3000);
    expect(log('slow') === 'start\nend\n', log('slow'));
  });
  await check('our box is killed with kill -9: the same', async () => {
    put('slow/s2');
    await wait('start', () => log('slow') === 'start\nend\nstart\n');
    await box.stop('SIGKILL');
    box = await ourBox('watch-box', { port: box.port });
    await wait('marker', () => marker('slow', '._slow_0_s2.done'), 60);
    await pause(3000);
    expect(log('slow') === 'start\nend\nstart\nend\n', log('slow'));
  });
  await check('the watcher stops, and ends what runs', async () => {
    put('kill/z');
    await wait(
      'the job runs',
      async () => (await json(theirClient(box.port, 'get', 'kill_z'))).kill_z?.state === 'running',
    );
    await watch.stop();
    expect(!/Traceback/.test(watch.log), watch.log.slice(-3000));
    const { kill_z } = await json(theirClient(box.port, 'get', 'kill_z'));
    expect(kill_z.state === 'killed', kill_z);
  });
  await watch.stop();
  await box.stop();
}
