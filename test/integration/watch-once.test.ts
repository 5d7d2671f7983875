import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { touchMark } from '../../src/watch/marker-time.js';
import { processStat } from '../../src/executors/process/proc.js';
import { stays, test, until, type Json, type Scene } from '../support/service.js';

/** waits until the file named $go is there */
const WAIT = 'while [ ! -e "$go" ]; do sleep 0.02; done';
const waiting = (scene: Scene, script: string, go = 'go') =>
  scene.script(script.replaceAll('WAIT', WAIT), { env: { log: scene.runLog, go: scene.path(go) } });
const decoded = (data: unknown): string => Buffer.from(String(data), 'base64').toString();
const once = 'echo "$1" >>"$log"; echo begin; WAIT; echo out; exit 3';

describe('9 killed or restarted at the wrong moment', () => {
  test('SIGTERM leaves the job running; the next start adopts it and writes exit code and output', async ({
    scene,
  }) => {
    scene.watch({ retry: false, jobs: [waiting(scene, once)] });
    scene.drop('a');
    const first = await scene.start();
    await scene.ran(1);
    expect(await first.stop('SIGTERM')).toBe(0);
    expect(scene.markers()).toEqual([]);
    await scene.start();
    await stays(() => scene.runs().length === 1, 'it is not run beside the running one', 500);
    writeFileSync(scene.path('go'), '');
    const marker = await scene.marked('._w_0_a.failed');
    expect(marker).toMatchObject({ state: 'failed', rc: 3, reason: 'exit', attempt: 1, file: 'a' });
    expect(decoded(marker['stdout_data'])).toBe('begin\nout\n');
    expect(scene.runs()).toEqual(['a']);
  });

  test('a job that ends while the watcher is away is collected', async ({ scene }) => {
    scene.watch({
      retry: false,
      jobs: [waiting(scene, `${once} >"$log.end"`.replace('exit 3 >', 'echo >'))],
    });
    scene.drop('a');
    const first = await scene.start();
    await scene.ran(1);
    await first.crash();
    writeFileSync(scene.path('go'), '');
    await until(() => existsSync(`${scene.runLog}.end`), 'the job ends by itself');
    expect(scene.markers()).toEqual([]);
    await scene.start();
    const marker = await scene.marked('._w_0_a.done');
    expect(marker).toMatchObject({ state: 'done', rc: 0 });
    expect(decoded(marker['stdout_data'])).toBe('begin\nout\n');
    expect(scene.runs()).toEqual(['a']);
  });

  test.for([1, 2, 3])(
    'kill -9 at random moments of 200 files, round %d: one successful run each',
    async (_, { scene }) => {
      const names = Array.from({ length: 200 }, (__, i) => `f${i}`);
      scene.watch(
        { rescan: 1, retry_delay: 0.1, jobs: [scene.append('sleep 0.0$(($$ % 5))')] },
        { pools: { p: { slots: 4 } } },
      );
      for (const name of names.slice(0, 100)) scene.drop(name);
      let dropped = 100;
      for (let kills = 0; kills < 6; kills++) {
        const service = scene.launch();
        if (kills % 2 === 0) await until(() => service.said(/^watching/) > 0 || service.exited, 'it starts');
        await sleep(Math.random() * 350);
        for (const end = Math.min(dropped + 17, 200); dropped < end; dropped++) scene.drop(names[dropped]!);
        await service.crash();
      }
      for (; dropped < 200; dropped++) scene.drop(names[dropped]!);
      await scene.start();
      await until(
        () => scene.markers().length === 200,
        () => `200 markers, not ${scene.markers().length}`,
      );
      await stays(() => scene.runs().length === 200, 'one run each', 300);
      expect(scene.runs().toSorted()).toEqual(names.toSorted());
      expect(scene.markers().every((marker) => marker.endsWith('.done'))).toBe(true);
    },
  );

  test('two watchers of one configuration: one works, the other stands by and takes over', async ({
    scene,
  }) => {
    scene.watch({ jobs: [waiting(scene, 'echo "$1" >>"$log"; [ "$1" != held ] || WAIT')] });
    const first = await scene.start();
    const second = scene.launch();
    await second.hears(/standing by/);
    scene.drop('a');
    await scene.ran(1);
    scene.drop('held');
    await scene.ran(2);
    await first.crash();
    scene.drop('b');
    await second.watching();
    await scene.ran(3);
    writeFileSync(scene.path('go'), '');
    await scene.marked('._w_0_held.done');
    expect(scene.runs()).toEqual(['a', 'held', 'b']);
  });

  test('two watchers on one directory with states of their own: each file still has one run', async ({
    scene,
  }) => {
    scene.watch({ jobs: [scene.append('sleep 0.2')] });
    await scene.start();
    scene.launch([scene.config, `state_dir=${scene.path('state2')}`]);
    await sleep(1000);
    for (const name of ['a', 'b', 'c']) scene.drop(name);
    await until(() => scene.markers().length === 3, 'three markers');
    await stays(() => scene.runs().length <= 3, 'one run each', 700);
    expect(scene.runs().toSorted()).toEqual(['a', 'b', 'c']);
  });

  test('the same configuration by a relative and an absolute path is the same watcher', async ({ scene }) => {
    const home = scene.path('xdg');
    mkdirSync(home);
    const watch = { w: { path: scene.data, glob: '*', jobs: [scene.append()] } };
    writeFileSync(scene.config, JSON.stringify({ watch }));
    const env = { XDG_STATE_HOME: home };
    await scene.start([scene.config], { env });
    const second = scene.launch(['watch.json'], { env });
    await second.hears(/standing by/);
  });

  test('a second watcher that stands by can be stopped', async ({ scene }) => {
    scene.watch();
    const first = await scene.start();
    const second = scene.launch();
    await second.hears(/standing by/);
    expect(await second.stop('SIGTERM')).toBe(0);
    expect(first.exited).toBe(false);
  });
});

