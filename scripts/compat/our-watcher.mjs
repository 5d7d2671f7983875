import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check, config, dist, expect, home, service, theirBox, theirClient, until } from './harness.mjs';

/** Our watcher with the original's box. */
export async function checks() {
  let box = await theirBox('our-watch-box');
  const data = join(home, 'our-data');
  for (const name of ['file', 'set', 'upd', 'retry', 'kill', 'slow'])
    mkdirSync(join(data, name), { recursive: true });
  const log = join(home, 'our-runs.log');
  const job = (script) => ({
    pool: 'q1',
    args: ['/bin/sh', '-c', script, 'job', '%(filename)s', '%(file)s', log],
  });
  const watch = (name, keys, script) => ({
    path: join(data, name),
    refresh: 1,
    rescan: 1,
    jobs: [job(script)],
    ...keys,
  });
  const gate = join(home, 'our-gate');
  const file = config('our-watch.json', {
    name: 'ours',
    state_dir: join(home, 'our-watch-state'),
    client: { address: '127.0.0.1', port: box.port, refresh: 0.5 },
    watch: {
      file: watch('file', { glob: '*' }, 'echo "$1" >> "$3"; echo "out of $1"'),
      set: watch('set', { glob: ['*.foo', '*.bar'], split: '.', fileset: 1 }, 'echo "set $1" >> "$3"'),
      upd: watch('upd', { glob: '*', updated: true }, 'cat "$2" >> "$3"'),
      retry: watch(
        'retry',
        { glob: '*', retry_delay: 1 },
        'echo "try $1" >> "$3"; [ -e "$2.ok" ] || { : > "$2.ok"; exit 3; }',
      ),
      kill: watch('kill', { glob: '*' }, 'echo "kill $1" >> "$3"; exec sleep 300'),
      slow: watch(
        'slow',
        { glob: '*', retry_delay: 1 },
        `echo "slow $1" >> "$3"; while [ ! -e ${gate} ]; do sleep 0.2; done`,
      ),
    },
  });
  const runs = (line) =>
    existsSync(log)
      ? readFileSync(log, 'utf8')
          .split('\n')
          .filter((one) => one === line).length
      : 0;
  const marker = (name) => join(data, name);
  const marked = (name) => until(`marker ${name}`, () => existsSync(marker(name)), 40);
  const read = (name) => JSON.parse(readFileSync(marker(name), 'utf8'));
  const start = () =>
    service('our-watcher', process.execPath, [join(dist, 'meeseeks-watch.js'), '--log-format=json', file]);
  const text = (name) => Buffer.from(read(name).stdout_data, 'base64').toString();
  let watcher = start();
  await check('a file runs once, and its marker has what it wrote', async () => {
    writeFileSync(join(data, 'file/a'), 'a');
    await marked('file/._file_0_a.done');
    expect(
      text('file/._file_0_a.done') === 'out of a\n' && read('file/._file_0_a.done').rc === 0,
      read('file/._file_0_a.done'),
    );
    expect(runs('a') === 1, readFileSync(log, 'utf8'));
  });
  await check('a fileset, an update, a failure and its retry', async () => {
    writeFileSync(join(data, 'set/x.foo'), '');
    writeFileSync(join(data, 'upd/u'), 'one\n');
    writeFileSync(join(data, 'retry/r'), '');
    writeFileSync(join(data, 'set/x.bar'), '');
    await marked('set/._set_0_x.foo.done');
    await marked('upd/._upd_0_u.done');
    appendFileSync(join(data, 'upd/u'), 'two\n');
    await until('the update runs', () => runs('two') === 1);
    await marked('retry/._retry_0_r.done');
    expect(runs('set x.foo') === 1 && runs('one') === 2 && runs('try r') === 2, readFileSync(log, 'utf8'));
  });
  await check('a kill by their client: killed, and not run again', async () => {
    writeFileSync(join(data, 'kill/k'), '');
    await until('it runs', () => runs('kill k') === 1);
    const { stdout } = await theirClient(box.port, 'get', 'state=running');
    await theirClient(box.port, 'kill', ...Object.keys(JSON.parse(stdout)));
    await marked('kill/._kill_0_k.killed');
    expect(runs('kill k') === 1, readFileSync(log, 'utf8'));
  });
  await check('kill -9 of our watcher: the next start takes up its job', async () => {
    writeFileSync(join(data, 'slow/s'), '');
    await until('it runs', () => runs('slow s') === 1);
    await watcher.stop('SIGKILL');
    watcher = start();
    await until('it is taken up', () => watcher.log.includes('took up the jobs of the last run'));
    writeFileSync(gate, '');
    await marked('slow/._slow_0_s.done');
    expect(runs('slow s') === 1, readFileSync(log, 'utf8'));
  });
  await check(
    'kill -9 of their box: its jobs are lost and run again, and new files wait for it',
    async () => {
      rmSync(gate);
      writeFileSync(join(data, 'slow/t'), '');
      await until('it runs', () => runs('slow t') === 1);
      await box.stop('SIGKILL');
      await until('our watcher says so', () => watcher.log.includes('the agent is away'));
      writeFileSync(join(data, 'file/b'), 'b');
      box = await theirBox('our-watch-box', { port: box.port });
      writeFileSync(gate, '');
      await marked('slow/._slow_0_t.done');
      await marked('file/._file_0_b.done');
      expect(read('slow/._slow_0_t.done').attempt === 2 && runs('b') === 1, read('slow/._slow_0_t.done'));
    },
  );
  await check('Ctrl-C ends it with 0', async () => {
    watcher.child.kill('SIGINT');
    await watcher.gone;
    expect(watcher.child.exitCode === 0, watcher.log.slice(-2000));
  });
  await watcher.stop();
  await box.stop();
}
