import { isDeepStrictEqual } from 'node:util';
import { checkPushed, fixedKeys, loadBox, type BoxConfig, type BoxSource } from '../../config/box.js';
import { formatProblem, type Problem } from '../../config/load.js';
import type { Log } from '../../lib/log.js';
import { RequestError } from '../../server/errors.js';
import { isMapping } from '../../server/json.js';
import type { ConfigPort } from '../../server/service.js';
import { countErrors } from '../configuration.js';

/**
 * The configuration in force, changed by a reload of its files or by what clients push. What was pushed lasts until
 * the next reload or restart.
 */
export class LiveConfiguration implements ConfigPort {
  private pushed: Record<string, unknown> = {};
  private listeners: ((config: BoxConfig) => void)[] = [];

  constructor(
    private readonly source: BoxSource,
    private readonly cwd: string,
    private readonly log: Log,
    private config: BoxConfig,
  ) {}

  get current(): BoxConfig {
    return this.config;
  }

  onChange(listener: (config: BoxConfig) => void): void {
    this.listeners.push(listener);
  }

  show(): Record<string, unknown> {
    return this.config.shown;
  }

  push(value: Record<string, unknown>): void {
    const pushed = merged(this.pushed, value);
    const { config, problems } = loadBox({ ...this.source, pushed: [pushed] }, this.cwd);
    if (config === undefined) {
      const first = problems.find(({ severity }) => severity === 'error');
      throw new RequestError(`config: ${first === undefined ? 'not valid' : formatProblem(first)}`);
    }
    const changed = this.fixedChanges(config);
    if (changed.length > 0)
      throw new RequestError(
        `config: ${changed.join(', ')} can only be changed in a file, followed by a restart`,
      );
    this.pushed = pushed;
    this.apply(config);
    for (const problem of checkPushed(value)) this.tell(problem);
    this.log.info(
      { keys: Object.keys(value) },
      `a client changed the configuration: ${Object.keys(value).join(', ')}`,
    );
  }

  /** Reads the files again. With errors the running configuration stays. */
  reload(): void {
    const { config, problems } = loadBox(this.source, this.cwd);
    for (const problem of problems) this.tell(problem);
    if (config === undefined) {
      this.log.error({}, `reload rejected: ${countErrors(problems)}; the running configuration stays`);
      return;
    }
    const waiting = this.fixedChanges(config);
    if (waiting.length > 0)
      this.log.warn(
        { keys: waiting },
        `changed in the files, and in force after a restart: ${waiting.join(', ')}`,
      );
    this.pushed = {};
    this.apply(config);
    this.log.info({}, `reloaded; pools: ${Object.keys(config.pools).join(', ') || 'none'}`);
  }

  private tell(problem: Problem): void {
    if (problem.severity === 'error') this.log.error({}, formatProblem(problem));
    else this.log.warn({}, formatProblem(problem));
  }

  /** As written, and as it works: a secret is not shown, and `defaults` changes other sections than its own. */
  private fixedChanges(config: BoxConfig): string[] {
    return Object.entries(fixedKeys)
      .filter(
        ([key, field]) =>
          !isDeepStrictEqual(config.shown[key], this.config.shown[key]) ||
          !isDeepStrictEqual(effective(config, field), effective(this.config, field)),
      )
      .map(([key]) => key);
  }

  private apply(config: BoxConfig): void {
    this.config = config;
    for (const listener of this.listeners) listener(config);
  }
}

/** A setting as it works; an address found by its prefix changes with the interfaces of the host, and is left out. */
function effective(config: BoxConfig, field: (typeof fixedKeys)[keyof typeof fixedKeys]): unknown {
  if (field !== 'listen') return config[field];
  const { address, ...rest } = config.listen;
  const { listen, defaults } = config.shown;
  const isFound = [listen, defaults].some((section) => isMapping(section) && 'prefix' in section);
  return isFound ? rest : { ...rest, address };
}

/** Mappings merge key by key, anything else replaces. */
function merged(base: Record<string, unknown>, over: Record<string, unknown>): Record<string, unknown> {
  const entries = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(over)) {
    const below = entries.get(key);
    entries.set(key, isMapping(below) && isMapping(value) ? merged(below, value) : value);
  }
  return Object.fromEntries(entries);
}