describe('stopping', () => {
  const start = async (scene: Scene, more: { [key: string]: Json } = {}) => {
    scene.watch(
      { jobs: [waiting(scene, 'echo "$1" >>"$log"; WAIT; echo "$1 ended" >>"$log"')] },
      {
        pools: { p: { slots: 1 } },
        ...more,
      },
    );
    const service = await scene.start();
    scene.drop('a');
    await scene.ran(1);
    return service;
  };

  test('Ctrl-C submits nothing more and waits for running jobs', async ({ scene }) => {
    const service = await start(scene);
    scene.drop('b'); // queued behind a: one slot
    await sleep(200);
    service.signal('SIGINT');
    await service.hears(/waiting for running jobs/);
    scene.drop('c');
    await stays(() => !service.exited, 'it waits', 400);
    writeFileSync(scene.path('go'), '');
    await until(() => service.exited, 'it ends');
    expect(await service.exit).toBe(0);
    expect(scene.runs()).toEqual(['a', 'a ended']);
    expect(scene.marker('._w_0_a.done')).toMatchObject({ state: 'done' });
    await scene.start();
    await scene.ran(6);
    expect(
      scene
        .runs()
        .filter((line) => !line.includes('ended'))
        .toSorted(),
    ).toEqual(['a', 'b', 'c']);
  });

  test('a second Ctrl-C kills them: .killed, never retried until a person resets it', async ({ scene }) => {
    const service = await start(scene);
    service.signal('SIGINT');
    await service.hears(/waiting for running jobs/);
    expect(await service.stop('SIGINT')).toBe(0);
    expect(scene.markers()).toEqual(['._w_0_a.killed']);
    expect(scene.marker('._w_0_a.killed')).toMatchObject({ state: 'killed', reason: 'kill' });
    writeFileSync(scene.path('go'), '');
    await stays(() => scene.runs().length === 1, 'the job is gone', 200);
    scene.watch({ rescan: 0.3, retry_delay: 0.1, jobs: [scene.append()] });
    await scene.start();
    await stays(() => scene.runs().length === 1, 'killed is never retried', 1000);
    expect((await scene.run('retry', '--yes', scene.config)).code).toBe(0);
    await scene.ran(2);
    await scene.marked('._w_0_a.done');
    expect(scene.markers()).toEqual(['._w_0_a.done']);
  });

  test('on_stop: kill', async ({ scene }) => {
    const service = await start(scene, { on_stop: 'kill' });
    expect(await service.stop('SIGTERM')).toBe(0);
    expect(scene.markers()).toEqual(['._w_0_a.killed']);
  });

  test('on_stop: drain', async ({ scene }) => {
    const service = await start(scene, { on_stop: 'drain' });
    service.signal('SIGTERM');
    await stays(() => !service.exited, 'it waits', 400);
    writeFileSync(scene.path('go'), '');
    await until(() => service.exited, 'it ends');
    expect(scene.markers()).toEqual(['._w_0_a.done']);
  });

  test('on_stop: leave', async ({ scene }) => {
    const service = await start(scene, { on_stop: 'leave' });
    expect(await service.stop('SIGINT')).toBe(0);
    expect(scene.markers()).toEqual([]);
    writeFileSync(scene.path('go'), '');
    await scene.ran(2);
    await scene.start();
    await scene.marked('._w_0_a.done');
    expect(scene.runs()).toEqual(['a', 'a ended']);
  });

  test('a kill reaches the grandchildren', async ({ scene }) => {
    scene.watch(
      {
        jobs: [
          scene.script('sh -c \'trap "" TERM; echo $$ >>"$log"; while :; do sleep 0.1; done\' & wait', {
            kill_grace: 0.5,
          }),
        ],
      },
      { on_stop: 'kill' },
    );
    const service = await scene.start();
    scene.drop('a');
    const [pid] = await scene.ran(1);
    expect(processStat(Number(pid))).toBeDefined();
    await service.stop('SIGTERM');
    expect(processStat(Number(pid))).toBeUndefined();
  });
});

