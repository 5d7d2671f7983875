import koffi from 'koffi';
import { closeSync, constants, openSync } from 'node:fs';
import { constants as system } from 'node:os';
import { getSystemErrorName } from 'node:util';

/** What the kernel does and Node has no function for. Only for Linux, as all of this product. */
export const cLibrary = koffi.load(null);

/** As Node's own functions throw it. */
export function systemError(syscall: string, errno: number): Error {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${code}: ${syscall}`), { code, syscall });
}

/** Number of getdents64 by processor: `<asm/unistd.h>`. The C library has a function for it only since glibc 2.30. */
const GETDENTS64: Readonly<Record<string, number>> = { x64: 217, arm64: 61, riscv64: 61, loong64: 61 };
const getdents64 = GETDENTS64[process.arch];
const syscall = cLibrary.func('syscall', 'long', ['long', 'int', 'void *', 'size_t']);

/** Whether directories can be read here: see `getdents`. */
export const canReadDirectories = getdents64 !== undefined;

/**
 * Fills a buffer with entries of a directory: getdents64(2).
 * @returns how many bytes; 0 at the end, or when the directory has been removed, as readdir(3) does
 * @throws the system error, with its `code`
 */
export function getdents(fd: number, buffer: Buffer): number {
  for (;;) {
    const read = syscall(getdents64, fd, buffer, buffer.length) as number;
    if (read >= 0) return read;
    const errno = koffi.errno();
    if (errno === system.errno.ENOENT) return 0;
    if (errno !== system.errno.EINTR) throw systemError('getdents64', errno);
  }
}

/** The same in a thread beside the event loop. Neither the buffer nor the descriptor may be given away before it is through. */
export async function getdentsBeside(fd: number, buffer: Buffer): Promise<number> {
  const read = await beside(syscall, getdents64, fd, buffer, buffer.length);
  // errno belongs to the thread that is gone, or there are too many at once: it is asked here
  return read === undefined || read < 0 ? getdents(fd, buffer) : read;
}

/** @returns undefined where the call was not made */
function beside(call: typeof syscall, ...args: unknown[]): Promise<number | undefined> {
  return new Promise((resolve) => {
    try {
      call.async(...args, (error: unknown, result: number) => resolve(error === null ? result : undefined));
    } catch {
      // more calls are waiting than koffi takes
      resolve(undefined);
    }
  });
}

const inotifyInit = cLibrary.func('inotify_init1', 'int', ['int']);
const inotifyAddWatch = cLibrary.func('inotify_add_watch', 'int', ['int', 'void *', 'uint32_t']);
/** `<sys/inotify.h>` */
const IN_CLOEXEC = 0o2000000;
/** what libuv asks for, and so `fs.watch`: IN_MODIFY, IN_ATTRIB, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF */
const FS_WATCH = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800;

/**
 * Takes a kernel watch as `fs.watch` does, in a thread beside the event loop: inotify_add_watch(2).
 * @returns a descriptor to be closed, of which nobody reads; undefined where it did not work
 */
export async function watchBeside(path: Buffer): Promise<number | undefined> {
  const fd = inotifyInit(IN_CLOEXEC) as number;
  if (fd < 0) return undefined;
  await beside(inotifyAddWatch, fd, Buffer.concat([path, Buffer.alloc(1)]), FS_WATCH);
  return fd;
}

const fcntl = cLibrary.func('int fcntl(int, int, int)');
/** `<linux/fcntl.h>` and `<asm-generic/fcntl.h>` */
const [F_SETSIG, F_SETLEASE, F_RDLCK, F_UNLCK] = [10, 1024, 0, 2];

/**
 * Whether anybody has a regular file open for writing, whoever and in whatever container, or has it mapped so: the kernel counts
 * them, and gives no read lease while there are any (fcntl(2), F_SETLEASE). The lease is given back at once. An open for writing
 * that comes in these microseconds waits for that; its signal is one that nobody minds.
 * @param path of a file on a local file system; a file server refuses leases for reasons of its own
 * @returns undefined where it is not ours to ask: the file must be readable, and belong to us unless we have CAP_LEASE
 */
export function isOpenForWriting(path: Buffer): boolean | undefined {
  let fd: number;
  try {
    // a FIFO would wait, and so would a file of which somebody has a write lease
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    if (fcntl(fd, F_SETSIG, system.signals.SIGURG) !== 0) return undefined;
    if (fcntl(fd, F_SETLEASE, F_RDLCK) === 0) {
      fcntl(fd, F_SETLEASE, F_UNLCK);
      return false;
    }
    return koffi.errno() === system.errno.EAGAIN ? true : undefined;
  } finally {
    closeSync(fd);
  }
}
