import { commands, findCommand, type Command } from './command-table.js';
import { manual, overviewEnd } from './help-texts.js';

/** The overview. */
export function overview(): string {
  const rows = commands.map(({ names, summary }) => `  ${names.join('|').padEnd(10)} ${summary}`);
  return [
    'Submits jobs to a meeseeks agent, and shows, changes, follows and kills them.',
    '',
    '  meeseeks-client [key=value...] <command> [args...]',
    '',
    'Commands (more with: meeseeks-client <command> --help):',
    ...rows,
    '',
    overviewEnd,
    '',
  ].join('\n');
}

/** The manual of one command. */
export const helpOf = (command: Command): string => `${manual[command.names[0]!] ?? command.summary}\n`;

/** The manual of a command by any of its names, else the overview. */
export function help(name: string | undefined): string {
  const command = name === undefined ? undefined : findCommand(name);
  return command === undefined ? overview() : helpOf(command);
}
