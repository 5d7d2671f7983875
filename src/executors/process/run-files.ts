import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesToText, printable, textToBuffer } from '../../lib/text.js';
import type { Run, RunEnd } from '../executor.js';
import type { Identity } from './proc.js';

/** The exit code of the guardian's child when it could not start the program; `error` says why. */
const NOT_STARTED = 125;

/** What the guardian reads; see guardian.sh. */
export function encodeRequest(run: Run): Buffer {
  const variables = [...run.env].map(([name, value]) => `${name}=${value}`);
  const head = [run.stdin ?? '', run.stdout ?? '', run.stderr ?? '', run.cwd, String(variables.length)];
  return textToBuffer([...head, ...variables, ...run.args].map((field) => `${field}\0`).join(''));
}

const LONGEST_STRING = 128 * 1024;
const LONGEST_TOTAL = 2 * 1024 * 1024 - 64 * 1024;

/** The kernel's limits for one exec, with the default stack limit. @returns undefined when it fits */
export function tooLong(run: Run): string | undefined {
  let total = 0;
  for (const [name, value] of run.env) {
    const size = Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
    if (size > LONGEST_STRING) return `environment variable ${printable(name)} is too long: ${size} bytes`;
    total += size + 8;
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

/** What the guardian has written so far; undefined parts are missing or incomplete. */
export interface RunState {
  readonly claim:
    { readonly by: 'agent' } | { readonly by: 'guardian'; readonly who: Identity | undefined } | undefined;
  /** 'agent': taken by an agent, so that there never will be one */
  readonly leader: Identity | 'agent' | undefined;
  readonly end: RunEnd | undefined;
}

export function readRun(directory: string): RunState {
  return {
    claim: readClaim(directory),
    leader: isAgents(directory, 'pid') ? 'agent' : readLeader(directory),
    end: readEnd(directory),
  };
}

function readClaim(directory: string): RunState['claim'] {
  const text = read(directory, 'claim');
  if (text === undefined) return undefined;
  if (isAgents(directory, 'claim')) return { by: 'agent' };
  return { by: 'guardian', who: parseIdentity(text.replace(/^guardian /, '')) };
}

const isAgents = (directory: string, name: 'claim' | 'pid'): boolean =>
  read(directory, name)?.startsWith('agent') === true;

/** The job's process, whose number is its group and its session too. */
export function readLeader(directory: string): Identity | undefined {
  return parseIdentity(read(directory, 'pid') ?? '');
}

function parseIdentity(text: string): Identity | undefined {
  const [, pid, birth, boot] = /^(\d+) (\d+) (\S+)\n/.exec(text) ?? [];
  if (birth === undefined || boot === undefined) return undefined;
  return { pid: Number(pid), birth, boot };
}

/**
 * How the run ended. The last line tells status and time; a line of `jobs -l` before it tells an exit code above
 * 128 from death by a signal.
 */
export function readEnd(directory: string, announced?: string): RunEnd | undefined {
  const text = read(directory, 'exit') ?? '';
  const [, status, time] =
    /^exit (\d+) ([\d.]+)\n/m.exec(text) ?? /^exited (\d+) ([\d.]+)/.exec(announced ?? '') ?? [];
  if (status === undefined) return undefined;
  const code = Number(status);
  const at = Number(time);
  if (code === NOT_STARTED) {
    const error = readError(directory);
    if (error !== undefined) return { kind: 'start', error, at };
  }
  if (code <= 128 || /^\[\d+\]\S*\s+\d+ (Exit|Done)\b/m.test(text)) return { kind: 'exit', code, at };
  return { kind: 'signal', signal: code - 128, at };
}

/** First line: what failed; second: the shell's message, with its own name and line number before it. */
function readError(directory: string): string | undefined {
  const text = read(directory, 'error');
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
 * Claims a run for the agent, atomically with its content: `claim` before a guardian does, or `pid` before the
 * guardian's child does.
 * @returns false when somebody else has: a guardian, or an agent before this one
 */
export function claimForAgent(directory: string, name: 'claim' | 'pid'): boolean {
  const temporary = join(directory, `${name}.${process.pid}`);
  writeFileSync(temporary, `agent ${process.pid}\n`, { mode: 0o600 });
  try {
    linkSync(temporary, join(directory, name));
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    unlinkSync(temporary);
  }
}

function read(directory: string, name: string): string | undefined {
  try {
    return readFileSync(join(directory, name), 'latin1');
  } catch {
    return undefined;
  }
}
