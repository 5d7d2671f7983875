import { closeSync, futimesSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { EPOCH, type Version } from './evidence.js';
import type { FileOp, WatchName } from './scenario.js';
import type { World } from './world.js';

type Write = Extract<FileOp, { kind: 'create' | 'rewrite' | 'replace' }>;
const seconds = (): number => Date.now() / 1000;

/** Makes files arrive, change and go as the scenario says, and writes down what was complete and when. */
export class Feeder {
  readonly versions: Version[] = [];
  readonly #current = new Map<string, Version>();
  readonly #chains = new Map<string, Promise<void>>();
  #writing = Promise.resolve();

  constructor(
    private readonly world: World,
    private readonly note: (text: string) => void,
  ) {}

  /** Carries out all operations, each at its time, those on one name in order. Resolves when the last is done. */
  async run(files: readonly FileOp[]): Promise<void> {
    const begin = Date.now();
    for (const op of files) {
      const wait = begin + op.at - Date.now();
      if (wait > 0) await sleep(wait);
      const name = `${op.watch}/${op.name}`;
      const next = (this.#chains.get(name) ?? Promise.resolve()).then(() => this.perform(op));
      this.#chains.set(name, next);
      this.#writing = Promise.all([this.#writing, next]).then(() => undefined);
    }
    await this.#writing;
  }

  private async perform(op: FileOp): Promise<void> {
    this.note(`${op.kind} ${op.watch} ${JSON.stringify(op.name)}${op.kind === 'remove' ? '' : ` -> ${op.serial}, ${op.writer}`}`); // prettier-ignore
    const path = this.path(op.watch, op.watch === 'sets' ? `${op.name}.a` : op.name);
    if (op.kind !== 'create') this.endCurrent(op);
    if (op.kind === 'remove') {
      rmSync(path);
      return;
    }
    const version = { serial: op.serial, watch: op.watch, name: op.name, script: op.script, begun: seconds(), complete: undefined, ended: undefined }; // prettier-ignore
    this.versions.push(version);
    this.#current.set(`${op.watch}/${op.name}`, version);
    if (op.kind === 'replace') {
      rmSync(path);
      if (op.pause > 0) await sleep(op.pause);
    }
    if (op.watch === 'sets' && op.kind === 'create') await this.writeSet(op);
    else await this.write(op, path);
    (version as Version).complete = seconds();
  }

  private endCurrent({ watch, name }: FileOp): void {
    const version = this.#current.get(`${watch}/${name}`);
    if (version !== undefined) version.ended = seconds();
  }

  /** Which member comes first is up to the serial. */
  private async writeSet(op: Write): Promise<void> {
    const members = [`${op.name}.a`, `${op.name}.b`];
    if (op.serial % 2 === 0) members.reverse();
    for (const member of members) {
      await this.write(op, this.path('sets', member));
      await sleep(op.pause);
    }
  }

  private async write(op: Write, path: Buffer): Promise<void> {
    const { fails, ms, mode } = op.script;
    const content = `${op.serial} ${fails} ${ms} ${mode}\n${'filler '.repeat(op.serial % 50)}\nend ${op.serial}\n`;
    const time = EPOCH + op.serial;
    if (op.writer !== 'rename') {
      await writePieces(path, content, time, op.writer === 'slow' ? op.pause : undefined);
      return;
    }
    const temporary = Buffer.from(`${this.world.in(op.watch)}/.${op.serial}.tmp`);
    await writePieces(temporary, content, time, undefined);
    renameSync(temporary, path);
  }

  private path(watch: WatchName, name: string): Buffer {
    return Buffer.concat([Buffer.from(`${this.world.in(watch)}/`), Buffer.from(name, 'latin1')]);
  }
}

/** The time is set before the file is closed: a file that nobody has open is complete. */
async function writePieces(
  path: Buffer,
  content: string,
  time: number,
  pause: number | undefined,
): Promise<void> {
  const fd = openSync(path, 'w');
  try {
    const cut = Math.ceil(content.length / 3);
    const pieces =
      pause === undefined ? [content] : [0, 1, 2].map((i) => content.slice(i * cut, (i + 1) * cut));
    for (const piece of pieces) {
      writeSync(fd, piece);
      if (pause !== undefined) await sleep(pause);
    }
    futimesSync(fd, time, time);
  } finally {
    closeSync(fd);
  }
}
