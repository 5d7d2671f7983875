import { createHash } from 'node:crypto';

/** What the file system says of a file; times are nanoseconds since the epoch. */
export interface FileStat {
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** 0 where the file system keeps no birth time */
  readonly birthNs: bigint;
  readonly size: number;
  readonly inode: bigint;
}

/** What a file was when it was selected, as it stands in a marker. Numbers as decimal strings where they may exceed 2^53. */
export interface Identity {
  readonly mtime_ns: string;
  readonly size: number;
  readonly inode: string;
  readonly birth_ns: string;
  /** digest over the members of a fileset, so that a changed member makes another identity */
  readonly members?: string;
}

export const milliseconds = (ns: bigint): number => Number(ns / 1000n) / 1000;

/** @param members stats of all files of the set, in a stable order, for filesets */
export function identityOf(stat: FileStat, members?: readonly FileStat[]): Identity {
  const identity = {
    mtime_ns: String(stat.mtimeNs),
    size: stat.size,
    inode: String(stat.inode),
    birth_ns: String(stat.birthNs),
  };
  return members === undefined ? identity : { ...identity, members: membersDigest(members) };
}

function membersDigest(members: readonly FileStat[]): string {
  return digest(...members.map((m) => `${m.mtimeNs}:${m.size}`)).slice(0, 16);
}

/**
 * Whether a name now stands for another file than the one of `before`: both the inode (or birth time) and the
 * content (mtime or size) differ. One of them alone is no proof: an edit in place keeps the inode, and a restored
 * backup or a mount with unstable inode numbers keeps mtime and size.
 */
export function isOtherFile(before: Identity, now: Identity): boolean {
  const object = before.inode !== now.inode || before.birth_ns !== now.birth_ns;
  const content = before.mtime_ns !== now.mtime_ns || before.size !== now.size;
  return object && content;
}

/** Whether an `updated` watch must process the file again. */
export const isUpdated = (before: Identity, now: Identity): boolean =>
  before.mtime_ns !== now.mtime_ns ||
  (before.members !== undefined && now.members !== undefined && before.members !== now.members);

export const identityKey = (i: Identity): string =>
  `${i.mtime_ns}:${i.size}:${i.inode}:${i.birth_ns}:${i.members ?? ''}`;

/** sha256 over the parts, hex; parts cannot run into each other. */
export function digest(...parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:${part},`);
  return hash.digest('hex');
}

/** One try of an identity. `generation` counts the resets by a person; it keeps job ids apart when attempts restart at 1. */
export interface Attempt {
  readonly watch: string;
  readonly step: number;
  readonly path: string;
  readonly identity: Identity;
  readonly attempt: number;
  readonly generation: number;
}

/** The key that makes a submission idempotent (contract, "Exactly once"): a function of identity and attempt. */
export function submissionKey(a: Attempt): string {
  return digest(
    a.watch,
    String(a.step),
    a.path,
    identityKey(a.identity),
    String(a.attempt),
    String(a.generation),
  ).slice(0, 32);
}

/** The job id of an attempt: readable first, unique by its tail. */
export function jobId(a: Attempt): string {
  const readable = `${a.watch}_${a.step}_${a.path}`.replace(/[^\w.+-]/gu, '-').slice(0, 80);
  return `${readable}.${submissionKey(a).slice(0, 16)}`;
}

/** mtime as the Python original wrote it: str(st_mtime), a shortest-repr float of seconds. */
export function pythonMtime(mtimeNs: bigint | string): string {
  const ns = BigInt(mtimeNs);
  const seconds = Number(ns / 1_000_000_000n) + 1e-9 * Number(ns % 1_000_000_000n);
  return Number.isInteger(seconds) ? `${seconds}.0` : String(seconds);
}
