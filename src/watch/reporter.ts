import type { Log } from '../lib/log.js';
import { printable } from '../lib/text.js';

/** Says every problem once, and again only when it changes or comes back. */
export class Reporter {
  readonly #files = new Map<string, string>();
  readonly #others = new Map<string, string>();

  constructor(
    private readonly watch: string,
    private readonly log: Log,
  ) {}

  /** A problem of one file. @param path relative to the watch */
  file(path: string, message: string): void {
    if (this.#files.get(path) === message) return;
    this.#files.set(path, message);
    this.log.error({ watch: this.watch, file: path }, `${printable(path)}: ${message}`);
  }

  /** A problem of the watch as a whole. @param topic what it is about: a new message replaces the old */
  about(topic: string, message: string): void {
    if (this.#others.get(topic) === message) return;
    this.#others.set(topic, message);
    this.log.error({ watch: this.watch }, message);
  }

  resolved(topic: string): void {
    this.#others.delete(topic);
  }

  /** Only these files still have problems. */
  keepFiles(isTroubled: (path: string) => boolean): void {
    for (const path of this.#files.keys()) if (!isTroubled(path)) this.#files.delete(path);
  }

  get problems(): string[] {
    return [
      ...[...this.#files].map(([path, message]) => `${printable(path)}: ${message}`),
      ...this.#others.values(),
    ];
  }
}
