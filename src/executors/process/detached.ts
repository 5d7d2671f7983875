import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import type { Libc } from '../../lib/load-libc.js';
import { inTurn } from './in-turn.js';

export type Command = readonly [program: string, ...args: string[]];

export interface DetachedEvents {
  /** It could not be started; `closed` comes next. */
  failed(error: Error): void;
  /** It has closed its stdout, or never came up. Never from inside the call that starts it. */
  closed(): void;
}

/** A process in a session of its own, with its stdin and stdout; its stderr is /dev/null. */
export interface Detached {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Hears no more of it, and does not wait for it. What was written to it, it still gets. */
  leave(): void;
}

const ENV = { LC_ALL: 'C' };

/**
 * Starts one, soon: what is written to it waits for it.
 * @param libc undefined: Node starts it, which takes longer the more memory this process has
 */
export function startDetached(command: Command, events: DetachedEvents, libc: Libc | undefined): Detached {
  return libc === undefined ? byNode(command, events) : byLibc(command, events, libc);
}

function byNode([program, ...args]: Command, events: DetachedEvents): Detached {
  const child = spawn(program, args, { detached: true, env: ENV, stdio: ['pipe', 'pipe', 'ignore'] });
  child.on('error', (error) => events.failed(error));
  child.on('close', () => events.closed());
  // there are none when it has run out of descriptors, whatever the types say
  const { stdin, stdout } = child as { stdin: Writable | undefined; stdout: Readable | undefined };
  return {
    stdin: stdin ?? new PassThrough(),
    stdout: stdout ?? new PassThrough(),
    leave: () => {
      stdin?.end();
      stdout?.destroy();
      child.unref();
    },
  };
}

function byLibc(command: Command, events: DetachedEvents, libc: Libc): Detached {
  let ends: Ends;
  try {
    ends = openEnds(libc);
  } catch (error) {
    return failing(error as Error, events);
  }
  const [theirs, ours] = ends;
  const stdin = new Socket({ fd: ours[0], readable: false, writable: true });
  const stdout = new Socket({ fd: ours[1], readable: true, writable: false });
  let isLeft = false;
  stdout.on('close', () => {
    if (isLeft) return;
    stdin.destroy();
    events.closed();
  });
  inTurn(() => {
    try {
      const env = Object.entries(ENV).map(([name, value]) => `${name}=${value}`);
      reap(libc.spawnDetached(command, env, theirs), libc);
    } catch (error) {
      if (!isLeft) events.failed(error as Error);
    } finally {
      closeAll(theirs);
    }
  });
  return {
    stdin,
    stdout,
    leave: () => {
      isLeft = true;
      stdin.end();
      stdout.destroy();
    },
  };
}

type Pair = readonly [stdin: number, stdout: number];
type Ends = readonly [theirs: Pair, ours: Pair];

function openEnds(libc: Libc): Ends {
  const input = libc.socketPair();
  try {
    const output = libc.socketPair();
    return [
      [input[0], output[0]],
      [input[1], output[1]],
    ];
  } catch (error) {
    closeAll(input);
    throw error;
  }
}

const closeAll = (fds: readonly number[]): void => fds.forEach((fd) => closeSync(fd));

function failing(error: Error, events: DetachedEvents): Detached {
  let isLeft = false;
  inTurn(() => {
    if (isLeft) return;
    events.failed(error);
    events.closed();
  });
  return { stdin: new PassThrough(), stdout: new PassThrough(), leave: () => (isLeft = true) };
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
