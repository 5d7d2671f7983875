import koffi from 'koffi';
import { constants } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { beside, cLibrary } from './libc.js';

const systemError = (syscall: string, code: string): Error =>
  Object.assign(new Error(`${code}: ${syscall}`), { code, syscall });

const pipe2 = cLibrary.func('int pipe2(_Out_ int *, int)');
/** `<asm-generic/fcntl.h>` */
const O_CLOEXEC = 0o2000000;

/** @returns descriptors that no program keeps which this one starts: pipe2(2) @throws the system error */
export function pipe(): { readonly read: number; readonly write: number } {
  const ends = [-1, -1];
  if (pipe2(ends, O_CLOEXEC) !== 0) throw systemError('pipe2', getSystemErrorName(-koffi.errno()));
  return { read: ends[0]!, write: ends[1]! };
}

const posixSpawn = cLibrary.func(
  'int posix_spawn(_Out_ int *, const char *, void *, void *, const char **, const char **)',
);
/** `<spawn.h>` */
const [SETSIGDEF, SETSIGMASK, SETSID] = [0x04, 0x08, 0x80];
/** More than any C library has for one of these structures. */
const structure = (): Buffer => Buffer.alloc(1024);

/** A session of its own, and no signal ignored or blocked that this process does. */
const attributes = structure();
cLibrary.func('int posix_spawnattr_init(void *)')(attributes);
cLibrary.func('int posix_spawnattr_setflags(void *, short)')(attributes, SETSIGDEF | SETSIGMASK | SETSID);
cLibrary.func('int posix_spawnattr_setsigmask(void *, void *)')(attributes, structure());
// sigfillset(3) leaves out those that the C library uses itself, and the program would ignore them
cLibrary.func('int posix_spawnattr_setsigdefault(void *, void *)')(attributes, structure().fill(0xff));

const initActions = cLibrary.func('int posix_spawn_file_actions_init(void *)');
const addDup2 = cLibrary.func('int posix_spawn_file_actions_adddup2(void *, int, int)');
const addOpen = cLibrary.func('int posix_spawn_file_actions_addopen(void *, int, const char *, int, int)');
const destroyActions = cLibrary.func('int posix_spawn_file_actions_destroy(void *)');

/**
 * Starts a program in a session of its own, in a thread beside the event loop: posix_spawn(3). Unlike a fork, which Node's
 * `spawn` is, that costs the same however much memory this process has. Its stderr is /dev/null; the working directory is the
 * one of this process.
 * @param env `NAME=value`
 * @param stdin, stdout descriptors, to be closed by the caller after that
 * @returns the process id; whoever calls this has to ask `hasEnded` until it has
 * @throws the system error
 */
export async function spawnBeside(
  [program, ...args]: readonly [string, ...string[]],
  env: readonly string[],
  [stdin, stdout]: readonly [number, number],
): Promise<number> {
  const actions = structure();
  initActions(actions);
  try {
    addDup2(actions, stdin, 0);
    addDup2(actions, stdout, 1);
    addOpen(actions, 2, '/dev/null', constants.O_WRONLY, 0);
    const pid = [-1];
    const call = [pid, program, actions, attributes, [program, ...args, null], [...env, null]];
    const failure = (await beside(posixSpawn, ...call)) ?? (posixSpawn(...call) as number);
    if (failure !== 0) throw systemError(`spawn ${program}`, getSystemErrorName(-failure));
    return pid[0]!;
  } finally {
    destroyActions(actions);
  }
}

const waitpid = cLibrary.func('int waitpid(int, void *, int)');
/** `<sys/wait.h>` */
const WNOHANG = 1;

/** Whether a process that this one started is over; then it is gone for good: waitpid(2). */
export const hasEnded = (pid: number): boolean => waitpid(pid, null, WNOHANG) !== 0;
