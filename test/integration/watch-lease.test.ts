import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  mkdirSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { Box } from '../support/box.js';
import { launchOn, noHosts } from '../support/hosts.js';
import { stays, test, until, type Config, type Scene, type Service } from '../support/service.js';

const reason = noHosts();
/** seconds: an owner on a busy machine must not lose it */
const TTL = 6;
/** nobody's lease runs out in the time of a test */
const LONG = 600;
const worksOn = /process \d+ on alpha works on it; standing by/;

/** Two machines with the same watch on the same directory; alpha works, beta stands by. */
async function pair(scene: Scene, keys: Config = {}, more: Config = {}): Promise<[Service, Service]> {
  scene.watch({ lease: TTL, rescan: 1, ...keys }, more);
  const alpha = await launchOn(scene, 'alpha').watching();
  const beta = launchOn(scene, 'beta');
  await beta.hears(worksOn);
  return [alpha, beta];
}

const leases = (scene: Scene, directory = scene.data): string[] =>
  readdirSync(directory).filter((name) => name.startsWith('._w.lease.'));
const done = (scene: Scene): string[] => scene.markers().filter((name) => name.endsWith('.done'));
const owner = (scene: Scene): { host: string; pid: number } =>
  JSON.parse(readFileSync(scene.file(leases(scene).at(-1)!), 'utf8')) as { host: string; pid: number };

