import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, uptime } from 'node:os';
import { readLease, type LeaseFile, type LeaseOwner } from './lease.js';

/** Who holds a lease, and what it can know of others. */
export interface LeaseHost {
  readonly self: Omit<LeaseOwner, 'owner' | 'ttl' | 'renewals'>;
  newId(): string;
  /** ms; goes on while the machine sleeps, and is never set */
  elapsed(): number;
  /** Whether the owner is a process that ended, as far as that can be told: of this machine, in view of this process. */
  isDead(file: LeaseFile): boolean;
  /** From here on this owner counts as dead: a tenure of this process that was given up. */
  abandon(id: string): void;
}

let known: LeaseHost | undefined;

/** This machine and process. */
export function thisHost(): LeaseHost {
  known ??= createHost();
  return known;
}

function createHost(): LeaseHost {
  const self = {
    host: hostname(),
    host_id: readIfThere('/etc/machine-id') || hostname(),
    boot_id: readIfThere('/proc/sys/kernel/random/boot_id'),
    pid_namespace: pidNamespace(),
    pid: process.pid,
    birth: birthOf(process.pid) ?? '',
  };
  const abandoned = new Set<string>();
  return {
    self,
    newId: randomUUID,
    // not performance.now(), whose clock stops while the machine sleeps
    elapsed: () => uptime() * 1000,
    isDead: (file) => {
      const owner = readLease(file.content);
      return isDead(self, owner, birthOf) || (owner !== undefined && abandoned.has(owner.owner));
    },
    abandon: (id) => void abandoned.add(id),
  };
}

/**
 * Only a process of the same boot and of the same process namespace can be seen to be gone. A machine id alone tells
 * nothing: copied machines share it.
 */
export function isDead(
  self: LeaseHost['self'],
  owner: LeaseOwner | undefined,
  birth: (pid: number) => string | undefined,
): boolean {
  if (owner === undefined || self.boot_id === '' || self.pid_namespace === '') return false;
  const inView = (['host_id', 'boot_id', 'pid_namespace'] as const).every((key) => owner[key] === self[key]);
  return inView && birth(owner.pid) !== owner.birth;
}

/** When a process started, in clock ticks since boot; undefined: there is none, or it is a zombie. */
function birthOf(pid: number): string | undefined {
  const line = readIfThere(`/proc/${pid}/stat`);
  const [state, ...fields] = line.slice(line.lastIndexOf(')') + 2).split(' ');
  return state === 'Z' || state === 'X' ? undefined : fields[18];
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return '';
  }
}
