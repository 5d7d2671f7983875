import { readFileSync, statSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { nearest } from '../config/nearest.js';
import { jsonSchema } from '../config/json-schema.js';
import { rootSchema } from '../config/schema.js';
import { UserError } from '../lib/errors.js';
import { explainCommand } from './commands/explain.js';
import { planCommand } from './commands/plan.js';
import { resetCommand, type ResetKind } from './commands/reset.js';
import { statusCommand } from './commands/status.js';
import { configurationSource, loadConfiguration, refuseMisspeltCommand } from './configuration.js';
import { watchCommands } from './command-names.js';
import { exitCodes, type Context } from './context.js';
import { completionKeys, completionScript, withShell } from './help/completion.js';
import { createLogger, type LogFormat } from './logger.js';
import { createProgress } from './progress.js';
import { runService } from './service.js';
import { stateDirectory } from './state-directory.js';

const optionNames = [
  'once',
  'dry-run',
  'watch-config',
  'log-level',
  'log-format',
  'json',
  'glob',
  'state',
  'watch',
  'older-than',
  'yes',
  'help',
  'version',
];
const vocabulary = {
  program: 'meeseeks-watch',
  commands: watchCommands,
  options: optionNames.map((name) => `--${name}`),
  keys: completionKeys(rootSchema),
};
const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

/** Runs one command line. @returns the exit code; errors are on standard error in one line by then */
export async function main(args: readonly string[], context: Context): Promise<number> {
  let code: number = exitCodes.ok;
  const set = (result: Promise<number> | number): Promise<void> | void => {
    if (typeof result === 'number') code = result;
    else return result.then((value) => void (code = value));
  };
  try {
    await commands(yargs([...args]), context, set).parseAsync();
  } catch (error) {
    return report(error, args, context);
  }
  return code;
}

function commands(
  parser: Argv,
  context: Context,
  set: (result: Promise<number> | number) => Promise<void> | void,
): Argv {
  return parser
    .scriptName('meeseeks-watch')
    .usage(
      'Watches directories and runs the right job once for every file.\n\nmeeseeks-watch [options] [key=value]... [config-file]...\nmeeseeks-watch <command> [options] [key=value]... [config-file]...',
    )
    .parserConfiguration({
      'parse-positional-numbers': false,
      'dot-notation': false,
      'boolean-negation': false,
      'camel-case-expansion': true,
    })
    .option('log-level', { choices: levels, describe: 'how much to log; default info', global: true })
    .option('log-format', {
      choices: ['auto', 'pretty', 'json'] as const,
      default: 'auto' as const,
      describe: 'auto: pretty on a terminal, JSON elsewhere',
    })
    .command(
      ['$0 [arguments..]', 'run'],
      'run the service (the default)',
      (y) =>
        withArguments(y)
          .option('once', {
            type: 'boolean',
            default: false,
            describe: 'process what is there and exit: 0 all done, 1 some failed',
          })
          .option('dry-run', {
            type: 'boolean',
            default: false,
            describe: 'show what would be submitted and why; touch nothing',
          })
          .option('watch-config', {
            type: 'boolean',
            default: false,
            describe: 'reload when a configuration file changes',
          }),
      (argv) => set(runCommand(argv, context)),
    )
    .command(
      'plan [arguments..]',
      'show what would be submitted and why; touch nothing',
      withArguments,
      (argv) => {
        const { source, config } = configured(argv.arguments, context);
        return set(planCommand(config, source, argv.json, context));
      },
    )
    .command(
      'explain <file> [arguments..]',
      'say for one file what every rule decides, what it waits for, what ran and where its output is',
      (y) =>
        withArguments(
          y.positional('file', {
            type: 'string',
            demandOption: true,
            describe: 'the file, there or expected',
          }),
        ),
      (argv) => {
        if (/^[\w.]+:?=/.test(argv.file))
          throw new UserError(`explain needs the file first: meeseeks-watch explain FILE ${argv.file} ...`);
        const { source, config } = configured(argv.arguments, context);
        return set(explainCommand(argv.file, config, source, argv.json, context));
      },
    )
    .command(
      'validate [arguments..]',
      'check a configuration and list its watches',
      withArguments,
      (argv) => {
        const { config } = configured(argv.arguments, context);
        const watches = config.watches.map(({ name, path, steps }) => ({
          name,
          path: path ?? null,
          jobs: steps.length,
        }));
        if (argv.json) context.out(`${JSON.stringify({ valid: true, watches }, null, 2)}\n`);
        else {
          for (const { name, path } of watches) noteMissing(name, path, context);
          context.out(
            `valid: ${watches.map((w) => `${w.name}${w.path === null ? '' : ` (${w.path})`}`).join(', ')}\n`,
          );
        }
      },
    )
    .command('schema', 'print the JSON Schema of the configuration, for editors', {}, () => {
      context.out(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
    })
    .command('status [arguments..]', 'the counts of the running watcher', withArguments, (argv) => {
      const { source, config } = configured(argv.arguments, context);
      return set(statusCommand(config, source, argv.json, context));
    })
    .command('retry [arguments..]', 'run failed and killed files again, at once', withFilter, (argv) =>
      set(reset('retry', argv, context)),
    )
    .command('forget [arguments..]', 'run files again as if they had just arrived', withFilter, (argv) =>
      set(reset('forget', argv, context)),
    )
    .command(
      'mark-done [arguments..]',
      'count files as processed without running their jobs',
      withFilter,
      (argv) => set(reset('mark-done', argv, context)),
    )
    .command('completion [shell]', 'print a completion script for bash or zsh', withShell, (argv) => {
      context.out(completionScript(argv.shell, vocabulary));
    })
    .version(packageVersion())
    .alias('help', 'h')
    .strictOptions()
    .wrap(Math.min(context.columns, 80))
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      throw error ?? new UserError(usageMessage(message ?? 'wrong usage'));
    });
}