describe('11 a change during the run', () => {
  const job = (scene: Scene) => waiting(scene, 'wc -c <"$2" >>"$log"; n=$(wc -l <"$log"); go=$go$n; WAIT');

  test('with updated: exactly one more run; the identity is what was selected', async ({ scene }) => {
    scene.watch({ updated: true, rescan: 0.5, jobs: [job(scene)] });
    await scene.start();
    scene.drop('a', '123');
    await scene.ran(1);
    const selected = statSync(scene.file('a'), { bigint: true });
    appendFileSync(scene.file('a'), '45');
    await sleep(50);
    appendFileSync(scene.file('a'), '67');
    await stays(() => scene.runs().length === 1, 'not beside the running one', 700);
    writeFileSync(scene.path('go1'), '');
    await scene.ran(2);
    expect(scene.marker('._w_0_a.done')).toMatchObject({
      identity: { size: 3, mtime_ns: String(selected.mtimeNs) },
    });
    const mtime = Number(readFileSync(scene.file('._w_0_a.mtime'), 'utf8'));
    expect(mtime).toBeCloseTo(Number(selected.mtimeNs) / 1e9, 5);
    writeFileSync(scene.path('go2'), '');
    await until(
      () => (scene.marker('._w_0_a.done')['identity'] as { size: number }).size === 7,
      'the marker tells of the second run',
    );
    await stays(() => scene.runs().length === 2, 'exactly once more', 1200);
    expect(scene.runs().map(Number)).toEqual([3, 7]);
  });

  test('without updated a change is no reason', async ({ scene }) => {
    scene.watch({ rescan: 0.4, jobs: [job(scene)] });
    await scene.start();
    scene.drop('a', '123');
    await scene.ran(1);
    appendFileSync(scene.file('a'), '45');
    writeFileSync(scene.path('go1'), '');
    await scene.marked('._w_0_a.done');
    appendFileSync(scene.file('a'), '67');
    await stays(() => scene.runs().length === 1, 'run once', 1000);
  });

  test('a change after a final failure starts anew (updated)', async ({ scene }) => {
    scene.watch({ updated: true, retry: false, jobs: [scene.append(':', 'exit 1')] });
    await scene.start();
    scene.drop('a', '1');
    await scene.marked('._w_0_a.failed');
    await stays(() => scene.runs().length === 1, 'final', 300);
    appendFileSync(scene.file('a'), '2');
    await scene.ran(2);
    await stays(() => scene.runs().length === 2, 'once more', 500);
  });

  test('with several jobs only the first is run on an update', async ({ scene }) => {
    scene.watch({
      updated: true,
      jobs: [scene.script('echo "first $1" >>"$log"'), scene.script('echo "second $1" >>"$log"')],
    });
    scene.drop('a');
    scene.drop('b');
    await scene.start();
    await scene.ran(3);
    await scene.marked('._w_1_a.done');
    appendFileSync(scene.file('a'), 'more');
    await scene.ran(4);
    await stays(() => scene.runs().length === 4, 'only the first', 500);
    expect(scene.runs().at(-1)).toBe('first a');
  });

  test('a change while the service is down is processed at the next start (updated)', async ({ scene }) => {
    scene.watch({ updated: true });
    scene.drop('a');
    scene.drop('b');
    const first = await scene.start();
    await scene.ran(2);
    await until(() => scene.markers().length === 4, 'two .done and two .mtime');
    await first.stop();
    appendFileSync(scene.file('a'), 'more');
    await scene.start();
    await scene.ran(3);
    await stays(() => scene.runs().length === 3, 'once', 400);
    expect(scene.runs()[2]).toBe('a');
  });
});

