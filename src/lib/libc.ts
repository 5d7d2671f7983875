import koffi from 'koffi';
import { getSystemErrorName } from 'node:util';

/** What the kernel does and Node has no function for. Only for Linux, as all of this product. */
const libc = koffi.load(null);

/** Number of getdents64 by processor: `<asm/unistd.h>`. The C library has a function for it only since glibc 2.30. */
const GETDENTS64: Readonly<Record<string, number>> = { x64: 217, arm64: 61, riscv64: 61, loong64: 61 };
const getdents64 = GETDENTS64[process.arch];
const syscall = libc.func('syscall', 'long', ['long', 'int', 'void *', 'size_t']);

/** Whether directories can be read here: see `getdents`. */
export const canReadDirectories = getdents64 !== undefined;

/**
 * Fills a buffer with entries of a directory: getdents64(2).
 * @returns how many bytes; 0 at the end
 * @throws the system error, with its `code`
 */
export function getdents(fd: number, buffer: Buffer): number {
  const read = syscall(getdents64, fd, buffer, buffer.length) as number;
  if (read >= 0) return read;
  const code = getSystemErrorName(-koffi.errno());
  throw Object.assign(new Error(`${code}: getdents64`), { code, syscall: 'getdents64' });
}

/** The same in a thread beside the event loop. Neither the buffer nor the descriptor may be given away before it is through. */
export function getdentsBeside(fd: number, buffer: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    syscall.async(getdents64, fd, buffer, buffer.length, (error: unknown, read: number) => {
      if (error === null && read >= 0) return resolve(read);
      try {
        // errno belongs to the thread that is gone: it is asked for again
        resolve(getdents(fd, buffer));
      } catch (systemError) {
        reject(systemError);
      }
    });
  });
}

const inotifyInit = libc.func('inotify_init1', 'int', ['int']);
const inotifyAddWatch = libc.func('inotify_add_watch', 'int', ['int', 'void *', 'uint32_t']);
/** `<sys/inotify.h>` */
const IN_CLOEXEC = 0o2000000;
/** what libuv asks for, and so `fs.watch`: IN_MODIFY, IN_ATTRIB, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF */
const FS_WATCH = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800;

/**
 * Takes a kernel watch of a directory in a thread beside the event loop: inotify_add_watch(2). Nobody reads it.
 * @returns a descriptor to be closed; undefined where it did not work
 */
export function watchBeside(path: Buffer): Promise<number | undefined> {
  const fd = inotifyInit(IN_CLOEXEC) as number;
  if (fd < 0) return Promise.resolve(undefined);
  const terminated = Buffer.concat([path, Buffer.alloc(1)]);
  return new Promise((resolve) => {
    inotifyAddWatch.async(fd, terminated, FS_WATCH, () => resolve(fd));
  });
}
