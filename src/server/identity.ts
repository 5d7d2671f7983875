import { userInfo } from 'node:os';

/** The user jobs run as; asked for each time, for the agent may have changed it since its start. */
export const ownUser = (): number => process.getuid!();

/** undefined where no user of that number is known, as in a container */
function ownName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

/**
 * Why a job cannot run as the user or group it asks for; undefined when it can. As in the original, no user, root and
 * this agent's own all mean the user the agent runs as; jobs of others fail: they must not run as somebody else.
 */
export function foreignIdentity(keys: {
  readonly uid?: string | number | undefined;
  readonly gid?: string | number | undefined;
}): string | undefined {
  const { uid, gid } = keys;
  if (uid === undefined && gid === undefined) return undefined;
  const [user, group, name] = [ownUser(), process.getgid!(), ownName()];
  if (!isOwn(uid, user, name))
    return `this agent runs jobs as ${name ?? 'user'} (${user}), not as user ${uid}; submit as that user, or leave uid out`;
  if (!isOwn(gid, group, undefined))
    return `this agent runs jobs with group ${group}, not with group ${gid}; leave gid out`;
  return undefined;
}

function isOwn(wanted: string | number | undefined, id: number, name: string | undefined): boolean {
  if (wanted === undefined || wanted === '' || wanted === name) return true;
  return Number(wanted) === 0 || Number(wanted) === id;
}