describe('12 failures', () => {
  /** appends "<name> <ms>" and fails until it has run `n` times for the file */
  const failing = (scene: Scene, n: number) =>
    scene.script(`echo "$1 $(date +%%s%%N)" >>"$log"; [ "$(grep -c "^$1 " "$log")" -ge ${n} ]`);
  const times = (scene: Scene): number[] =>
    scene.runs().map((line) => Number(BigInt(line.split(' ')[1]!) / 1_000_000n));

  test('the delay grows, and .failed goes with the success', async ({ scene }) => {
    scene.watch({ retry_delay: 0.4, rescan: 0.2, jobs: [failing(scene, 4)] });
    await scene.start();
    scene.drop('a');
    expect(await scene.marked('._w_0_a.failed')).toMatchObject({ state: 'failed', rc: 1, attempt: 1 });
    expect(await scene.marked('._w_0_a.done')).toMatchObject({ state: 'done', attempt: 4 });
    expect(scene.markers()).toEqual(['._w_0_a.done']);
    const [first, second, third, fourth] = times(scene);
    expect(second! - first!).toBeGreaterThanOrEqual(400);
    expect(third! - second!).toBeGreaterThanOrEqual(800);
    expect(fourth! - third!).toBeGreaterThanOrEqual(1600);
    expect(fourth! - first!).toBeLessThan(2800 + 20_000);
  });

  test('the delay is capped, and survives a restart', async ({ scene }) => {
    scene.watch({ retry_delay: 0.5, retry_max_delay: 0.7, jobs: [failing(scene, 7)] });
    const first = await scene.start();
    scene.drop('a');
    await scene.marked('._w_0_a.failed');
    await first.stop();
    await scene.start();
    await scene.marked('._w_0_a.done');
    const all = times(scene);
    const gaps = all.slice(1).map((time, i) => time - all[i]!);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(500);
    // without the cap the last one alone would be 16 s
    expect(all.at(-1)! - all[0]!).toBeLessThan(15_000);
  });

  test('retries: 2 ends it, also over a restart', async ({ scene }) => {
    scene.watch({ retries: 2, retry_delay: 0.1, rescan: 0.3, jobs: [scene.append(':', 'exit 7')] });
    const first = await scene.start();
    scene.drop('a');
    await scene.ran(3);
    await stays(() => scene.runs().length === 3, 'no more', 800);
    expect(scene.marker('._w_0_a.failed')).toMatchObject({ rc: 7, attempt: 3 });
    await first.stop();
    await scene.start();
    await stays(() => scene.runs().length === 3, 'no more', 500);
  });

  test.for([false, 0])('retry: %s makes .failed final', async (retry, { scene }) => {
    scene.watch({ retry, retry_delay: 0.1, rescan: 0.2, jobs: [scene.append(':', 'exit 7')] });
    const first = await scene.start();
    scene.drop('a');
    await scene.marked('._w_0_a.failed');
    await stays(() => scene.runs().length === 1, 'final', 700);
    await first.stop();
    await scene.start();
    await stays(() => scene.runs().length === 1, 'final', 400);
  });

  test('a runtime overrun is killed, counts as a failure with reason timeout, and obeys retries', async ({
    scene,
  }) => {
    const job = scene.script('echo "$1" >>"$log"; exec sleep 600', { runtime: 0.4 });
    scene.watch({ retries: 1, retry_delay: 0.1, jobs: [job] });
    await scene.start();
    scene.drop('a');
    await scene.ran(2);
    await until(() => scene.markers().length > 0 && scene.marker('._w_0_a.failed')['attempt'] === 2, 'final');
    expect(scene.marker('._w_0_a.failed')).toMatchObject({ state: 'failed', reason: 'timeout' });
    await stays(() => scene.runs().length === 2, 'no more', 500);
  });

  test('a job that cannot be started fails and says why', async ({ scene }) => {
    scene.watch({ retry: false, jobs: [{ pool: 'p', args: ['/no/such/program', '%(file)s'] }] });
    await scene.start();
    scene.drop('a');
    const marker = await scene.marked('._w_0_a.failed');
    expect(marker).toMatchObject({ state: 'failed', reason: 'start' });
    expect(marker['error']).toContain('/no/such/program');
  });

  test('a later step waits for the success of the earlier one (run_all)', async ({ scene }) => {
    scene.watch({
      retry_delay: 0.3,
      jobs: [failing(scene, 2), scene.script('echo "second $1" >>"$log"')],
    });
    scene.drop('a');
    scene.drop('b');
    await scene.start();
    await scene.marked('._w_1_a.done');
    const order = scene.runs().filter((line) => line.startsWith('a ') || line === 'second a');
    expect(order.map((line) => line.split(' ')[0])).toEqual(['a', 'a', 'second']);
  });
});

