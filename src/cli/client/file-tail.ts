import { open } from 'node:fs/promises';

const PIECE = 256 * 1024;

/** Reads a growing file, each byte once. */
export class FileTail {
  #offset = 0;

  constructor(private readonly path: string) {}

  /** Passes on what is new. @returns false when the file cannot be read */
  async read(print: (bytes: Buffer) => void): Promise<boolean> {
    try {
      const file = await open(this.path, 'r');
      try {
        for (;;) {
          const { bytesRead, buffer } = await file.read(Buffer.alloc(PIECE), 0, PIECE, this.#offset);
          if (bytesRead === 0) return true;
          this.#offset += bytesRead;
          print(buffer.subarray(0, bytesRead));
        }
      } finally {
        await file.close();
      }
    } catch {
      return false;
    }
  }
}
