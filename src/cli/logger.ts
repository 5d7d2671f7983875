import { pino, destination, type Logger } from 'pino';
import pretty from 'pino-pretty';
import { printable } from '../lib/text.js';

export type LogFormat = 'pretty' | 'json' | 'auto';

/** Structured logs on standard error; pretty lines for a person at a terminal. */
export function createLogger(options: { level: string; format: LogFormat; isTerminal: boolean }): Logger {
  const isPretty = options.format === 'pretty' || (options.format === 'auto' && options.isTerminal);
  const stream = isPretty
    ? pretty({
        destination: 2,
        sync: true,
        colorize: options.isTerminal,
        translateTime: 'SYS:HH:MM:ss',
        ignore: options.level === 'debug' || options.level === 'trace' ? 'pid,hostname' : ignoredFields,
        messageFormat: (log, messageKey) => {
          const watch = typeof log['watch'] === 'string' ? `${printable(log['watch'])}: ` : '';
          return `${watch}${String(log[messageKey])}`;
        },
      })
    : destination({ dest: 2, sync: true });
  return pino(
    {
      level: options.level,
      base: { name: 'meeseeks-watch', pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    stream,
  );
}

const ignoredFields = 'pid,hostname,name,watch,file,step,attempt,job,rc,reason,path,folder,error,jobs';
