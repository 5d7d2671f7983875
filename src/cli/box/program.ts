import { readFileSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { loadBox, type BoxConfig, type BoxSource } from '../../config/box.js';
import { formatProblem, splitArguments } from '../../config/load.js';
import { UserError } from '../../lib/errors.js';
import { countErrors } from '../configuration.js';
import { exitCodes, type Context } from '../context.js';
import { createLogger, type LogFormat } from '../logger.js';
import { runBox } from './run.js';

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

const epilogue = `Configuration files are JSON (comments allowed) or YAML; they are merged left to right, then key=value:
  meeseeks-box node.cfg pools.q1.slots=4
  meeseeks-box listen.port=13700 pools.work.slots=2 state_dir=/var/lib/meeseeks/box

Clients send lines of JSON: echo '[{"pools": {}}]' | nc -N localhost 13700

Exit codes: 0 fine, 2 usage or configuration, 3 the machine refused (state directory, port, disk).
Signals: SIGTERM stops and leaves jobs running for the next start; Ctrl-C waits for them, a second
one kills them; SIGHUP reloads the configuration files.
Environment: MEESEEKS_BOX_CONF, configuration files when none are given (colon-separated).`;

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
    .epilogue(epilogue)
    .version(packageVersion())
    .alias('help', 'h')
    .strictOptions()
    .wrap(Math.min(context.columns, 100))
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
