import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { Scene, type Config, type Service } from '../service.js';
import { options, outcome, writers, type Option, type Writer } from './matrix.js';

const MOUNT = 'mkdir "$2" && mount --bind "$1" "$2" && shift 2 && exec "$@"';
const NOBODY = 65_534;
const program = resolve(import.meta.dirname, 'write.mjs');
const isRoot = process.getuid?.() === 0;
const canMount = succeeds('unshare', '--mount', 'mount', '--bind', '/tmp', '/mnt');
const hasPython = succeeds('python3', '-c', 'import ctypes');

/** What a job read, and under which name. */
interface View {
  readonly name: string;
  readonly digest: string;
}

const digest = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

/** A compressed file that pieces cannot be taken for. */
const compressed = (): Buffer => gzipSync(randomBytes(64 * 1024), { level: 0 });

/**
 * All writers at once into one directory, watched by a service with a watch for each option, and by one of another
 * user, who sees nothing of the writers' processes.
 */
export class Field {
  readonly scene = new Scene();
  readonly #contents = new Map<string, Buffer[]>();
  #services: Service[] = [];

  async start(): Promise<void> {
    const { scene } = this;
    chmodSync(scene.root, 0o755);
    for (const directory of [scene.data, scene.path('views'), this.#target('batch')]) {
      mkdirSync(directory, { recursive: true });
      chmodSync(directory, 0o777);
    }
    this.#services = [await this.#service('seen', (option) => option.unseen !== true)];
    if (isRoot)
      this.#services.push(await this.#service('unseen', (option) => option.unseen === true, NOBODY));
  }

  /** Resolves when the last writer has ended. */
  async write(): Promise<void> {
    const able = writers.filter((writer) => this.why(writer) === undefined);
    const ended = Promise.all(able.map((writer) => this.#run(writer))).then(() => true);
    const waiting = new Set(able);
    for (let over = false; !over; over = await Promise.race([ended, sleep(100, false)]))
      for (const writer of waiting)
        if (this.#isSeenEarly(writer)) {
          writeFileSync(`${this.#content(writer)}.go`, '');
          waiting.delete(writer);
        }
  }

  /** Every watch that is to run its file too early has done so. */
  #isSeenEarly(writer: Writer): boolean {
    return options
      .filter((option) => outcome(writer, option) === 'early' && this.why(writer, option) === undefined)
      .every((option) => this.views(writer, option).some(({ whole }) => !whole));
  }

  /** Why a writer or a cell cannot be tried here. */
  why(writer: Writer, option?: Option): string | undefined {
    if (writer.name === 'mapped' && !hasPython) return 'needs python3';
    if (writer.mounted === true && !canMount) return 'needs the right to mount';
    if (isRoot) return undefined;
    if (option?.unseen === true) return 'needs root, to run a service as somebody else';
    return writer.rootReads === true && option?.name !== 'closed' ? 'needs root, who may read it' : undefined;
  }

  /** What the jobs of a watch with this option have seen of what this writer wrote, in the order of the jobs. */
  views(writer: Writer, option: Option): { readonly whole: boolean; readonly last: boolean }[] {
    const { name, digests } = this.#wanted(writer);
    return this.#log(writer, option)
      .filter((view) => writer.batch === true || view.name.startsWith(name))
      .map((view) => {
        const whole = digests.includes(view.digest) && (writer.batch === true || view.name === name);
        return { whole, last: whole && view.digest === digests.at(-1) };
      });
  }

  tail = (): string => this.#services.map((service) => service.tail()).join('\n');

  #wanted(writer: Writer): { name: string; digests: readonly string[] } {
    return { name: `${writer.name}.gz`, digests: (this.#contents.get(writer.name) ?? []).map(digest) };
  }

  #content = (writer: Writer): string => this.scene.path(`${writer.name}.content`);

  #target = (writer: string): string => join(this.scene.data, `${writer}.gz`);

  async #service(name: string, wanted: (option: Option) => boolean, uid?: number): Promise<Service> {
    const { scene } = this;
    const state = scene.path(`state-${name}`);
    mkdirSync(state);
    if (uid !== undefined) chownSync(state, uid, uid);
    const watch = Object.fromEntries(
      options
        .filter(wanted)
        .flatMap((option) =>
          ['plain', 'rewrites', 'batch'].map((kind) => [`${kind}-${option.name}`, this.#watch(kind, option)]),
        ),
    );
    const config = scene.path(`${name}.json`);
    writeFileSync(config, JSON.stringify({ state_dir: state, watch, pools: { p: { slots: 32 } } }));
    const service = scene.launch([config], uid === undefined ? {} : { uid });
    return service.watching();
  }

  #watch(kind: string, option: Option): Config {
    const { scene } = this;
    const script = `printf '%s %s\\n' "$1" "$(cat ${kind === 'batch' ? 'part-*' : '<"$2"'} | sha256sum | cut -d' ' -f1)" >>"$log"`;
    const others = writers.filter((writer) => writer.rewrites !== true).map(({ name }) => `${name}.*`);
    const path = kind === 'batch' ? this.#target('batch') : scene.data;
    return {
      path,
      glob: '*.gz*',
      rescan: option.unseen === true ? 0.25 : 5,
      ...(option.unseen === true && { events: false }),
      exclude: ['*.ok', '*.tmp', ...(kind === 'rewrites' ? others : ['truncates-rewrites.*'])],
      ...option.keys,
      ...(kind === 'batch' && { glob: 'part-*' }),
      ...(kind === 'rewrites' && { updated: true }),
      ...(kind === 'batch' &&
        option.name === 'sentinel' && { ready: { closed: false, sentinel: 'batch.ok' } }),
      jobs: [
        scene.script(script, { cwd: path, env: { log: scene.path('views', `${kind}-${option.name}`) } }),
      ],
    };
  }

  #run(writer: Writer): Promise<void> {
    const contents =
      writer.batch === true ? [Buffer.concat([compressed(), compressed()])] : [compressed(), compressed()];
    if (writer.rewrites !== true) contents.length = 1;
    this.#contents.set(writer.name, contents);
    // the new content first, then what was there before
    const files = contents.toReversed().map((content, i) => {
      const path = i === 0 ? this.#content(writer) : this.scene.path(`${writer.name}.old`);
      writeFileSync(path, content);
      return path;
    });
    const { data } = this.scene;
    const other = this.scene.path('mounted');
    const command = [process.execPath, program, writer.name, writer.mounted === true ? other : data];
    const mounted = ['unshare', '--mount', 'sh', '-c', MOUNT, 'sh', data, other];
    const args = [...(writer.mounted === true ? mounted : []), ...command, `${writer.name}.gz`, ...files];
    return new Promise((done, failed) => {
      execFile(args[0]!, args.slice(1), (error, _, stderr) =>
        error === null ? done() : failed(new Error(`${writer.name}: ${stderr}`)),
      );
    });
  }

  #log(writer: Writer, option: Option): View[] {
    const kind = writer.batch === true ? 'batch' : writer.rewrites === true ? 'rewrites' : 'plain';
    return readIfThere(this.scene.path('views', `${kind}-${option.name}`))
      .split('\n')
      .slice(0, -1)
      .map((line) => ({ name: line.split(' ')[0]!, digest: line.split(' ')[1]! }));
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function succeeds(...command: [string, ...string[]]): boolean {
  try {
    execFileSync(command[0], command.slice(1), { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
