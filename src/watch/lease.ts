/**
 * A lease on a directory that several machines share: files `._<watch>.lease.<epoch>`, of which the highest epoch
 * counts. Pure. Clocks of two machines are never compared: who stands by measures, by a clock of its own that is never
 * set, how long the owner's file has not changed; the owner measures how long ago it changed it.
 */

/** What the owner writes into its file. Of the same length at every renewal, which overwrites it in place. */
export interface LeaseOwner {
  /** of this tenure: no two are the same */
  readonly owner: string;
  /** host name, for people */
  readonly host: string;
  /** tells two machines apart */
  readonly host_id: string;
  readonly boot_id: string;
  readonly pid_namespace: string;
  readonly pid: number;
  /** clock ticks since boot */
  readonly birth: string;
  /** seconds */
  readonly ttl: number;
  /** counts the renewals */
  readonly renewals: number;
}

export interface LeaseFile {
  readonly epoch: number;
  readonly content: string;
}

/** What of a lease was seen when it last looked different. */
export interface Sight {
  /** undefined: there is none */
  readonly file: LeaseFile | undefined;
  /** ms, by the clock of the one who looks */
  readonly since: number;
  /** seconds; as the owner last said, which a torn file does not tell */
  readonly ttl: number;
}

const TRUSTED_PART = 3 / 4;
const LONGEST_TTL = 24 * 3600;
/** what the fields need with the longest host name (255) */
const CONTENT_LENGTH = 1024;

export const leasePrefix = (watch: string): string => `._${watch}.lease.`;

/** @returns the epoch; undefined when the name is not one of a lease of this watch */
export function parseLeaseName(watch: string, name: string): number | undefined {
  const prefix = leasePrefix(watch);
  if (!name.startsWith(prefix) || !/^[1-9]\d{0,14}$/.test(name.slice(prefix.length))) return undefined;
  return Number(name.slice(prefix.length));
}

/** What a lease file holds, and how its first bytes tell whose it is. */
export const leaseContent = (owner: LeaseOwner): string =>
  `${JSON.stringify(owner).padEnd(CONTENT_LENGTH - 1)}\n`;
export const isOf = (content: string, owner: string): boolean =>
  content.startsWith(`{"owner":${JSON.stringify(owner)},`);

/** @returns undefined for what is torn, or no lease */
export function readLease(content: string): LeaseOwner | undefined {
  try {
    const found = JSON.parse(content) as Partial<Record<keyof LeaseOwner, unknown>> | null;
    const isWhole = typeof found?.owner === 'string' && typeof found.ttl === 'number' && found.ttl > 0;
    return isWhole ? (found as unknown as LeaseOwner) : undefined;
  } catch {
    return undefined;
  }
}

/** What is known after one more look. @param now ms, after the look @param ttl seconds, of who looks */
export function sighted(
  before: Sight | undefined,
  file: LeaseFile | undefined,
  now: number,
  ttl: number,
): Sight {
  const isSame =
    before !== undefined && before.file?.epoch === file?.epoch && before.file?.content === file?.content;
  if (isSame) return before;
  const said = file === undefined ? undefined : readLease(file.content)?.ttl;
  const known = before?.file !== undefined && before.file.epoch === file?.epoch ? before.ttl : ttl;
  return { file, since: now, ttl: Math.min(Math.max(said ?? known, ttl), LONGEST_TTL) };
}

/** ms by the clock of the one who looks, from when on the lease may be taken; undefined: nobody has it. @param isDead the owner is known to be gone */
export const takeableAt = (
  { file, since, ttl }: Sight,
  isDead: (file: LeaseFile) => boolean,
): number | undefined => (file === undefined || isDead(file) ? undefined : since + ttl * 1000);

/**
 * How long an owner may act after it began to write its lease: shorter than anybody waits, so that clocks that do not
 * run alike and a pause between a look and an act do no harm. @returns ms @param ttl seconds
 */
export const trustedFor = (ttl: number): number => ttl * 1000 * TRUSTED_PART;

/**
 * Until when an owner may act after a renewal. One that took so long that the owner was not sure of its lease at its
 * end may have come after a take-over, and gives nothing. All in ms.
 */
export const renewedUntil = (trustedUntil: number, beganAt: number, endedAt: number, ttl: number): number =>
  endedAt < trustedUntil ? beganAt + trustedFor(ttl) : trustedUntil;

/** The owner in words. */
export function describeOwner(file: LeaseFile): string {
  const owner = readLease(file.content);
  return owner === undefined ? 'a watcher that cannot be made out' : `process ${owner.pid} on ${owner.host}`;
}
