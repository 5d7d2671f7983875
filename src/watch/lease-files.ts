import { hasCode } from '../lib/errors.js';
import type { FileSystem } from '../lib/file-system.js';
import { bytesToBuffer, textToBytes } from '../lib/text.js';
import { isOf, leasePrefix, parseLeaseName, type LeaseFile } from './lease.js';

/** The lease files of one watch in one directory. All methods throw the system error of what fails. */
export class LeaseFiles {
  readonly #directory: string;
  readonly #prefix: string;
  readonly #watch: string;

  /** @param directory absolute, text */
  constructor(
    directory: string,
    watch: string,
    private readonly fs: FileSystem,
  ) {
    this.#directory = textToBytes(directory);
    this.#watch = textToBytes(watch);
    this.#prefix = leasePrefix(this.#watch);
  }

  /** Epochs, highest first. */
  list(): number[] {
    const names = this.fs.readdirSync(bytesToBuffer(this.#directory), { encoding: 'latin1' });
    return names.flatMap((name) => parseLeaseName(this.#watch, name) ?? []).sort((a, b) => b - a);
  }

  /** undefined: it is not there. */
  read(epoch: number): LeaseFile | undefined {
    try {
      // opened anew each time: that is when NFS asks the server
      return { epoch, content: this.fs.readFileSync(this.#path(epoch), 'utf8') };
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /** Whoever else creates this epoch, one succeeds. @param id that nobody else uses @returns whether it was us */
  create(epoch: number, id: string, content: string): boolean {
    const temporary = bytesToBuffer(`${this.#directory}/${this.#prefix}${epoch}.${id}.tmp`);
    try {
      this.#writeNew(temporary, content);
      try {
        this.fs.linkSync(temporary, this.#path(epoch));
      } catch (error) {
        if (hasCode(error, 'EEXIST')) return false;
        if (!hasCode(error, 'EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP')) throw error;
        if (!this.#createWithoutLinks(epoch, content)) return false;
      }
    } finally {
      this.#unlink(temporary);
    }
    return true;
  }

  /**
   * Overwrites the file of an owner in place: a new file under the name could bring back one that others have removed.
   * @returns false when it is gone, or somebody else's
   */
  renew(epoch: number, id: string, content: string): boolean {
    let fd: number;
    try {
      fd = this.fs.openSync(this.#path(epoch), 'r+');
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
    try {
      if (!isOf(this.fs.readFileSync(fd, 'utf8'), id)) return false;
      const bytes = Buffer.from(content);
      if (this.fs.writeSync(fd, bytes, 0, bytes.length, 0) !== bytes.length)
        throw Object.assign(new Error('a part was written'), { code: 'ENOSPC' });
      this.fs.fdatasyncSync(fd);
      return true;
    } catch (error) {
      if (hasCode(error, 'ESTALE')) return false;
      throw error;
    } finally {
      this.fs.closeSync(fd);
    }
  }

  isOf(epoch: number, id: string): boolean {
    const file = this.read(epoch);
    return file !== undefined && isOf(file.content, id);
  }

  remove(epoch: number): void {
    this.#unlink(this.#path(epoch));
  }

  #createWithoutLinks(epoch: number, content: string): boolean {
    try {
      this.#writeNew(this.#path(epoch), content);
      return true;
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false;
      throw error;
    }
  }

  #writeNew(path: Buffer, content: string): void {
    const fd = this.fs.openSync(path, 'wx', 0o644);
    try {
      this.fs.writeFileSync(fd, content);
      this.fs.fdatasyncSync(fd);
    } finally {
      this.fs.closeSync(fd);
    }
  }

  #unlink(path: Buffer): void {
    try {
      this.fs.unlinkSync(path);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  #path = (epoch: number): Buffer => bytesToBuffer(`${this.#directory}/${this.#prefix}${epoch}`);
}

const isGone = (error: unknown): boolean => hasCode(error, 'ENOENT', 'ESTALE');
