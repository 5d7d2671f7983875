import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { hasCode } from '../../lib/errors.js';
import { withRegularFile } from '../../lib/regular-file.js';
import { bytesToText, printable, textToBytes } from '../../lib/text.js';
import { runFiles, streamFile, type Run, type RunEnd } from '../executor.js';
import type { ExitNote } from './journals.js';

/** The exit code of the guardian's child when it could not start the program; `error` says why. */
const NOT_STARTED = 125;
/** What the child says that found the name of its claim taken: by the rest of another agent's state, or of a forgotten job. */
const TAKEN = 'its output file is there already';

const END = '\x1e';
const ESCAPE = '\x1d';

/** What a guardian reads, see guardian.sh: the environment only when it is another than that of the run before. */
export interface Request {
  readonly environment: string;
  readonly run: string;
}

const DEFAULT_PATH = '/bin:/usr/bin';

/** What there is to know of an environment, once for all its runs. */
interface Prepared {
  readonly message: string;
  /** what the kernel counts of it, or why it is too long */
  readonly size: number | string;
}

const prepared = new WeakMap<ReadonlyMap<string, string>, Prepared>();

function prepare(env: ReadonlyMap<string, string>): Prepared {
  const known = prepared.get(env);
  if (known !== undefined) return known;
  const found = { message: environmentMessage(env), size: sizeOf(env) };
  prepared.set(env, found);
  return found;
}

function environmentMessage(env: ReadonlyMap<string, string>): string {
  const variables: string[] = [];
  const asArguments: string[] = [];
  let last = '';
  for (const [name, value] of env) {
    const variable = `${name}=${value}`;
    if (name === '_') last = variable;
    else (isForBash(name) ? asArguments : variables).push(variable);
  }
  const search = env.get('PATH') ?? DEFAULT_PATH;
  return message('env', asArguments.length, '', [last, search, ...asArguments, ...variables]);
}

/** @param run whose `env` is the same map as long as nothing in it changes */
export function encodeRequest(run: Run): Request {
  const own = Array.from(run.own ?? [], ([name, value]) => `${name}=${value}`);
  const files = [run.path, run.stdin ?? '', run.stdout ?? '', run.stderr ?? '', run.cwd];
  return {
    environment: prepare(run.env).message,
    run: message('run', own.length, basename(run.path), [...files, ...own, ...run.args]),
  };
}

/** As bytes, see lib/text.ts. */
function message(kind: string, count: number, name: string, fields: readonly string[]): string {
  const plain = `${fields.join(END)}${END}`;
  const isPlain = plain.split(END, fields.length + 2).length === fields.length + 1 && !plain.includes(ESCAPE);
  const payload = textToBytes(isPlain ? plain : fields.map((field) => `${escape(field)}${END}`).join(''));
  return `${kind} ${payload.length} ${isPlain ? 0 : 1} ${count} ${name}\n${payload}`;
}

const escape = (field: string): string =>
  field.replaceAll(ESCAPE, `${ESCAPE}1`).replaceAll(END, `${ESCAPE}2`);

/**
 * Variables that bash cannot have, or gives a meaning or a value of its own (bash(1), "Shell Variables"; LC_ALL brings
 * warnings). They reach the job as arguments of env(1), which others can see for a moment; none is a secret. That is one
 * program more: what many environments have (SHELL, PWD, LANG) and a shell that is not interactive leaves alone is not
 * among them.
 */
const BASH_VARIABLES = new RegExp(
  `^(${[
    'BASH.*|CHILD_MAX|COLUMNS|COMP.*|COPROC|DIRSTACK|EMACS|ENV|EPOCH.*|EUID|EXECIGNORE|FCEDIT|FIGNORE|FUNC(NAME|NEST)',
    'GLOBIGNORE|GLOBSORT|GROUPS|HIST.*|HOSTFILE|IFS|IGNOREEOF|INPUTRC|INSIDE_EMACS|LC_ALL|LINENO|LINES|MAILCHECK|MAILPATH',
    'MAPFILE|OPT(ARG|ERR|IND)|PIPESTATUS|POSIXLY_CORRECT|PPID|PROMPT_.*|PS[0-4]|RANDOM|READLINE.*|REPLY|SECONDS|SHELLOPTS',
    'SRANDOM|TIMEFORMAT|TMOUT|UID|auto_resume|histchars',
  ].join('|')})$`,
);

const MOST_REMEMBERED = 1000;
const forBash = new Map<string, boolean>();

