import koffi from 'koffi';
import { constants } from 'node:fs';
import { cLibrary, systemError } from './libc.js';

const socketpair = cLibrary.func('int socketpair(int, int, int, _Out_ int *)');
/** `<sys/socket.h>` */
const [AF_UNIX, SOCK_STREAM, SOCK_CLOEXEC] = [1, 1, 0o2000000];

/**
 * Two descriptors that no program keeps which this one starts; what is written to one is read from the other:
 * socketpair(2), which Node's `spawn` uses too. Of pipes a user may have a thousand before the kernel makes them small.
 * @throws the system error
 */
export function socketPair(): readonly [number, number] {
  const ends: [number, number] = [-1, -1];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) !== 0)
    throw systemError('socketpair', koffi.errno());
  return ends;
}

const check = (syscall: string, errno: unknown): void => {
  if (errno !== 0) throw systemError(syscall, errno as number);
};

/** `<spawn.h>` */
const [SETSIGDEF, SETSIGMASK, SETSID] = [0x04, 0x08, 0x80];
/** More than any C library has for one of these structures. */
const structure = (): Buffer => Buffer.alloc(1024);

/** A session of its own, and no signal ignored or blocked that this process does. */
const attributes = structure();
for (const [call, ...more] of [
  ['init(void *)'],
  ['setflags(void *, short)', SETSIGDEF | SETSIGMASK | SETSID],
  ['setsigmask(void *, void *)', structure()],
  // sigfillset(3) leaves out those that the C library uses itself, and the program would ignore them
  ['setsigdefault(void *, void *)', structure().fill(0xff)],
] as const)
  check(call, cLibrary.func(`int posix_spawnattr_${call}`)(attributes, ...more));

const initActions = cLibrary.func('int posix_spawn_file_actions_init(void *)');
const addDup2 = cLibrary.func('int posix_spawn_file_actions_adddup2(void *, int, int)');
const addOpen = cLibrary.func('int posix_spawn_file_actions_addopen(void *, int, const char *, int, int)');
const destroyActions = cLibrary.func('int posix_spawn_file_actions_destroy(void *)');
const posixSpawn = cLibrary.func(
  'int posix_spawn(_Out_ int *, const char *, void *, void *, const char **, const char **)',
);

/**
 * Starts a program in a session of its own: posix_spawn(3). Unlike a fork, which Node's `spawn` is, that takes a
 * millisecond however much memory this process has. Its stderr is /dev/null; the working directory is the one of this
 * process. Not in a thread beside the event loop: those may all be waiting for file servers, and have priorities of their own.
 * @param env `NAME=value`
 * @param stdin, stdout descriptors, to be closed by the caller after that
 * @returns the process id; whoever calls this has to ask `hasEnded` until it has
 * @throws the system error
 */
export function spawnDetached(
  [program, ...args]: readonly [string, ...string[]],
  env: readonly string[],
  [stdin, stdout]: readonly [number, number],
): number {
  const actions = structure();
  check('posix_spawn_file_actions_init', initActions(actions));
  try {
    check('posix_spawn_file_actions_adddup2', addDup2(actions, stdin, 0));
    check('posix_spawn_file_actions_adddup2', addDup2(actions, stdout, 1));
    check('posix_spawn_file_actions_addopen', addOpen(actions, 2, '/dev/null', constants.O_WRONLY, 0));
    const pid: [number] = [-1];
    check(
      `spawn ${program}`,
      posixSpawn(pid, program, actions, attributes, [program, ...args, null], [...env, null]),
    );
    return pid[0];
  } finally {
    destroyActions(actions);
  }
}

const waitpid = cLibrary.func('int waitpid(int, void *, int)');
/** `<sys/wait.h>` */
const WNOHANG = 1;

/** Whether a process that this one started is over; then it is gone for good: waitpid(2). */
export const hasEnded = (pid: number): boolean => waitpid(pid, null, WNOHANG) !== 0;
