import { readFileSync } from 'node:fs';
import type { Client } from '../../client/api.js';
import { connect } from '../../client/client.js';
import { ClientError } from '../../client/errors.js';
import { UserError } from '../../lib/errors.js';
import { clientExit, type ClientContext } from './context.js';
import { parseInvocation, type Invocation } from './invocation.js';
import { clientSettings } from './settings.js';

/**
 * Runs one command line of meeseeks-client. @returns the exit code; errors are told in one line by then
 * @param program the name it was called by, for the q-names
 */
export async function clientMain(
  args: readonly string[],
  program: string,
  context: ClientContext,
): Promise<number> {
  try {
    const invocation = parseInvocation(args, program);
    if (invocation.flags.has('version')) return print(`${packageVersion()}\n`, context);
    if (invocation.flags.has('help')) return await printHelp(invocation, context);
    if (invocation.command !== undefined) return await run(invocation, context);
    context.err('meeseeks-client: which command? For example: meeseeks-client stat; all of them: --help\n');
    return clientExit.usage;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    context.err(`meeseeks-client: ${message.trimEnd().replace(/\s*\n\s*/g, ' ')}\n`);
    return exitCodeFor(error);
  }
}

async function run(
  { options, command, name, words, flags }: Invocation,
  context: ClientContext,
): Promise<number> {
  const settings = await clientSettings(options, context.env['MEESEEKS_CONF'], context.cwd);
  let connection: Promise<Client> | undefined;
  const onStatus = (_: unknown, message: string): void => context.err(`meeseeks-client: ${message}\n`);
  try {
    return await command!.run({
      name,
      words,
      flags,
      json: flags.has('json'),
      refresh: settings.refresh,
      context,
      connect: () => (connection ??= connect({ ...settings, onStatus })),
    });
  } finally {
    await connection?.then(
      (client) => client.close(),
      () => undefined,
    );
  }
}

async function printHelp({ command, words }: Invocation, context: ClientContext): Promise<number> {
  const { help, helpOf } = await import('./help.js');
  return print(command === undefined ? help(words[0]) : helpOf(command), context);
}

function exitCodeFor(error: unknown): number {
  if (error instanceof UserError) return error.exitCode;
  if (!(error instanceof ClientError)) return clientExit.trouble;
  if (error.code === 'options') return clientExit.usage;
  return error.code === 'request' ? clientExit.refused : clientExit.trouble;
}

function print(text: string, context: ClientContext): number {
  context.out(text);
  return clientExit.ok;
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
