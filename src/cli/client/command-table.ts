import { completionCommand } from './commands/completion.js';
import { configCommand, nodesCommand, poolsCommand } from './commands/cluster.js';
import { eventsCommand } from './commands/events.js';
import { getCommand, killCommand, listCommand, modifyCommand } from './commands/jobs.js';
import { logsCommand } from './commands/logs.js';
import { statCommand } from './commands/stat.js';
import { submitCommand } from './commands/submit.js';
import { topCommand } from './commands/top.js';
import { waitCommand } from './commands/wait.js';
import type { Call } from './context.js';

export interface Command {
  /** the first one is what help calls it */
  readonly names: readonly string[];
  readonly summary: string;
  /** flags by what may be typed */
  readonly flags?: Readonly<Record<string, string>>;
  /** words after the first one that sets nothing belong to a program, not to us */
  readonly runsProgram?: boolean;
  readonly run: (call: Call) => Promise<number>;
}

export const commands: readonly Command[] = [
  {
    names: ['sub', 'submit'],
    summary: 'submit a job, print it',
    runsProgram: true,
    run: submitCommand,
  },
  { names: ['job', 'get'], summary: 'print jobs', run: getCommand },
  { names: ['ls'], summary: 'list job ids', flags: { '--plain': 'plain', '-1': 'plain' }, run: listCommand },
  { names: ['del', 'kill'], summary: 'kill jobs', run: killCommand },
  { names: ['mod', 'set'], summary: 'change jobs, or start finished ones again', run: modifyCommand },
  {
    names: ['stat', 'show'],
    summary: 'status of nodes, pools and jobs',
    flags: { '--all': 'all', '-a': 'all' },
    run: statCommand,
  },
  { names: ['nodes'], summary: 'full status of all nodes', run: nodesCommand },
  { names: ['pools'], summary: 'free slots of all pools', run: poolsCommand },
  { names: ['conf'], summary: 'print or change an agent’s configuration', run: configCommand },
  { names: ['wait'], summary: 'wait for jobs, exit as they did', run: waitCommand },
  {
    names: ['logs'],
    summary: 'print what a job wrote',
    flags: { '--follow': 'follow', '-f': 'follow' },
    run: logsCommand,
  },
  { names: ['events'], summary: 'print every change of jobs as it happens', run: eventsCommand },
  {
    names: ['top'],
    summary: 'a live table of the status',
    flags: { '--all': 'all', '-a': 'all' },
    run: topCommand,
  },
  {
    names: ['completion'],
    summary: 'print a completion script for bash or zsh',
    run: (call) => completionCommand(call, commandNames),
  },
];

export const commandNames: readonly string[] = commands.flatMap((command) => command.names);
export const findCommand = (name: string): Command | undefined =>
  commands.find((command) => command.names.includes(name));