const withArguments = <T>(y: Argv<T>) =>
  y
    .positional('arguments', {
      array: true,
      type: 'string',
      default: [] as string[],
      describe: 'key=value and configuration files',
    })
    .option('json', { type: 'boolean', default: false, describe: 'output for programs' });

const withFilter = <T>(y: Argv<T>) =>
  withArguments(y)
    .option('glob', {
      array: true,
      type: 'string',
      default: [] as string[],
      requiresArg: true,
      nargs: 1,
      describe: 'only files of this pattern (repeat for more)',
    })
    .option('state', {
      array: true,
      type: 'string',
      default: [] as string[],
      requiresArg: true,
      nargs: 1,
      describe: 'only results of this state: done, failed, killed, new',
    })
    .option('watch', {
      array: true,
      type: 'string',
      default: [] as string[],
      requiresArg: true,
      nargs: 1,
      describe: 'only this watch',
    })
    .option('older-than', {
      type: 'string',
      requiresArg: true,
      describe: 'only results at least this old: seconds, or with a unit: 90, 30m, 12h, 7d',
    })
    .option('yes', {
      alias: 'y',
      type: 'boolean',
      default: false,
      describe: 'do it; without, only a preview',
    });

/** No error: the service waits for the directory. */
function noteMissing(name: string, path: string | null, context: Context): void {
  if (path === null) return;
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) context.err(`meeseeks-watch: note: ${name}: ${path} does not exist yet\n`);
  else if (!stats.isDirectory()) context.err(`meeseeks-watch: note: ${name}: ${path} is no directory\n`);
}

function configured(args: readonly string[], context: Context) {
  const source = configurationSource(args.map(String), context);
  refuseMisspeltCommand(source.files, watchCommands, context);
  return { source, config: loadConfiguration(source, context) };
}

interface RunArguments {
  readonly arguments: string[];
  readonly once: boolean;
  readonly dryRun: boolean;
  readonly watchConfig: boolean;
  readonly json: boolean;
  readonly logLevel: (typeof levels)[number] | undefined;
  readonly logFormat: LogFormat;
}

async function runCommand(argv: RunArguments, context: Context): Promise<number> {
  const { source, config } = configured(argv.arguments, context);
  if (argv.dryRun) return planCommand(config, source, argv.json, context);
  const progress = createProgress(context);
  const log = createLogger({
    write: (text) => progress.write(text),
    level: argv.logLevel ?? config.logLevel ?? 'info',
    format: argv.json ? 'json' : argv.logFormat,
    isTerminal: context.isTerminal,
  });
  const directory = stateDirectory(config, source, context.env);
  return runService({
    source,
    config,
    directory,
    once: argv.once,
    watchConfig: argv.watchConfig,
    log,
    progress,
    setLogLevel: (level) => {
      if (argv.logLevel === undefined) log.level = level;
    },
    context,
  });
}

interface ResetArguments {
  readonly arguments: string[];
  readonly glob: string[];
  readonly state: string[];
  readonly watch: string[];
  readonly olderThan: string | undefined;
  readonly yes: boolean;
  readonly json: boolean;
}

async function reset(kind: ResetKind, argv: ResetArguments, context: Context): Promise<number> {
  const { source, config } = configured(argv.arguments, context);
  const filter = {
    globs: argv.glob,
    states: argv.state.flatMap((state) => state.split(',')),
    watches: argv.watch,
    olderThan: argv.olderThan === undefined ? undefined : parseAge(argv.olderThan),
  };
  return resetCommand(kind, filter, argv.yes, argv.json, config, source, context);
}

/** Settings written as options are the likely mistake. */
function usageMessage(message: string): string {
  // `explain` is the only command that needs one
  if (message.startsWith('Not enough non-option arguments'))
    return 'explain needs a file: meeseeks-watch explain FILE [key=value]... [config-file]...; see meeseeks-watch --help';
  const unknown = /^Unknown arguments?: (\S+?)(,|$)/.exec(message)?.[1];
  if (unknown === undefined) return `${message}; see meeseeks-watch --help`;
  const near = nearest(unknown, optionNames);
  const hint =
    near === undefined ? `settings are written without dashes: ${unknown}=...` : `did you mean --${near}?`;
  return `unknown option --${unknown}; ${hint}; see meeseeks-watch --help`;
}

/** @returns seconds @throws UserError */
function parseAge(text: string): number {
  const found = /^(\d+(?:\.\d+)?)([smhd]?)$/.exec(text);
  if (found === null)
    throw new UserError(`--older-than: expected seconds, or a number with s, m, h or d, found ${text}`);
  return (
    Number(found[1]) * { '': 1, s: 1, m: 60, h: 3600, d: 86_400 }[found[2] as '' | 's' | 'm' | 'h' | 'd']
  );
}

function report(error: unknown, args: readonly string[], context: Context): number {
  const isDebug = args.some(
    (arg, i) => arg === '--log-level=debug' || (arg === '--log-level' && args[i + 1] === 'debug'),
  );
  const message = error instanceof Error ? error.message : String(error);
  context.err(`meeseeks-watch: ${isDebug && error instanceof Error ? (error.stack ?? message) : message}\n`);
  if (error instanceof UserError) return error.exitCode;
  // of yargs: an option without its value, for instance
  return error instanceof Error && error.name === 'YError' ? exitCodes.usage : exitCodes.trouble;
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
