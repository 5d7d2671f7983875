import { renderText } from '../help/page.js';
import { clientPage } from './client-page.js';
import { findCommand, type Command } from './command-table.js';
import { manual } from './help-texts.js';

/** The manual of one command. */
export const helpOf = (command: Command): string => `${manual[command.names[0]!] ?? command.summary}\n`;

/** The manual of a command by any of its names, else the page of the program. */
export function help(name: string | undefined): string {
  const command = name === undefined ? undefined : findCommand(name);
  return command === undefined ? renderText(clientPage) : helpOf(command);
}
