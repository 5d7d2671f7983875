import { entryType } from '../../src/lib/dirents.js';
import { readerOf } from '../../src/lib/directory-reader.js';
import type { FileSystem } from '../../src/lib/file-system.js';

interface Inode {
  readonly ino: bigint;
  readonly birthNs: bigint;
  content: string;
  /** what is on disk; undefined: nothing yet */
  synced: string | undefined;
  mtimeNs: bigint;
  ctimeNs: bigint;
}

type Entries = Map<string, Inode>;
const EXT4 = 0xef53;
const DIRECTORY_FD = 1;

/**
 * One directory in memory that forgets in a power cut what was not flushed: contents until fdatasync of the file,
 * names until fdatasync of the directory, of which a beginning of the changes may have reached the disk.
 */
export class MemoryFiles {
  #entries: Entries = new Map();
  #onDisk: Entries = new Map();
  /** changes of names since the last flush */
  #changes: ((entries: Entries) => void)[] = [];
  readonly #open = new Map<number, Inode>();
  #ino = 100n;
  #fd = 10;
  #mtimeNs: bigint;
  /** what inotify would tell */
  onEvent: (name: string, kind: 'rename' | 'change') => void = () => undefined;

  constructor(
    readonly path: string,
    private readonly now: () => number,
  ) {
    this.#mtimeNs = this.#nowNs();
  }

  names = (): string[] => [...this.#entries.keys()].sort();
  content = (name: string): string | undefined => this.#entries.get(name)?.content;
  inode = (name: string): bigint | undefined => this.#entries.get(name)?.ino;
  mtimeMs = (name: string): number => Number(this.#entries.get(name)!.mtimeNs / 1_000_000n);

  /** Somebody else puts a file here, by rename, flushed. */
  put(name: string, content: string, mtimeMs: number): void {
    const at = BigInt(mtimeMs) * 1_000_000n;
    const birthNs = this.#nowNs();
    this.#change((entries) =>
      entries.set(name, { ino: this.#ino, birthNs, content, synced: content, mtimeNs: at, ctimeNs: birthNs }),
    );
    this.#ino++;
    this.#flush();
    this.onEvent(name, 'rename');
  }

  /** Somebody else writes into a file that is here. */
  rewrite(name: string, content: string, mtimeMs: number): void {
    const inode = this.#entries.get(name);
    if (inode === undefined) return;
    Object.assign(inode, {
      content,
      synced: content,
      mtimeNs: BigInt(mtimeMs) * 1_000_000n,
      ctimeNs: this.#nowNs(),
    });
    this.onEvent(name, 'change');
  }

  delete(name: string): void {
    if (!this.#entries.has(name)) return;
    this.#change((entries) => entries.delete(name));
    this.#flush();
    this.onEvent(name, 'rename');
  }

  /** @param kept which part of the unflushed changes of names made it to the disk, 0 to 1 */
  powerCut(kept: number): void {
    for (const change of this.#changes.slice(0, Math.floor(kept * (this.#changes.length + 1))))
      change(this.#onDisk);
    this.#changes = [];
    this.#entries = new Map(this.#onDisk);
    for (const inode of this.#entries.values()) inode.content = inode.synced ?? '';
    this.#open.clear();
  }

  #sync(fd: number): void {
    const inode = this.#open.get(fd);
    if (inode === undefined) this.#flush();
    else inode.synced = inode.content;
  }

  /** What the watcher sees. */
  readonly fs = {
    accessSync: () => undefined,
    closeSync: (fd: number) => void this.#open.delete(fd),
    existsSync: (path: Buffer) => this.#isRoot(path) || this.#entries.has(this.#name(path)),
    fdatasyncSync: (fd: number) => this.#sync(fd),
    flush: (fd: number) => {
      this.#sync(fd);
      return Promise.resolve();
    },
    futimesSync: (fd: number, _: number, mtime: number) => {
      this.#open.get(fd)!.mtimeNs = BigInt(Math.round(mtime * 1e6)) * 1000n;
    },
    lstatSync: (path: Buffer) => {
      const { mtimeNs, content } = this.#get(path);
      return {
        mtimeMs: Number(mtimeNs / 1000n) / 1000,
        size: content.length,
        isFile: () => true,
        isSymbolicLink: () => false,
      };
    },
    mkdirSync: () => undefined,
    openDirectory: () => Promise.resolve(readerOf(this.names(), entryType.file)),
    openSync: (path: Buffer, flags: string) => {
      if (this.#isRoot(path)) return DIRECTORY_FD;
      const name = this.#name(path);
      if (flags !== 'wx') throw new Error(`not simulated: open ${name} with ${flags}`);
      if (this.#entries.has(name)) throw Object.assign(new Error('EEXIST'), { code: 'EEXIST' });
      const at = this.#nowNs();
      const inode: Inode = {
        ino: this.#ino++,
        birthNs: at,
        content: '',
        synced: undefined,
        mtimeNs: at,
        ctimeNs: at,
      };
      this.#change((entries) => entries.set(name, inode));
      this.#open.set(++this.#fd, inode);
      this.onEvent(name, 'rename');
      return this.#fd;
    },
    readdirSync: () => this.names(),
    readFileSync: (path: Buffer) => this.#get(path).content,
    renameSync: (from: Buffer, to: Buffer) => {
      const [a, b] = [this.#name(from), this.#name(to)];
      const inode = this.#get(from);
      this.#change((entries) => {
        entries.delete(a);
        entries.set(b, inode);
      });
      this.onEvent(a, 'rename');
      this.onEvent(b, 'rename');
    },
    statfsSync: () => ({ type: EXT4 }),
    statSync: (path: Buffer) => {
      if (this.#isRoot(path))
        return stats(true, {
          ino: 1n,
          mtimeNs: this.#mtimeNs,
          ctimeNs: this.#mtimeNs,
          birthNs: 1n,
          content: '',
          synced: '',
        });
      return stats(false, this.#get(path));
    },
    unlinkSync: (path: Buffer) => {
      const name = this.#name(path);
      this.#get(path);
      this.#change((entries) => entries.delete(name));
      this.onEvent(name, 'rename');
    },
    writeFileSync: (fd: number, content: string) => {
      this.#open.get(fd)!.content = content;
    },
  } as unknown as FileSystem;

  #nowNs = (): bigint => BigInt(Math.round(this.now())) * 1_000_000n;
  #isRoot = (path: Buffer): boolean => path.toString() === this.path;
  #name = (path: Buffer): string => path.toString().slice(this.path.length + 1);

  #get(path: Buffer): Inode {
    const inode = this.#entries.get(this.#name(path));
    if (inode === undefined) throw Object.assign(new Error(`ENOENT: ${path.toString()}`), { code: 'ENOENT' });
    return inode;
  }

  #change(change: (entries: Entries) => void): void {
    change(this.#entries);
    this.#changes.push(change);
    this.#mtimeNs = this.#nowNs();
  }

  #flush(): void {
    this.#onDisk = new Map(this.#entries);
    this.#changes = [];
  }
}

const stats = (isDirectory: boolean, inode: Inode): object => ({
  isFile: () => !isDirectory,
  isDirectory: () => isDirectory,
  mtimeNs: inode.mtimeNs,
  ctimeNs: inode.ctimeNs,
  birthtimeNs: inode.birthNs,
  size: BigInt(inode.content.length),
  ino: inode.ino,
  mode: 0o644n,
});
