import { pino, stdTimeFunctions, type Logger } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { printable } from '../lib/text.js';

export type LogFormat = 'pretty' | 'json' | 'auto';

export interface LoggerOptions {
  /** of the program; default meeseeks-watch */
  readonly name?: string;
  readonly level: string;
  readonly format: LogFormat;
  readonly isTerminal: boolean;
  readonly write: (text: string) => void;
}

/** Structured logs, one JSON object a line; pretty lines for a person at a terminal. */
export function createLogger({
  name = 'meeseeks-watch',
  level,
  format,
  isTerminal,
  write,
}: LoggerOptions): Logger {
  const isPretty = format === 'pretty' || (format === 'auto' && isTerminal);
  return pino(
    { level, base: { name, pid: process.pid }, timestamp: stdTimeFunctions.isoTime },
    { write: isPretty ? prettyWriter(level, isTerminal, write) : write },
  );
}

function prettyWriter(
  level: string,
  colorize: boolean,
  write: (text: string) => void,
): (line: string) => void {
  const pretty = prettyFactory({
    colorize,
    translateTime: 'SYS:HH:MM:ss',
    ignore: 'pid,hostname',
    // the message says it all, unless somebody debugs
    hideObject: level !== 'debug' && level !== 'trace',
    messageFormat: (log, messageKey) => {
      const watch = typeof log['watch'] === 'string' ? `${printable(log['watch'])}: ` : '';
      return `${watch}${String(log[messageKey])}`;
    },
  });
  return (line) => write(pretty(line));
}
