import { execFileSync } from 'node:child_process';
import {
  cpSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificates } from '../support/certificates.js';
import { RUNTIME } from './checker.js';
import type { Evidence } from './evidence.js';
import { MOST_ATTEMPTS, watchNames, type WatchName } from './scenario.js';

/** A change to the built product: a bug that the torture must find. Applied as text, exactly once or it is an error. */
export interface Patch {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export const slots: Evidence['slots'] = {
  plain: { pool: 'p', slots: 3 },
  upd: { pool: 'p', slots: 3 },
  chain: { pool: 'p', slots: 3 },
  sets: { pool: 'q', slots: 1 },
  lim: { pool: 'l', slots: 2 },
  slow: { pool: 's', slots: 2 },
  direct: { pool: 'd', slots: 1 },
};

/** The directories, the configuration and the copy of the product that one run of the torture uses. */
export class World {
  readonly directory = mkdtempSync(join(tmpdir(), 'meeseeks-torture-'));
  /** stands in the environment of everything that is started */
  readonly token = `MEESEEKS_TORTURE=${this.directory}`;
  readonly state = this.path('state');
  readonly boxState = this.path('box-state');
  readonly config = this.path('watch.json');
  readonly boxConfig = this.path('box.json');
  readonly socket = this.path('box.sock');
  readonly runLog = this.path('runs.log');
  readonly product = this.path('product');
  /** where the agent that runs the jobs keeps its state */
  readonly agentState: string;
  private readonly certificates: ReturnType<typeof makeCertificates> | undefined;

  constructor(
    /** the project: its dist is what is tortured, as a copy */
    readonly root: string,
    readonly mode: 'embedded' | 'box',
    patches: readonly Patch[] = [],
    /** a port of this machine at which the box serves TLS to the watcher; undefined: its UNIX socket */
    private readonly tlsPort?: number,
  ) {
    if (tlsPort !== undefined) this.certificates = makeCertificates(this.directory);
    this.agentState = mode === 'box' ? this.boxState : this.state;
    for (const name of watchNames) mkdirSync(join(this.path('in'), name), { recursive: true });
    mkdirSync(this.path('locks'));
    execFileSync('mkfifo', [this.path('fifo')]);
    writeFileSync(this.runLog, '');
    copyFileSync(join(root, 'test/crash/job.bash'), this.path('job.bash'));
    this.copyProduct(patches);
  }

  path(...names: string[]): string {
    return join(this.directory, ...names);
  }

  in(watch: WatchName): string {
    return this.path('in', watch);
  }

  /** Writes both configurations. The variants are equal in what they promise; `broken` is none at all. */
  configure(variant: 'usual' | 'changed' | 'less' | 'broken' = 'usual'): void {
    const text = variant === 'broken' ? '{ "watch": { "plain": ' : JSON.stringify(this.watches(variant));
    this.exchange(this.config, text);
    const box = {
      name: 'box',
      state_dir: this.boxState,
      // nothing that was acknowledged may be forgotten within a run
      state: { expire: 86_400 },
      listen: this.listen(),
      pools: this.pools(variant),
    };
    this.exchange(this.boxConfig, variant === 'broken' ? '{' : JSON.stringify(box));
  }

  private listen(): object {
    if (this.certificates === undefined) return { address: this.socket };
    const { ca, server } = this.certificates;
    const ssl = { ...server, cafile: ca, verify_mode: 'CERT_REQUIRED' };
    return { address: '127.0.0.1', port: this.tlsPort, path: this.socket, ssl };
  }

  private client(): object {
    if (this.certificates === undefined) return { address: this.socket };
    const { ca, client } = this.certificates;
    return { address: 'localhost', port: this.tlsPort, ssl: { cafile: ca, ...client } };
  }

  /** By rename: a process that starts reads all of it. */
  private exchange(path: string, text: string): void {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  }

  private watches(variant: string): object {
    const watch = Object.fromEntries(watchNames.map((name) => [name, this.watch(name, variant)]));
    if (variant === 'less') delete watch['sets'];
    return {
      name: 'torture',
      state_dir: this.state,
      watch,
      ...(this.mode === 'box' ? { client: this.client() } : { pools: this.pools(variant) }),
    };
  }

  private pools(variant: string): object {
    const all = Object.values(slots).map(({ pool, slots: n }) => [pool, { slots: n }] as const);
    return { ...Object.fromEntries(all), ...(variant === 'changed' && { other: { slots: 1 } }) };
  }

  private watch(name: WatchName, variant: string): Record<string, unknown> {
    return {
      path: this.in(name),
      glob: name === 'sets' ? ['*.a', '*.b'] : '*',
      retry_delay: 0.1,
      retry_max_delay: 0.4,
      rescan: variant === 'changed' ? 2 : name === 'plain' ? 20 : 3,
      jobs: [this.job(name, 0), ...(name === 'chain' ? [this.job(name, 1)] : [])],
      ...(name === 'sets' && { split: '.', fileset: 1 }),
      ...(name === 'upd' && { updated: true }),
      ...(name === 'lim' && { retries: MOST_ATTEMPTS - 1 }),
    };
  }

  private job(name: WatchName, step: number): object {
    return {
      pool: slots[name].pool,
      args: ['bash', this.path('job.bash'), name, String(step), '%(mtime)s', '%(attempt)s', '%(file)s'],
      env: { LOG: this.runLog, LOCKS: this.path('locks'), FIFO: this.path('fifo') },
      ...(name === 'slow' && { runtime: RUNTIME, kill_grace: 0.3 }),
    };
  }

  private copyProduct(patches: readonly Patch[]): void {
    mkdirSync(this.product);
    cpSync(join(this.root, 'dist'), join(this.product, 'dist'), {
      recursive: true,
      filter: (path) => !/\.(map|d\.ts)$/.test(path),
    });
    copyFileSync(join(this.root, 'package.json'), join(this.product, 'package.json'));
    symlinkSync(join(this.root, 'node_modules'), join(this.product, 'node_modules'));
    for (const patch of patches) applyPatch(this.product, patch);
  }
}

/** @throws Error when the text to replace is not there exactly once: the product has changed under the patch */
function applyPatch(product: string, { file, find, replace }: Patch): void {
  const path = join(product, 'dist', file);
  const parts = readFileSync(path, 'utf8').split(find);
  if (parts.length !== 2)
    throw new Error(
      `the planted bug does not apply: ${file} has ${parts.length - 1} times ${JSON.stringify(find)}`,
    );
  writeFileSync(path, parts.join(replace));
}
