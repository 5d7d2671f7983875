import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { hasCode } from '../lib/errors.js';

/** A regular file that a process holds open for writing. */
export interface OpenFile {
  /** as the process opened it, bytes; may be stale where the process has slept since */
  readonly path: string;
  /** device and inode */
  readonly object: string;
}

interface Asleep {
  /** proc(5) schedstat when it slept: it changes whenever the process gets to run */
  readonly ran: string;
  readonly files: readonly OpenFile[];
}

const OWNER_WRITE = 0o200;
/** proc(5) stat, flags: a thread of the kernel, which never becomes a program. */
const PF_KTHREAD = 0x00200000;

/**
 * What the processes of this machine hold open for writing. A look at every descriptor costs 3 µs each; a process of one
 * thread that has slept since the last look has opened nothing, which one read tells.
 */
export class WritersOf {
  #asleep = new Map<string, Asleep>();
  /** threads of the kernel, by the inode of their directory in /proc: another process has another, though it has the number */
  #kernel = new Map<string, number>();

  /** @param proc where /proc is */
  constructor(private readonly proc = '/proc') {}

  /** All of now, but those of this process. */
  look(): OpenFile[] {
    const asleep = new Map<string, Asleep>();
    const kernel = new Map<string, number>();
    const found: OpenFile[] = [];
    for (const pid of names(this.proc)) {
      if (!isNumber(pid) || Number(pid) === process.pid) continue;
      const thread = this.#kernelThread(pid);
      if (thread !== undefined) {
        kernel.set(pid, thread);
        continue;
      }
      const known = this.#stillAsleep(pid) ?? this.#lookAt(pid);
      if (known.ran !== '') asleep.set(pid, known);
      found.push(...known.files);
    }
    this.#asleep = asleep;
    this.#kernel = kernel;
    return found;
  }

  /** The inode of the directory in /proc, if it is one. */
  #kernelThread(pid: string): number | undefined {
    if (this.#asleep.has(pid)) return undefined;
    const known = this.#kernel.get(pid);
    // the order matters: what is read belongs to the process whose inode this is, or is not remembered for it
    const inode = inodeOf(`${this.proc}/${pid}`);
    if (known !== undefined && known === inode) return inode;
    const flags = Number(this.#stat(pid)[6]);
    return inode === inodeOf(`${this.proc}/${pid}`) && (flags & PF_KTHREAD) !== 0 ? inode : undefined;
  }

  /** proc(5) stat, from the state on. */
  #stat(pid: string): string[] {
    const stat = content(`${this.proc}/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
  }

  #stillAsleep(pid: string): Asleep | undefined {
    const known = this.#asleep.get(pid);
    return known !== undefined && this.#schedstat(pid) === known.ran ? known : undefined;
  }

  /** `ran` is empty where it ran meanwhile, still runs, has other threads, or cannot be told. */
  #lookAt(pid: string): Asleep {
    const directory = `${this.proc}/${pid}/fd`;
    const before = this.#schedstat(pid);
    const files = writableIn(directory);
    const sleeps = before !== '' && this.#isOneThreadAsleep(pid) && this.#schedstat(pid) === before;
    return { ran: sleeps ? before : '', files };
  }

  #schedstat(pid: string): string {
    const text = content(`${this.proc}/${pid}/schedstat`);
    return text.startsWith('0 ') ? '' : text;
  }

  /** proc(5) stat: the state is the first field after the name, the number of threads the 18th. */
  #isOneThreadAsleep(pid: string): boolean {
    const fields = this.#stat(pid);
    return fields[0] === 'S' && fields[17] === '1';
  }
}

function writableIn(directory: string): OpenFile[] {
  const files: OpenFile[] = [];
  for (const fd of names(directory)) {
    try {
      files.push(...writable(`${directory}/${fd}`));
    } catch (error) {
      if (hasCode(error, 'EACCES')) break; // none of them may be seen
    }
  }
  return files;
}

/** The mode of the link in /proc tells how the file was opened. @throws where it was closed meanwhile, or is not ours to see */
function writable(descriptor: string): OpenFile[] {
  const path = readlinkSync(descriptor, { encoding: 'latin1' });
  if (!path.startsWith('/')) return []; // a pipe or a socket
  if ((lstatSync(descriptor).mode & OWNER_WRITE) === 0) return [];
  const stat = statSync(descriptor, { bigint: true });
  return stat.isFile() ? [{ path, object: `${stat.dev} ${stat.ino}` }] : [];
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function content(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function inodeOf(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    return undefined;
  }
}

const isNumber = (name: string): boolean => name >= '0' && name <= '9~';