describe.skipIf(reason !== undefined)(`watchers on two machines (${reason ?? 'in namespaces'})`, () => {
  test('one works, the other stands by, and takes over after a crash', async ({ scene }) => {
    const [alpha, beta] = await pair(scene);
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    await alpha.crash();
    const renewed = statSync(scene.file(leases(scene)[0]!)).mtimeMs;
    scene.drop('b');
    await scene.marked('._w_0_b.done');
    const taken = statSync(scene.file(leases(scene).at(-1)!)).birthtimeMs;
    expect(taken - renewed).toBeGreaterThan(TTL * 1000 - 20);
    expect(scene.runs()).toEqual(['a', 'b']);
    expect(owner(scene).host).toBe('beta');
    expect(beta.said(/taking over$/)).toBe(1);
    const third = launchOn(scene, 'alpha');
    await third.hears(/on beta works on it; standing by/);
  });

  test('who was stopped and goes on after a take-over does no harm', async ({ scene }) => {
    const [alpha, beta] = await pair(scene, { jobs: [scene.append('sleep 0.2')] });
    for (let i = 0; i < 5; i++) {
      scene.drop(`a${i}`);
      await until(() => scene.count(`a${i}`) === 1, 'it runs');
    }
    await until(() => done(scene).length === 5, 'marked');
    alpha.signal('SIGSTOP');
    for (let i = 0; i < 5; i++) scene.drop(`b${i}`);
    await until(
      () => done(scene).length === 10,
      () => `beta works\n${beta.tail()}`,
    );
    const before = scene.markers().map((name) => statSync(scene.file(name), { bigint: true }).ctimeNs);
    const names = scene.markers();
    alpha.signal('SIGCONT');
    await alpha.hears(/is lost: .*submits and records nothing more/);
    await alpha.hears(/on beta works on it; standing by/);
    for (let i = 0; i < 5; i++) scene.drop(`c${i}`);
    await until(() => done(scene).length === 15, 'beta goes on');
    await stays(() => scene.runs().length === 15, 'one run each', 2000);
    expect(scene.runs().toSorted()).toEqual([...new Set(scene.runs())].toSorted());
    const isLease = (name: string): boolean => name.includes('.lease.');
    names.forEach((name, i) => {
      if (!isLease(name)) expect(statSync(scene.file(name), { bigint: true }).ctimeNs, name).toBe(before[i]);
    });
    expect(owner(scene).host).toBe('beta');
  });

  test('a job that ends while its watcher is stopped is recorded by nobody who lost the lease', async ({
    scene,
  }) => {
    const wait = `i=0; while [ ! -e ${scene.path('go')} ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done`;
    const script = `echo "$1" >>"$log"; if mkdir ${scene.path('first')} 2>/dev/null; then ${wait}; exit 3; fi`;
    const [alpha, beta] = await pair(scene, { jobs: [scene.script(script)] });
    scene.drop('a');
    await until(() => scene.runs().length === 1, 'it runs');
    alpha.signal('SIGSTOP');
    // two agents know nothing of each other: what is unmarked runs again
    await scene.marked('._w_0_a.done');
    writeFileSync(scene.path('go'), '');
    alpha.signal('SIGCONT');
    await alpha.hears(/is lost/);
    await beta.stop();
    // it knows of its failure, and sees the success
    await alpha.hears(/^failed a/);
    await stays(() => !existsSync(scene.file('._w_0_a.failed')), 'the success stays', 1500);
    expect(scene.runs()).toEqual(['a', 'a']);
  });

  test('an orderly stop lets the other work at once, and leaves nothing behind', async ({ scene }) => {
    const [alpha, beta] = await pair(scene, { lease: LONG });
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    await alpha.stop();
    scene.drop('b');
    await scene.marked('._w_0_b.done');
    expect(scene.runs()).toEqual(['a', 'b']);
    await beta.stop();
    expect(leases(scene)).toEqual([]);
  });

  test('a reload keeps the lease; a watch that is changed takes it again', async ({ scene }) => {
    const [alpha, beta] = await pair(scene, { lease: LONG });
    alpha.signal('SIGHUP');
    await stays(() => alpha.said(/is lost/) === 0, 'it is kept', 500);
    scene.watch({ lease: LONG, rescan: 2 });
    alpha.signal('SIGHUP');
    await alpha.hears(/changed/i);
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    expect(alpha.said(/is lost/) + beta.said(/is lost/)).toBe(0);
    await stays(() => scene.count('a') === 1, 'one run', 2000);
  });

  test('with one box a job that runs is taken up, also of a name that came again', async ({ scene }) => {
    const box = await Box.start({ config: { pools: { p: { slots: 4 } } } });
    try {
      const client = { address: '127.0.0.1', port: box.port };
      const wait = `i=0; while [ ! -e ${scene.path('go')} ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done`;
      const script = `echo "$1" >>"$log"; case $(cat "$2") in held) ${wait};; esac`;
      const [alpha] = await pair(scene, { jobs: [scene.script(script)] }, { client });
      scene.drop('old', 'x');
      await scene.marked('._w_0_old.done');
      unlinkSync(scene.file('old'));
      await until(() => !existsSync(scene.file('._w_0_old.done')), 'cleaned up');
      scene.drop('old', 'held');
      scene.drop('new', 'held');
      await until(() => scene.runs().length === 3, 'both run');
      await alpha.crash();
      await until(() => leases(scene).length > 0 && owner(scene).host === 'beta', 'taken over');
      await stays(() => scene.runs().length === 3, 'no second run', 1500);
      writeFileSync(scene.path('go'), '');
      await scene.marked('._w_0_old.done');
      await scene.marked('._w_0_new.done');
      expect(scene.runs()).toHaveLength(3);
    } finally {
      await box.remove();
    }
  });

  test('status and explain tell who works; looking touches nothing', async ({ scene }) => {
    const [, beta] = await pair(scene, { lease: LONG });
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    const state = `state_dir=${scene.path('state-beta')}`;
    expect((await scene.run('status', scene.config, state)).stdout).toMatch(
      /standing by: process \d+ on alpha works on it/,
    );
    const before = scene.snapshot(scene.data);
    expect((await scene.run('explain', scene.file('a'), scene.config)).stdout).toMatch(
      /lease +held by process \d+ on alpha/,
    );
    await scene.run('plan', scene.config);
    expect(scene.snapshot(scene.data)).toEqual(before);
    expect(beta.exited).toBe(false);
  });

  test('a lease that cannot be renewed is given up in time, and taken again', async ({ scene }) => {
    const data = scene.path('shared');
    mkdirSync(data);
    if (!scene.mount(data, '-t', 'tmpfs', 'none')) throw new Error('no tmpfs here');
    scene.watch({ path: data, lease: TTL, rescan: 1 });
    const alpha = await launchOn(scene, 'alpha').watching();
    scene.remount(data, 'remount,ro');
    await alpha.hears(/cannot renew the lease in .*read-only/);
    await alpha.hears(/is lost: cannot take the lease .*read-only/);
    scene.remount(data, 'remount,rw');
    writeFileSync(join(data, 'a'), 'x');
    await until(
      () => existsSync(join(data, '._w_0_a.done')),
      () => `it works again\n${alpha.tail()}`,
    );
    expect(scene.runs()).toEqual(['a']);
  });

  test('the directory is removed and made anew', async ({ scene }) => {
    const [alpha, beta] = await pair(scene);
    rmSync(scene.data, { recursive: true });
    await alpha.hears(/is lost/);
    mkdirSync(scene.data);
    scene.drop('a');
    await scene.marked('._w_0_a.done');
    await stays(() => scene.count('a') === 1, `one run\n${beta.tail()}`, (TTL + 2) * 1000);
    expect(leases(scene)).toHaveLength(1);
  });
});
