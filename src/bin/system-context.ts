import type { Context } from '../cli/context.js';
import { systemClock } from '../lib/clock.js';

/** The outside world as it is. */
export const systemContext = (): Context => ({
  cwd: process.cwd(),
  env: process.env,
  clock: systemClock,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  isTerminal: process.stderr.isTTY,
  columns: process.stdout.columns ?? process.stderr.columns ?? 80,
  onSignal: (signal, listener) => {
    process.on(signal, listener);
    return () => void process.off(signal, listener);
  },
});
