import { exitCodes } from '../cli/context.js';

/** A reader that went away (`| head`, a log pipe) ends the output, not the program. */
export function surviveClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
}

/**
 * The last resort for a mistake of ours: one line and a stop, so that a supervisor starts the program anew from its
 * durable state. Jobs are not its children and go on.
 */
export function reportCrashes(name: string): void {
  const crash = (error: unknown): void => {
    const text = error instanceof Error ? error.message : String(error);
    const stack = process.argv.includes('debug') && error instanceof Error ? `\n${error.stack ?? ''}` : '';
    process.stderr.write(`${name}: stopped by an internal error, please report it: ${text}${stack}\n`);
    // eslint-disable-next-line no-process-exit -- this is bin, and the state of the program is unknown
    process.exit(exitCodes.trouble);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
}
