import type { ClientContext } from '../../../src/cli/client/context.js';
import { clientMain } from '../../../src/cli/client/program.js';
import { systemClock } from '../../../src/lib/clock.js';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command line in this process. */
export async function client(
  args: readonly string[],
  options: {
    readonly env?: NodeJS.ProcessEnv;
    readonly program?: string;
    readonly columns?: number;
    readonly rows?: number;
    readonly onOut?: (text: string) => void;
    readonly cwd?: string;
    readonly terminal?: boolean;
    readonly onSignal?: (listener: () => void) => void;
  } = {},
): Promise<Ran> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  const context: ClientContext = {
    cwd: options.cwd ?? '/somewhere',
    env: options.env ?? {},
    clock: systemClock,
    out: (text) => {
      out.push(Buffer.from(text));
      options.onOut?.(text);
    },
    err: (text) => void err.push(Buffer.from(text)),
    outBytes: (bytes) => void out.push(Buffer.from(bytes)),
    errBytes: (bytes) => void err.push(Buffer.from(bytes)),
    isTerminal: false,
    outIsTerminal: options.terminal ?? false,
    columns: options.columns ?? 80,
    rows: () => options.rows ?? 24,
    onSignal: (_, listener) => {
      options.onSignal?.(listener);
      return () => undefined;
    },
  };
  const code = await clientMain(args, options.program ?? 'meeseeks-client', context);
  return { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
}
