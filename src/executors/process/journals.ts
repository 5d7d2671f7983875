import { randomUUID } from 'node:crypto';
import { readFileSync, readdirSync, renameSync, rmSync, rmdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '../../lib/make-directory.js';
import { withRegularFile } from '../../lib/regular-file.js';
import { parseStat } from './proc.js';
import type { Identity } from './proc.js';

/**
 * The status as a shell gives it, seconds since the epoch, and what else was told of it: `code` or `signal`, or what the
 * shell's job table still said of the job.
 */
export interface ExitNote {
  readonly status: number;
  readonly at: number;
  readonly told: string;
}

/** What a guardian has noted of a run. */
export interface RunNotes {
  readonly guardian: Identity | undefined;
  /** the job's process, whose number is its group and its session too */
  readonly leader: Identity | undefined;
  /** when that was about to become the program, seconds since the epoch */
  readonly begun: number | undefined;
  readonly exit: ExitNote | undefined;
  /** its child found that it may not start any more */
  readonly never: boolean;
}

export interface Journal {
  readonly guardian: Identity | undefined;
  /** by the name of the run, which is the last part of its path */
  readonly runs: ReadonlyMap<string, RunNotes>;
}

/** Pure. What is not a whole line is not yet, or never was, written. */
export function parseJournal(text: string): Journal {
  const runs = new Map<string, RunNotes>();
  let guardian: Identity | undefined;
  let told = '';
  const note = (name: string, more: Partial<RunNotes>): void => {
    const before = runs.get(name) ?? { guardian, ...NOTHING };
    runs.set(name, { ...before, ...more });
  };
  for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
    const [word, name = '', first = '', second = '', third = told] = line.split(' ');
    if (word === 'guardian') guardian = { pid: Number(name), birth: first, boot: second };
    else if (word === 'pid') note(name, startOf(line.slice(5 + name.length), guardian?.boot));
    else if (word === 'exit')
      note(name, { exit: { status: Number(first), at: Number(second), told: third } });
    else if (word === 'never') note(name, { never: true });
    told = line.startsWith('[') ? line : '';
  }
  return { guardian, runs };
}

const NOTHING = { leader: undefined, begun: undefined, exit: undefined, never: false };

/** The child wrote what /proc says of it, all of which is whole numbers, and the time. */
function startOf(text: string, boot = ''): Pick<RunNotes, 'leader' | 'begun'> {
  const { pid, birth } = parseStat(text) ?? {};
  const time = / (\d+\.\d+)$/.exec(text)?.[1];
  return {
    leader: pid === undefined || birth === undefined ? undefined : { pid, birth, boot },
    begun: time === undefined ? undefined : Number(time),
  };
}

const NONE: Journal = { guardian: undefined, runs: new Map() };

/** What the names end with of journals whose guardians start nothing any more. */
const REVOKED = '.old';

/**
 * The journals of the guardians: one file each, in a directory for each agent process. Guardians and their children append to
 * them; they are read by an agent that was told nothing, mostly the one after the one that started the guardian.
 */
export class Journals {
  private readonly seen = new Map<string, { readonly stamp: string; readonly journal: Journal }>();
  /** of guardians of other agents, alive or not */
  private readonly inherited: readonly string[];
  private readonly own = randomUUID();
  private created = 0;

  /**
   * From now on no guardian of an agent before this one starts anything.
   * @throws the system error when the directory cannot be used
   */
  constructor(private readonly directory: string) {
    makeDirectory(directory, 0o700);
    for (const name of readdirSync(directory))
      if (!name.endsWith(REVOKED)) this.revoke(join(directory, name));
    this.inherited = readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .map((name) => join(directory, name))
      .filter((path) => statSync(path).isFile());
    makeDirectory(join(directory, this.own), 0o700);
  }

  /** Where a new guardian has its journal. */
  create(): string {
    return join(this.directory, this.own, String(++this.created));
  }

  /** Before a run is claimed: its guardian, or the child of a dead one, finds its journal no more. @returns its new name */
  revoke(path: string): string {
    renameSync(path, `${path}${REVOKED}`);
    return `${path}${REVOKED}`;
  }

  read(path: string): Journal {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (!stat) return NONE;
    const stamp = `${stat.size} ${stat.mtimeNs}`;
    const known = this.seen.get(path);
    if (known?.stamp === stamp) return known.journal;
    const text = withRegularFile(path, (fd) => readFileSync(fd, 'latin1')) ?? '';
    const journal = parseJournal(text);
    this.seen.set(path, { stamp, journal });
    return journal;
  }

  /** The inherited journal in which a guardian has noted a run. */
  holder(name: string): string | undefined {
    return this.inherited.find((path) => this.read(path).runs.has(name));
  }

  /** Forgets all runs. Only while the guardian is idle. */
  trim(path: string): void {
    try {
      truncateSync(path, readFileSync(path, 'latin1').indexOf('\n') + 1);
    } catch {
      // it is only longer than need be
    }
  }

  remove(path: string): void {
    this.seen.delete(path);
    rmSync(path, { force: true });
  }

  /** Removes the inherited ones that `isNeeded` does not hold back. */
  sweep(isNeeded: (journal: Journal) => boolean): void {
    for (const path of this.inherited) if (!isNeeded(this.read(path))) this.remove(path);
    for (const name of readdirSync(this.directory)) this.removeEmpty(join(this.directory, name));
  }

  private removeEmpty(path: string): void {
    try {
      if (path.endsWith(REVOKED)) rmdirSync(path);
    } catch {
      // it is not
    }
  }
}
