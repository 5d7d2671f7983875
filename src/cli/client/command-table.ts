import { statCommand } from './commands/stat.js';
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

/** Commands are loaded when they are called, but the one that is called most: loading is most of what a short one takes. */
export const commands: readonly Command[] = [
  {
    names: ['sub', 'submit'],
    summary: 'submit a job, print it',
    runsProgram: true,
    run: async (call) => (await import('./commands/submit.js')).submitCommand(call),
  },
  {
    names: ['job', 'get'],
    summary: 'print jobs',
    run: async (call) => (await import('./commands/jobs.js')).getCommand(call),
  },
  {
    names: ['ls'],
    summary: 'list job ids',
    flags: { '--plain': 'plain', '-1': 'plain' },
    run: async (call) => (await import('./commands/jobs.js')).listCommand(call),
  },
  {
    names: ['del', 'kill'],
    summary: 'kill jobs',
    run: async (call) => (await import('./commands/jobs.js')).killCommand(call),
  },
  {
    names: ['mod', 'set'],
    summary: 'change jobs, or start finished ones again',
    run: async (call) => (await import('./commands/jobs.js')).modifyCommand(call),
  },
  {
    names: ['stat', 'show'],
    summary: 'status of nodes, pools and jobs',
    flags: { '--all': 'all', '-a': 'all' },
    run: statCommand,
  },
  {
    names: ['nodes'],
    summary: 'full status of all nodes',
    run: async (call) => (await import('./commands/cluster.js')).nodesCommand(call),
  },
  {
    names: ['pools'],
    summary: 'free slots of all pools',
    run: async (call) => (await import('./commands/cluster.js')).poolsCommand(call),
  },
  {
    names: ['conf'],
    summary: 'print or change an agent’s configuration',
    run: async (call) => (await import('./commands/conf.js')).configCommand(call),
  },
  {
    names: ['wait'],
    summary: 'wait for jobs, exit as they did',
    run: async (call) => (await import('./commands/wait.js')).waitCommand(call),
  },
  {
    names: ['logs'],
    summary: 'print what a job wrote',
    flags: { '--follow': 'follow', '-f': 'follow' },
    run: async (call) => (await import('./commands/logs.js')).logsCommand(call),
  },
  {
    names: ['events'],
    summary: 'print every change of jobs as it happens',
    run: async (call) => (await import('./commands/events.js')).eventsCommand(call),
  },
  {
    names: ['top'],
    summary: 'a live table of the status',
    flags: { '--all': 'all', '-a': 'all' },
    run: async (call) => (await import('./commands/top.js')).topCommand(call),
  },
  {
    names: ['completion'],
    summary: 'print a completion script for bash or zsh',
    run: async (call) => (await import('./commands/completion.js')).completionCommand(call, commandNames),
  },
];

export const commandNames: readonly string[] = commands.flatMap((command) => command.names);
export const findCommand = (name: string): Command | undefined =>
  commands.find((command) => command.names.includes(name));