describe('13 max_jobs', () => {
  test('is respected with unlimited slots, and is used', async ({ scene }) => {
    mkdirSync(scene.path('up'));
    // the first ones wait for each other
    const full = '[ "$(ls "$up" | wc -l)" -ge 4 ] && : >"$full"; [ -e "$full" ]';
    const script = `: >"$up/$$"; until ${full}; do sleep 0.02; done; sleep 0.15; ls "$up" | wc -l >>"$log"; rm "$up/$$"`;
    const job = scene.script(script, {
      env: { log: scene.runLog, up: scene.path('up'), full: scene.path('full') },
    });
    scene.watch({ max_jobs: 5, jobs: [job] }, { pools: { p: { slots: 0 } } });
    for (let i = 0; i < 20; i++) scene.drop(`backlog${i}`);
    await scene.start();
    for (let i = 0; i < 20; i++) scene.drop(`live${i}`);
    const concurrency = (await scene.ran(40)).map(Number);
    expect(Math.max(...concurrency)).toBeLessThanOrEqual(5);
  });

  test('a new arrival overtakes a backlog', async ({ scene }) => {
    scene.watch(
      { max_jobs: 20, jobs: [waiting(scene, 'WAIT; echo "$1" >>"$log"')] },
      { pools: { p: { slots: 2 } } },
    );
    for (let i = 0; i < 80; i++) scene.drop(`f${i}`);
    await scene.start();
    scene.drop('a-live'); // the last of the order
    await until(async () => {
      const { stdout } = await scene.run('explain', scene.file('a-live'), scene.config);
      return stdout.includes('is in flight');
    }, 'the arrival is submitted');
    writeFileSync(scene.path('go'), '');
    await until(() => scene.count('a-live') === 1, 'the arrival runs');
    expect(scene.runs().indexOf('a-live')).toBeLessThan(12);
    await scene.ran(81);
  });

  test('the newest of the order come first; with reverse the oldest', async ({ scene }) => {
    for (const name of ['a', 'b', 'c', 'd']) scene.drop(name);
    scene.watch({}, { pools: { p: { slots: 1 } } });
    const first = await scene.start();
    expect(await scene.ran(4)).toEqual(['d', 'c', 'b', 'a']);
    await first.stop();
    scene.configure({
      pools: { p: { slots: 1 } },
      watch: { other: { path: scene.data, glob: '*', reverse: true, jobs: [scene.append()] } },
    });
    await scene.start();
    expect((await scene.ran(8)).slice(4)).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('14 results that cannot be recorded do not rerun the job', () => {
  test('a full disk: results are kept, and written when there is room', async ({ scene, skip }) => {
    if (!scene.mount(scene.data, '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs'))
      skip('mounting is not permitted');
    scene.watch({ rescan: 0.5, jobs: [waiting(scene, 'echo "$1" >>"$log"; WAIT')] });
    const service = await scene.start();
    scene.drop('a');
    await scene.ran(1);
    fill(scene.file('.filler'));
    writeFileSync(scene.path('go'), '');
    await service.hears(/cannot record results .*(ENOSPC|no space)/i);
    await stays(() => scene.runs().length === 1, 'not run again', 1500);
    expect(service.said(/cannot record results/)).toBe(1);
    writeFileSync(scene.file('.filler'), '');
    expect(await scene.marked('._w_0_a.done')).toMatchObject({ state: 'done', rc: 0 });
    expect(scene.runs()).toEqual(['a']);
    expect(scene.markers()).toEqual(['._w_0_a.done']);
  });

  test('a full disk and a kill -9: the result is still not lost', async ({ scene, skip }) => {
    if (!scene.mount(scene.data, '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs'))
      skip('mounting is not permitted');
    scene.watch({ rescan: 0.5, jobs: [waiting(scene, 'echo "$1" >>"$log"; WAIT')] });
    const service = await scene.start();
    scene.drop('a');
    await scene.ran(1);
    fill(scene.file('.filler'));
    writeFileSync(scene.path('go'), '');
    await service.hears(/cannot record results/);
    await service.crash();
    const next = await scene.start();
    await next.hears(/cannot record results/);
    expect(scene.runs()).toEqual(['a']);
    writeFileSync(scene.file('.filler'), '');
    await scene.marked('._w_0_a.done');
    expect(scene.runs()).toEqual(['a']);
  });

  test('a full state directory: nothing is lost or run twice, and the service lives on', async ({
    scene,
    skip,
  }) => {
    mkdirSync(scene.state);
    if (!scene.mount(scene.state, '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs')) skip('mounting is not permitted');
    scene.watch({
      rescan: 1,
      retry_delay: 0.2,
      jobs: [waiting(scene, 'echo "$1" >>"$log"; [ "$1" != held ] || WAIT')],
    });
    const service = await scene.start();
    scene.drop('before');
    scene.drop('held');
    await scene.ran(2);
    const filler = `${scene.state}/filler`;
    fill(filler);
    writeFileSync(scene.path('go'), '');
    for (const name of ['a', 'b', 'c']) scene.drop(name);
    await stays(() => !service.exited, 'it lives on', 2000);
    expect(service.log.some(({ level, msg }) => level >= 40 && /full|ENOSPC|no space/i.test(msg))).toBe(true);
    rmSync(filler);
    await until(
      () => scene.markers().length === 5,
      () => `5 markers: ${scene.markers().join(' ')}\n${service.tail()}`,
    );
    await stays(() => scene.runs().length === 5, 'exactly once', 500);
    expect(scene.runs().toSorted()).toEqual(['a', 'b', 'before', 'c', 'held']);
    expect(scene.markers().every((name) => name.endsWith('.done'))).toBe(true);
    expect(service.exited).toBe(false);
  });

  test('a read-only directory: nothing runs that could not be recorded, said once; then it does', async ({
    scene,
    skip,
  }) => {
    if (!scene.mount(scene.data, '-t', 'tmpfs', 'tmpfs')) skip('mounting is not permitted');
    scene.drop('a');
    scene.remount(scene.data, 'remount,ro');
    scene.watch({ rescan: 0.3 });
    const service = await scene.start();
    await service.hears(/cannot record results .*state_path/);
    await stays(() => scene.runs().length <= 1, 'not run again and again', 1200);
    expect(service.said(/cannot record results/)).toBe(1);
    scene.remount(scene.data, 'remount,rw');
    await scene.marked('._w_0_a.done');
    expect(scene.runs()).toEqual(['a']);
  });

  test('a read-only directory with state_path', async ({ scene, skip }) => {
    if (!scene.mount(scene.data, '-t', 'tmpfs', 'tmpfs')) skip('mounting is not permitted');
    scene.drop('a');
    scene.remount(scene.data, 'remount,ro');
    const markers = scene.path('markers');
    scene.watch({ rescan: 0.3, state_path: markers });
    const first = await scene.start();
    await scene.ran(1);
    await until(() => existsSync(`${markers}/._w_0_a.done`), 'the marker is in state_path');
    await first.stop();
    await scene.start();
    await stays(() => scene.runs().length === 1, 'not run again', 500);
  });
});

/** Fills the file system the file is on to the last byte. */
function fill(path: string): void {
  const block = Buffer.alloc(1024);
  for (;;) {
    try {
      appendFileSync(path, block);
    } catch {
      return;
    }
  }
}

describe('--once where there is nothing to do', () => {
  /** As the product leaves it: the time of the marker tells that the file was not touched since. */
  function processed(scene: Scene, name: string): void {
    const { ctimeNs, ino } = statSync(scene.drop(name), { bigint: true });
    const end = Math.floor(Date.now() / 1000);
    const marker = scene.drop(`._w_0_${name}.done`);
    utimesSync(marker, end, end + (touchMark({ ctimeNs, inode: ino }) + 0.5) / 1e6);
  }

  // more than are looked at together with the list: the rest is looked at a few at a time after it
  // a command that does not end is stopped after a minute, with exit code 0
  test('ends after it has looked at all processed files', { timeout: 40_000 }, async ({ scene }) => {
    scene.watch({ jobs: [scene.script('exit 1')] });
    for (let i = 0; i < 1100; i++) processed(scene, `f${i}`);
    expect(await scene.run('--once', scene.config)).toMatchObject({ code: 0 });
    expect(scene.runs()).toEqual([]);
  });
});
