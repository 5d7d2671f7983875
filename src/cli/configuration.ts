import { formatProblem, load, splitArguments, type Problem, type ResolvedConfig } from '../config/load.js';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { nearest } from '../config/nearest.js';
import { UserError } from '../lib/errors.js';
import type { Context } from './context.js';

export interface ConfigurationSource {
  readonly files: readonly string[];
  readonly overrides: readonly string[];
}

/** `key=value` and configuration files, in any order; without files those of MEESEEKS_WATCH_CONF (colon-separated). */
export function configurationSource(args: readonly string[], context: Context): ConfigurationSource {
  const { files, overrides } = splitArguments(args);
  const fallback = (context.env['MEESEEKS_WATCH_CONF'] ?? '').split(':').filter((file) => file !== '');
  return { files: files.length > 0 ? files : fallback, overrides };
}

/** A misspelt command would be taken for a configuration file. */
export function refuseMisspeltCommand(
  files: readonly string[],
  commands: readonly string[],
  context: Context,
): void {
  const [first] = files;
  if (
    first === undefined ||
    first.includes('/') ||
    first.includes('.') ||
    existsSync(resolve(context.cwd, first))
  )
    return;
  const near = nearest(first, commands);
  if (near !== undefined) throw new UserError(`no command or file is named ${first}; did you mean ${near}?`);
}

/** @throws UserError when there is nothing to load, or any error, after printing all of them */
export function loadConfiguration(source: ConfigurationSource, context: Context): ResolvedConfig {
  if (source.files.length === 0 && source.overrides.length === 0) {
    throw new UserError(
      'no configuration given; try: meeseeks-watch templates.cfg paths.cfg, or meeseeks-watch --help',
    );
  }
  const { config, problems } = load(source.files, source.overrides, { cwd: context.cwd });
  for (const problem of problems) context.err(`${formatProblem(problem)}\n`);
  if (config === undefined) throw new UserError(`${countErrors(problems)}; nothing was started`);
  return config;
}

export function countErrors(problems: readonly Problem[]): string {
  const errors = problems.filter((problem) => problem.severity === 'error').length;
  return `${errors} configuration ${errors === 1 ? 'error' : 'errors'}`;
}
