import { isDeepStrictEqual } from 'node:util';
import { formatProblem, load, type ResolvedConfig } from '../config/load.js';
import { describeError } from '../lib/errors.js';
import type { Log } from '../lib/log.js';
import type { Watcher } from '../watch/watcher.js';
import { followFiles } from './config-files.js';
import { countErrors, type ConfigurationSource } from './configuration.js';
import type { Context } from './context.js';
import type { ServiceAgent } from './service-agent.js';
import type { StopRequests } from './stop-requests.js';

export interface ReloadOptions {
  readonly source: ConfigurationSource;
  readonly config: ResolvedConfig;
  readonly watchConfig: boolean;
  readonly log: Log;
  readonly setLogLevel: (level: string) => void;
  readonly context: Context;
}

const startOnly = { name: 'name', stateDir: 'state_dir', expire: 'expire', client: 'client' } as const;

/**
 * Reads the configuration again on SIGHUP, and when a file changes with --watch-config. One with errors is rejected
 * whole and the running one stays. A signal during the start is kept until there is something to reload.
 */
export class Reloader {
  #apply: ((config: ResolvedConfig) => Promise<void>) | undefined;
  #pending = false;
  #reloading = Promise.resolve();
  #running: ResolvedConfig;
  readonly #offSignal: () => void;
  readonly #files: { close(): Promise<void> } | undefined;

  constructor(
    private readonly options: ReloadOptions,
    private readonly stops: StopRequests,
  ) {
    this.#running = options.config;
    const reload = (): void => this.#reload();
    this.#offSignal = options.context.onSignal('SIGHUP', reload);
    this.#files = options.watchConfig ? followFiles(options.config.files, reload) : undefined;
  }

  /** The service runs: from here on reloads take effect. */
  attach(agent: Pick<ServiceAgent, 'configure'>, watcher: Watcher): void {
    this.#apply = async (config) => {
      agent.configure(config);
      this.#report(await watcher.configure(config.watches));
    };
    if (this.#pending) this.#reload();
  }

  /** No reload begins any more; one under way goes on. */
  detach(): void {
    this.#offSignal();
    this.#apply = undefined;
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.detach();
    await this.#files?.close();
    await this.#reloading;
  }

  #reload(): void {
    this.#pending = this.#apply === undefined;
    if (this.#pending) return;
    this.#reloading = this.#reloading
      .then(() => this.#reloadOnce())
      .catch((error: unknown) => {
        this.options.log.error({}, `reload failed: ${describeError(error)}; the running configuration stays`);
      });
  }

  async #reloadOnce(): Promise<void> {
    const config = this.#load();
    const apply = this.#apply;
    if (config === undefined || apply === undefined) return;
    this.#applySettings(config);
    await apply(config);
    this.#running = config;
  }

  #load(): ResolvedConfig | undefined {
    const { source, context, log } = this.options;
    const { config, problems } = load(source.files, source.overrides, { cwd: context.cwd });
    for (const problem of problems) {
      if (problem.severity === 'error') log.error({}, formatProblem(problem));
      else log.warn({}, formatProblem(problem));
    }
    if (config === undefined)
      log.error({}, `reload rejected: ${countErrors(problems)}; the running configuration stays`);
    return config;
  }

  #applySettings(config: ResolvedConfig): void {
    const { log, setLogLevel } = this.options;
    for (const [key, name] of Object.entries(startOnly) as [keyof typeof startOnly, string][]) {
      if (!isDeepStrictEqual(config[key], this.#running[key]))
        log.warn({}, `${name} changes only with a restart`);
    }
    this.stops.setOnStop(config.onStop);
    if (config.logLevel !== this.#running.logLevel) setLogLevel(config.logLevel ?? 'info');
  }

  #report(changes: { added: string[]; removed: string[]; changed: string[] }): void {
    const parts = Object.entries(changes).filter(([, names]) => names.length > 0);
    const text = parts.map(([what, names]) => `${what} ${names.join(', ')}`).join('; ');
    this.options.log.info(changes, `reloaded: ${text === '' ? 'no watch changed' : text}`);
  }
}
