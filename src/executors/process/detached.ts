import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import type { Libc } from '../../lib/load-libc.js';

export type Command = readonly [program: string, ...args: string[]];

export interface DetachedEvents {
  /** It could not be started; `closed` comes, too. */
  failed(message: string): void;
  /** It has closed its stdout, or never came up. */
  closed(): void;
}

/** A process in a session of its own, and pipes to its stdin and stdout; its stderr is /dev/null. */
export interface Detached {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Hears no more of it, and does not wait for it. */
  leave(): void;
}

const ENV = { LC_ALL: 'C' };

/**
 * @param libc undefined: Node starts it, which takes longer the more memory this process has
 * @throws the system error when there can be no more pipes
 */
export function startDetached(command: Command, events: DetachedEvents, libc: Libc | undefined): Detached {
  return libc === undefined ? byNode(command, events) : byLibc(command, events, libc);
}

function byNode([program, ...args]: Command, events: DetachedEvents): Detached {
  const child = spawn(program, args, { detached: true, env: ENV, stdio: ['pipe', 'pipe', 'ignore'] });
  child.on('error', (error) => events.failed(error.message));
  child.on('close', () => events.closed());
  const { stdin, stdout } = child;
  return {
    stdin,
    stdout,
    leave: () => {
      stdin.end();
      stdout.destroy();
      child.unref();
    },
  };
}

function byLibc(command: Command, events: DetachedEvents, libc: Libc): Detached {
  const input = libc.pipe();
  const output = pipeOr(libc, () => [input.read, input.write].forEach((fd) => closeSync(fd)));
  const stdin = new Socket({ fd: input.write, readable: false, writable: true });
  const stdout = new Socket({ fd: output.read, readable: true, writable: false });
  const env = Object.entries(ENV).map(([name, value]) => `${name}=${value}`);
  libc
    .spawnBeside(command, env, [input.read, output.write])
    .then((pid) => reap(pid, libc))
    .catch((error: Error) => events.failed(error.message))
    .finally(() => [input.read, output.write].forEach((fd) => closeSync(fd)));
  stdout.on('close', () => {
    stdin.destroy();
    events.closed();
  });
  return {
    stdin,
    stdout,
    leave: () => {
      stdin.end();
      stdout.destroy();
    },
  };
}

function pipeOr(libc: Libc, giveUp: () => void): ReturnType<Libc['pipe']> {
  try {
    return libc.pipe();
  } catch (error) {
    giveUp();
    throw error;
  }
}

/** Processes that Node knows nothing of, of which it would leave zombies. */
const living = new Map<number, Libc>();

/** Sees to it that nothing is left of a process when it has ended. */
function reap(pid: number, libc: Libc): void {
  if (living.size === 0) process.on('SIGCHLD', reapEnded);
  living.set(pid, libc);
  reapEnded();
}

function reapEnded(): void {
  for (const [pid, libc] of living) if (libc.hasEnded(pid)) living.delete(pid);
  if (living.size === 0) process.off('SIGCHLD', reapEnded);
}
