import { readFileSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { loadBox, type BoxConfig, type BoxSource } from '../../config/box.js';
import { boxSchema } from '../../config/box-schema.js';
import { formatProblem, splitArguments } from '../../config/load.js';
import { UserError } from '../../lib/errors.js';
import { countErrors } from '../configuration.js';
import { boxCommands } from '../command-names.js';
import { exitCodes, type Context } from '../context.js';
import { completionKeys, completionScript, withShell } from '../help/completion.js';
import { createLogger, type LogFormat } from '../logger.js';
import { runBox } from './run.js';

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

const vocabulary = {
  program: 'meeseeks-box',
  commands: boxCommands,
  options: ['--check', '--log-level', '--log-format', '--help', '--version'],
  keys: completionKeys(boxSchema),
};

/** Runs one command line of meeseeks-box. @returns the exit code; errors are on standard error in one line by then */
export async function main(args: readonly string[], context: Context): Promise<number> {
  let code: number = exitCodes.ok;
  try {
    await command(yargs([...args]), context, (result) =>
      result.then((value) => void (code = value)),
    ).parseAsync();
  } catch (error) {
    const isDebug = args.some(
      (arg, i) => arg === '--log-level=debug' || (arg === 'debug' && args[i - 1] === '--log-level'),
    );
    const message = error instanceof Error ? error.message : String(error);
    context.err(`meeseeks-box: ${isDebug && error instanceof Error ? (error.stack ?? message) : message}\n`);
    return error instanceof UserError ? error.exitCode : exitCodes.trouble;
  }
  return code;
}

function command(parser: Argv, context: Context, set: (result: Promise<number>) => Promise<void>): Argv {
  return parser
    .scriptName('meeseeks-box')
    .usage('Runs jobs that clients submit.\n\nmeeseeks-box [options] [key=value]... [config-file]...')
    .parserConfiguration({
      'parse-positional-numbers': false,
      'dot-notation': false,
      'boolean-negation': false,
      'camel-case-expansion': true,
    })
    .command(
      '$0 [arguments..]',
      'run the agent',
      (y) =>
        y
          .positional('arguments', {
            array: true,
            type: 'string',
            default: [] as string[],
            describe: 'key=value and configuration files',
          })
          .option('log-level', { choices: levels, describe: 'how much to log; default info' })
          .option('log-format', {
            choices: ['auto', 'pretty', 'json'] as const,
            default: 'auto' as const,
            describe: 'auto: pretty on a terminal, JSON elsewhere',
          })
          .option('check', {
            type: 'boolean',
            default: false,
            describe: 'check the configuration, show it, and exit',
          }),
      (argv) => set(start(argv, context)),
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
      throw error ?? new UserError(`${message ?? 'wrong usage'}; see meeseeks-box --help`);
    });
}

interface Arguments {
  readonly arguments: string[];
  readonly logLevel: (typeof levels)[number] | undefined;
  readonly logFormat: LogFormat;
  readonly check: boolean;
}

async function start(argv: Arguments, context: Context): Promise<number> {
  const source = sourceOf(argv.arguments.map(String), context);
  const config = load(source, context);
  if (argv.check) {
    context.out(`${JSON.stringify(config.shown, null, 2)}\n`);
    return exitCodes.ok;
  }
  const log = createLogger({
    name: 'meeseeks-box',
    write: context.err,
    level: argv.logLevel ?? config.logLevel ?? 'info',
    format: argv.logFormat,
    isTerminal: context.isTerminal,
  });
  return runBox({ source, config, version: packageVersion(), log, context });
}

function sourceOf(args: readonly string[], context: Context): BoxSource {
  const { files, overrides } = splitArguments(args);
  const fallback = (context.env['MEESEEKS_BOX_CONF'] ?? '').split(':').filter((file) => file !== '');
  return { files: files.length > 0 ? files : fallback, overrides };
}

function load(source: BoxSource, context: Context): BoxConfig {
  const { config, problems } = loadBox(source, context.cwd);
  for (const problem of problems) context.err(`${formatProblem(problem)}\n`);
  if (config === undefined) throw new UserError(`${countErrors(problems)}; nothing was started`);
  return config;
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
