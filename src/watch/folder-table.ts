import { IdSet } from './id-set.js';
import type { FileStat } from './identity.js';
import type { Block } from './listing-blocks.js';
import { NameTable } from './name-table.js';
import type { Finished } from './observation.js';

export type How = Finished['how'];
export type Counts = Record<How, number>;

/** What stands under a name, as far as the observer is concerned. */
export const kind = {
  /** nothing that is data; perhaps there are records of it */
  none: 0,
  /** the listing under way has found it: not looked at yet */
  fresh: 1,
  /** a file with an object of its own */
  open: 2,
  /** the name belongs to no list */
  foreign: 3,
  /** files that need nothing more, without an object */
  done: 4,
  failed: 5,
  killed: 6,
  nothing: 7,
} as const;
export type Kind = (typeof kind)[keyof typeof kind];

const hows: readonly How[] = ['done', 'failed', 'killed', 'nothing'];

export const noneFolded = (): Counts => ({ done: 0, failed: 0, killed: 0, nothing: 0 });

const KIND = 7;
const SEEN = 8;
const BACKLOG = 16;
const HAS_STAT = 32;

/** Which of the two words kept with a name. */
const KNOWN = 0;
const LISTED = 1;

/** Values of a stat, and the time since when it has been so. */
const STAT_SIZE = 6;
const CHUNK_BITS = 6;
const CHUNK = 1 << CHUNK_BITS;

/**
 * What is known of a folder, by name: what stands there, and which records there are of it. A file that needs nothing
 * more takes about 90 bytes here, and nothing on the heap.
 *
 * Records are bits of a word (record-bits.ts). Names that cannot be told from their records (cut ones, many steps) have
 * an entry of their own, which begins with a dot: data never does.
 */
export class FolderTable {
  readonly names = new NameTable();
  readonly #stats: (BigInt64Array | undefined)[] = [];
  readonly #folded = noneFolded();
  /** names with records and without data */
  readonly #orphans = new Set<number>();
  /** whether a listing has come to its end: before, every record is one that was there all along */
  isListed = false;
  /** what the last listing has brought */
  blocks: ReadonlyMap<string, Block> = new Map();
  /** names of which something else was heard since that listing began, and ids that were given up */
  #touched = new IdSet();

  /** @param total files of all folders that need nothing more, to be kept up */
  constructor(private readonly total: Counts = noneFolded()) {}

  /** The folder is gone. */
  clear(): void {
    for (const how of hows) this.total[how] -= this.#folded[how];
    Object.assign(this.#folded, noneFolded());
  }

  kind(id: number): Kind {
    return (this.names.flags(id) & KIND) as Kind;
  }

  kindOf(name: string): Kind {
    const id = this.names.find(name);
    return id === 0 ? kind.none : this.kind(id);
  }

  setKind(id: number, to: Kind): void {
    const flags = this.names.flags(id);
    const before = flags & KIND;
    if ((before === kind.none) !== (to === kind.none)) this.#touched.add(id);
    if (before >= kind.done) this.#count(hows[before - kind.done]!, -1);
    if (to >= kind.done) this.#count(hows[to - kind.done]!, 1);
    this.names.setFlags(id, (flags & ~KIND) | to);
    this.#noteOrphan(id);
  }

  #count(how: How, by: number): void {
    this.#folded[how] += by;
    this.total[how] += by;
  }

  /** A name that nobody knows anything of is forgotten. */
  tidy(id: number): void {
    this.#noteOrphan(id);
    if (this.kind(id) !== kind.none || this.records(id) !== 0) return;
    this.#touched.add(id);
    this.names.delete(id);
  }

  /** Begins a listing. @returns the names that it has to look at, though their blocks are the same */
  takeTouched(): IdSet {
    const touched = this.#touched;
    this.#touched = new IdSet();
    return touched;
  }

  #noteOrphan(id: number): void {
    if (this.kind(id) === kind.none && this.records(id) !== 0) this.#orphans.add(id);
    else if (this.#orphans.size > 0) this.#orphans.delete(id);
  }

  /** Names of which there are records, but no data. */
  orphans(): number[] {
    return [...this.#orphans];
  }

  isFolded = (id: number): boolean => this.kind(id) >= kind.done;

  how = (id: number): How => hows[this.kind(id) - kind.done]!;

  fold(id: number, how: How, isBacklog: boolean): void {
    const flags = this.names.flags(id) & ~(BACKLOG | HAS_STAT);
    this.names.setFlags(id, isBacklog ? flags | BACKLOG : flags);
    this.setKind(id, (kind.done + hows.indexOf(how)) as Kind);
  }

  isBacklog = (id: number): boolean => (this.names.flags(id) & BACKLOG) !== 0;

  /** @param since ms since the epoch when it was first observed to be so */
  putStat(id: number, stat: FileStat, since: number): void {
    const chunk = (this.#stats[id >>> CHUNK_BITS] ??= new BigInt64Array(CHUNK * STAT_SIZE));
    const at = (id & (CHUNK - 1)) * STAT_SIZE;
    chunk[at] = stat.mtimeNs;
    chunk[at + 1] = stat.ctimeNs;
    chunk[at + 2] = stat.birthNs;
    chunk[at + 3] = BigInt(stat.size);
    chunk[at + 4] = stat.inode;
    chunk[at + 5] = BigInt(Math.round(since));
    this.names.setFlags(id, this.names.flags(id) | HAS_STAT);
  }

  /** The last look at a folded file; undefined when only its records were looked at. */
  stat(id: number): { readonly stat: FileStat; readonly since: number } | undefined {
    if ((this.names.flags(id) & HAS_STAT) === 0) return undefined;
    const chunk = this.#stats[id >>> CHUNK_BITS]!;
    const at = (id & (CHUNK - 1)) * STAT_SIZE;
    const stat: FileStat = {
      mtimeNs: chunk[at]!,
      ctimeNs: chunk[at + 1]!,
      birthNs: chunk[at + 2]!,
      size: Number(chunk[at + 3]),
      inode: BigInt.asUintN(64, chunk[at + 4]!),
    };
    return { stat, since: Number(chunk[at + 5]) };
  }

  /** The listing under way has come across it. @param what it is where nothing was known to be */
  see(id: number, what: (id: number) => Kind): void {
    const flags = this.names.flags(id) | SEEN;
    this.names.setFlags(id, (flags & KIND) === kind.none ? flags | what(id) : flags);
  }

  /** Whether the listing has come across it; asked once. */
  takeSeen(id: number): boolean {
    const flags = this.names.flags(id);
    this.names.setFlags(id, flags & ~SEEN);
    return (flags & SEEN) !== 0;
  }

  /** Bits of the records there are. */
  records = (id: number): number => this.names.extra(id, KNOWN);

  setRecords(id: number, bits: number): void {
    this.#touched.add(id);
    this.names.setExtra(id, KNOWN, bits);
    this.#noteOrphan(id);
  }

  /** The listing under way has come across these records. */
  list(id: number, bits: number): void {
    this.names.setExtra(id, LISTED, this.names.extra(id, LISTED) | bits);
  }

  /** The records are those of the listing. @returns bits of those before, where they differ */
  takeListed(id: number): number | undefined {
    const before = this.names.extra(id, KNOWN);
    const now = this.names.extra(id, LISTED);
    this.names.setExtra(id, LISTED, 0);
    if (before === now) return undefined;
    this.names.setExtra(id, KNOWN, now);
    return before;
  }
}
