import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';

import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Box, exchange, parseLines } from '../support/box.js';

const dist = process.env['MEESEEKS_TEST_DIST'] ?? resolve(import.meta.dirname, '../../dist');
const program = join(dist, 'bin/meeseeks-box.js');
const NOBODY = 65_534;

/** undefined, or why these tests cannot run here */
function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root may become somebody else';
  if (spawnSync('getent', ['passwd', 'nobody']).status !== 0) return 'there is no user nobody';
  const reads = spawnSync('cat', [program], { uid: NOBODY, gid: NOBODY });
  return reads.status === 0 ? undefined : 'nobody cannot read the program';
}
const why = obstacle();

const numberOf = (option: string, user: string): string =>
  execFileSync('id', [option, user], { encoding: 'utf8' }).trim();

describe.skipIf(why !== undefined)(
  `a box started by root${why === undefined ? '' : ` (skipped: ${why})`}`,
  () => {
    let base: string;
    let box: Box | undefined;
    beforeEach(() => {
      base = mkdtempSync(join(tmpdir(), 'meeseeks-user-'));
      chmodSync(base, 0o711);
    });
    afterEach(async () => {
      await box?.remove();
      box = undefined;
      rmSync(base, { recursive: true, force: true });
    });

    /** The numbers of a line of /proc/PID/status. */
    const status = (name: string): string[] =>
      new RegExp(`^${name}:(.*)$`, 'm')
        .exec(readFileSync(`/proc/${box!.pid}/status`, 'utf8'))![1]!
        .trim()
        .split(/\s+/)
        .filter(Boolean);
    const owner = (path: string): [uid: number, mode: number] => {
      const { uid, mode } = statSync(path);
      return [uid, mode & 0o777];
    };
    const job = async (id: string, script: string): Promise<string[]> => {
      await box!.ask([{ submit: { id, pool: 'p', args: ['sh', '-c', script], cwd: '/' } }]);
      const end = await box!.finished(id);
      return Buffer.from(String(end['stdout_data']), 'base64').toString().trim().split('\n');
    };
    const who = 'id -u; id -g; id -G; echo $HOME $USER; cat /proc/$$/status | grep CapEff';

    it('becomes the user, for good, with all it owns; and its jobs run as that one', async () => {
      const run = join(base, 'run');
      mkdirSync(run);
      chownSync(run, NOBODY, NOBODY);
      const state_dir = join(base, 'deep/state');
      const listen = { address: '127.0.0.1', port: 0, path: join(run, 'box.sock') };
      box = await Box.start({ config: { user: 'nobody', state_dir, pools: { p: {} }, listen } });
      const [uid, gid] = [numberOf('-u', 'nobody'), numberOf('-g', 'nobody')];
      expect(status('Uid')).toEqual([uid, uid, uid, uid]);
      expect(status('Gid')).toEqual([gid, gid, gid, gid]);
      expect(status('Groups')).toEqual(numberOf('-G', 'nobody').split(' '));
      expect(status('CapEff')).toEqual(['0000000000000000']);
      expect(owner(state_dir)).toEqual([NOBODY, 0o700]);
      expect(owner(join(state_dir, 'spool'))).toEqual([NOBODY, 0o700]);
      expect(owner(join(state_dir, 'agent.db'))).toEqual([NOBODY, 0o600]);
      expect(owner(listen.path)).toEqual([NOBODY, 0o600]);
      const answer = await exchange(connect(listen.path), Buffer.from('[{"ls":{}}]\n'));
      expect(parseLines(answer)).toEqual([[{ ls: [] }]]);
      expect(await job('who', who)).toEqual([
        uid,
        gid,
        numberOf('-G', 'nobody'),
        '/nonexistent nobody',
        'CapEff:\t0000000000000000',
      ]);
      expect(owner(join(state_dir, 'spool/who.1.stdout'))).toEqual([NOBODY, 0o600]);
      await box.crash();
      await box.restart();
      expect(status('Uid')).toEqual([uid, uid, uid, uid]);
      expect(await box.request('query', 'who')).toMatchObject({ state: 'done' });
    });

    it('takes numbers, and a group of its own', async () => {
      const config = { user: NOBODY, group: 'daemon', state_dir: join(base, 'state'), pools: { p: {} } };
      box = await Box.start({ config });
      const gid = execFileSync('getent', ['group', 'daemon'], { encoding: 'utf8' }).split(':')[2]!;
      expect(status('Uid')[0]).toBe(String(NOBODY));
      expect(status('Gid')).toEqual([gid, gid, gid, gid]);
      expect(status('Groups')).not.toContain('0');
      expect((await job('who', who)).slice(0, 2)).toEqual([String(NOBODY), gid]);
    });

    it.each([
      [{ user: 'no-such-user-x' }, 'user: there is no "no-such-user-x" on this machine'],
      [{ user: 'nobody', group: 'no-such-group-x' }, 'group: there is no "no-such-group-x" on this machine'],
      [{ user: 4_000_000 }, 'user: there is no 4000000 on this machine'],
    ])('says in one line who there is not: %j', async (config, message) => {
      const start = Box.start({ config: { ...config, state_dir: join(base, 'state') } });
      await expect(start).rejects.toThrow(`meeseeks-box: ${message}\n`);
    });

    it('does not take the state of another user for a damaged one', async () => {
      const state_dir = join(base, 'state');
      const first = await Box.start({ config: { state_dir, pools: { p: {} } } });
      await first.remove();
      const start = Box.start({ config: { state_dir, user: 'nobody' } });
      await expect(start).rejects.toThrow(
        /cannot use the state directory .*state: permission denied .*chown -R/,
      );
    });

    it('is refused to everybody but root', () => {
      const options = { uid: NOBODY, gid: NOBODY, cwd: base, encoding: 'utf8' as const, env: {} };
      const args = (user: string): string[] => [
        program,
        `user=${user}`,
        `state_dir=${base}/x`,
        'listen.port=0',
      ];
      const refused = spawnSync(process.execPath, args('root'), options);
      expect(refused.status).toBe(2);
      expect(refused.stderr).toBe(
        'meeseeks-box: user: only root can start the box as somebody else; leave user and group out\n',
      );
      const itself = spawnSync(process.execPath, args('nobody'), options);
      expect(itself.stderr).toMatch(/cannot make the state directory/); // it went on: being oneself is allowed
    });
  },
);

it('a box without a place for its state ends, also where mkdir -p of Node would try for ever', () => {
  const args = [program, 'state_dir=/proc/meeseeks', 'listen.port=0'];
  const refused = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
  expect(refused.status).toBe(3);
  expect(refused.stderr).toMatch(/^meeseeks-box: cannot make the state directory \/proc\/meeseeks: .*\n$/);
});