/** Remembers: the same names come with every job. */
function isForBash(name: string): boolean {
  const known = forBash.get(name);
  if (known !== undefined) return known;
  const found = !/^[A-Za-z_]\w*$/.test(name) || BASH_VARIABLES.test(name);
  if (forBash.size >= MOST_REMEMBERED) forBash.clear();
  forBash.set(name, found);
  return found;
}

const LONGEST_STRING = 128 * 1024;
const LONGEST_TOTAL = 2 * 1024 * 1024 - 64 * 1024;

const NONE: ReadonlyMap<string, string> = new Map();

function sizeOf(env: ReadonlyMap<string, string>): number | string {
  let total = 0;
  for (const [name, value] of env) {
    const size = Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
    if (size > LONGEST_STRING) return `environment variable ${printable(name)} is too long: ${size} bytes`;
    total += size + 8;
  }
  return total;
}

/** The kernel's limits for one exec, with the default stack limit. @returns undefined when it fits */
export function tooLong(run: Run): string | undefined {
  let total = 0;
  for (const size of [prepare(run.env).size, sizeOf(run.own ?? NONE)]) {
    if (typeof size === 'string') return size;
    total += size;
  }
  for (const [i, arg] of run.args.entries()) {
    const size = Buffer.byteLength(arg) + 1;
    if (size > LONGEST_STRING)
      return `argument ${i} is too long: ${size} bytes, the limit is ${LONGEST_STRING}`;
    total += size + 8;
  }
  return total > LONGEST_TOTAL
    ? `argument list too long: ${total} bytes with the environment, the limit is ${LONGEST_TOTAL}`
    : undefined;
}

/**
 * How a run ended, by the note of its guardian. `code` or a line of `jobs -l` in it tells an exit code above 128 from
 * death by a signal.
 */
export function endOf(path: string, { status, at, told }: ExitNote): RunEnd {
  if (status === NOT_STARTED) {
    const error = readError(path) ?? (isClaimed(path) ? undefined : 'cannot write to the spool');
    if (error === TAKEN) {
      tryToRemove(path);
      return { kind: 'never' };
    }
    if (error !== undefined) return { kind: 'start', error, at };
  }
  if (status <= 128 || /^(code$|\[\d+\]\S*\s+\d+ (Exit|Done)\b)/.test(told))
    return { kind: 'exit', code: status, at };
  return { kind: 'signal', signal: status - 128, at };
}

/** What a guardian tells with `started PID TIME`: the process, and when it was told to begin. */
export function startOf(announced: string): [pid: number, at: number | undefined] {
  const [pid = NaN, at = NaN] = announced.split(' ').map(Number);
  return [pid, at >= 0 ? at : undefined];
}

/** The end that a guardian tells with `exited STATUS TIME`, where that says all: most of them. */
export function plainEnd(announced: string): RunEnd | undefined {
  const [status = NaN, at = NaN] = announced.split(' ').map(Number);
  return status <= 128 && status !== NOT_STARTED && at >= 0 ? { kind: 'exit', code: status, at } : undefined;
}

/** First line: what failed; second: the shell's message, with its own name and line number before it. */
function readError(path: string): string | undefined {
  // a job can write here, too: what it made of a file must not hold up the agent
  const text = withRegularFile(`${path}.error`, (fd) => readFileSync(fd, 'latin1'));
  if (text === undefined) return undefined;
  const [what = '', shell = ''] = bytesToText(text).split(/\n(?=\S*: line \d+: )/);
  const detail = shell.replace(/^\S*: line \d+: (cd: )?/, '').trim();
  return oneLine(detail ? `${what}: ${detail}` : what.trim());
}

const oneLine = (text: string): string =>
  Array.from(text, (c) => (c < ' ' || (c >= '\udc80' && c <= '\udcff') ? printable(c).slice(1, -1) : c)).join(
    '',
  );

/**
 * Claims a run for the agent: takes the name of the file that the guardian's child must make before it becomes the job.
 * @returns false when somebody else has
 */
export function claimForAgent(path: string): boolean {
  try {
    mkdirSync(streamFile(path, 'stdout'), { mode: 0o700 });
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Whether an agent has claimed the run: then it never began. */
export const isAgents = (path: string): boolean =>
  lstatSync(streamFile(path, 'stdout'), { throwIfNoEntry: false })?.isDirectory() === true;

const isClaimed = (path: string): boolean => existsSync(streamFile(path, 'stdout'));

/** Removes all files of a run, as far as that can be done: its name comes no second time. */
function tryToRemove(path: string): void {
  try {
    for (const file of runFiles(path)) rmSync(file, { recursive: true, force: true });
  } catch {
    // it only takes room
  }
}
