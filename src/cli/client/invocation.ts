import { suggest } from '../../config/nearest.js';
import { UserError } from '../../lib/errors.js';
import { commandNames, findCommand, type Command } from './command-table.js';
import { isAssignment } from './job-words.js';

/** A command line taken apart; nothing is looked up yet. */
export interface Invocation {
  /** key=value before the command */
  readonly options: readonly string[];
  /** undefined: none was given */
  readonly command: Command | undefined;
  readonly name: string;
  readonly words: readonly string[];
  readonly flags: ReadonlySet<string>;
}

const qNames: Readonly<Record<string, string>> = {
  qsub: 'sub',
  qstat: 'stat',
  qjob: 'job',
  qdel: 'del',
  qmod: 'mod',
  qconf: 'conf',
};
const common: Readonly<Record<string, string>> = {
  '--json': 'json',
  '--help': 'help',
  '-h': 'help',
  '--version': 'version',
};

/** @param program name the program was called by: a q-name is a command. @throws UserError */
export function parseInvocation(args: readonly string[], program: string): Invocation {
  const called = qNames[program];
  const [options, flags, rest] = called === undefined ? leading(args) : [[], [], [called, ...args]];
  const [name, ...after] = rest;
  if (name === undefined) return { options, command: undefined, name: '', words: [], flags: new Set(flags) };
  if (name === 'help')
    return { options, command: undefined, name: '', words: after, flags: new Set(['help']) };
  const command = findCommand(name);
  if (command === undefined)
    throw new UserError(`there is no command ${name}; ${suggest(name, commandNames) ?? ''}`);
  const parsed = commandWords(after, command);
  return { options, command, name, words: parsed.words, flags: new Set([...flags, ...parsed.flags]) };
}

function leading(args: readonly string[]): [options: string[], flags: string[], rest: string[]] {
  const end = args.findIndex((arg) => !isOption(arg) && !arg.startsWith('-'));
  const before = end < 0 ? args : args.slice(0, end);
  const flags = before.filter((arg) => !isOption(arg)).map((arg) => flagOf(arg, common));
  return [before.filter(isOption), flags, end < 0 ? [] : args.slice(end)];
}

const isOption = (arg: string): boolean => isAssignment(arg);

function commandWords(args: readonly string[], command: Command): { words: string[]; flags: string[] } {
  const words: string[] = [];
  const flags: string[] = [];
  const known = { ...common, ...command.flags };
  for (const [i, arg] of args.entries()) {
    const isFlag = arg.startsWith('-') && arg !== '-' && arg !== '--';
    if (arg === '--') return { words: [...words, ...args.slice(i + 1)], flags };
    if (isFlag) flags.push(flagOf(arg, known));
    else words.push(arg);
    if (!isFlag && command.runsProgram === true && !isAssignment(arg))
      return { words: [...words, ...args.slice(i + 1)], flags };
  }
  return { words, flags };
}

function flagOf(arg: string, known: Readonly<Record<string, string>>): string {
  const flag = Object.hasOwn(known, arg) ? known[arg] : undefined;
  if (flag !== undefined) return flag;
  throw new UserError(`${arg}: no such option here; ${suggest(arg, Object.keys(known)) ?? 'see --help'}`);
}
