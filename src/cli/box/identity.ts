import { execFileSync } from 'node:child_process';
import type { BoxConfig } from '../../config/box.js';
import { describeError, UserError } from '../../lib/errors.js';

export interface Identity {
  readonly user: string | number;
  readonly uid: number;
  readonly gid: number;
  /** what the environment of its jobs says of it */
  readonly env: Readonly<Record<string, string>>;
}

/** The `user` and `group` of the configuration as numbers; undefined when there are none. @throws UserError */
export function identityOf({ user, group }: Pick<BoxConfig, 'user' | 'group'>): Identity | undefined {
  if (user === undefined && group === undefined) return undefined;
  const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, env: {} };
  const account = user === undefined ? own : lookUpUser(user);
  const gid = group === undefined ? account.gid : lookUpGroup(group);
  if (own.uid !== 0 && (account.uid !== own.uid || gid !== own.gid))
    throw new UserError('user: only root can start the box as somebody else; leave user and group out');
  return { user: user ?? own.uid, uid: account.uid, gid, env: account.env };
}

/** Missing in the types of Node 20. */
type WithGroups = NodeJS.Process & { initgroups(user: string | number, gid: number): void };

/** Gives up the rights of root, for good. */
export function becomeUser({ user, uid, gid }: Identity): void {
  if (process.getuid?.() !== 0) return;
  try {
    (process as WithGroups).initgroups(user, gid);
    process.setgid?.(gid);
    process.setuid?.(uid);
  } catch (error) {
    throw new UserError(`user: cannot become ${user}: ${describeError(error)}`);
  }
}

function lookUpUser(user: string | number): Pick<Identity, 'uid' | 'gid' | 'env'> {
  const [name = '', , uid, gid, , home = '/'] = entry('passwd', user);
  return { uid: Number(uid), gid: Number(gid), env: { USER: name, LOGNAME: name, HOME: home } };
}

const lookUpGroup = (group: string | number): number => Number(entry('group', group)[2]);

/** A line of the system's databases, wherever they are. */
function entry(database: 'passwd' | 'group', key: string | number): string[] {
  try {
    const line = execFileSync('getent', [database, '--', String(key)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return line.trim().split(':');
  } catch {
    throw new UserError(
      `${database === 'passwd' ? 'user' : 'group'}: there is no ${JSON.stringify(key)} on this machine`,
    );
  }
}
