import { randomBytes } from 'node:crypto';
import { wordBuffer, type WordBuffer } from '../lib/word-buffer.js';

/** 32-bit words an entry has: three of the table's own, the rest for whoever keeps something with a name. */
const STRIDE = 6;
const HASH = 0;
const NEXT = 1;
const PLACE = 2;
/** length in the upper half; the lower is free for use */
const META = 3;

/** Names of a block of the arena: 64 KiB in words. A place is `block * BLOCK + word`. */
const BLOCK_BITS = 14;
const BLOCK = 1 << BLOCK_BITS;
/** Ids begin at 1: in memory that was never written nobody is the next one. */
const NONE = 0;
/** the kernel gives no longer name, on any file system */
const LONGEST_NAME = 4096;

/** Nobody outside can make names that all fall into one chain. */
const seed = randomBytes(4).readUInt32LE();
/** As many names are looked for together: the processor fetches from memory for many at a time what it waits for one by one. */
const BATCH = 256;
const BATCH_WORDS = BATCH * 16;
/** the name at hand, as it came and four bytes a word */
const given = wordBuffer(LONGEST_NAME);
const single = new Uint32Array(LONGEST_NAME / 4);

/** Reads a name where it stands. */
export type NameReader<T> = (bytes: Buffer, from: number, to: number) => T;

const toLatin1: NameReader<string> = (bytes, from, to) => bytes.toString('latin1', from, to);

export interface NameBatch {
  /** Some bytes; `tag` is handed back with their id. */
  readonly add: Placed;
  readonly flush: () => void;
}

/** Called with a name, bytes of `source`, and something about it. */
export type Placed = (source: WordBuffer, from: number, to: number, tag: number) => void;

/**
 * Names (byte strings) as small integers, each name once and exactly, without an object for any: a million of 20 bytes
 * take 60 MB less than as strings in a Map, and nothing for the garbage collector to walk through. Numbers of names
 * that were deleted are given anew. Grows bucket by bucket (linear hashing): no insert takes long.
 */
export class NameTable {
  #words = new Uint32Array(STRIDE * 8);
  #buckets = new Uint32Array(8);
  #bucketCount = 8;
  /** how many there were when names of a batch were looked for */
  #foundIn = 8;
  #lowMask = 7;
  readonly #blocks: Uint32Array[] = [new Uint32Array(64)];
  /** the same memory, for `name` */
  readonly #bytes: Buffer[] = [Buffer.from(this.#blocks[0]!.buffer)];
  #used = 0;
  /** places of deleted names, by their length in words */
  readonly #freePlaces: number[][] = [];
  #freeIds = NONE;
  #limit = 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** All ids are below it. */
  get limit(): number {
    return this.#limit;
  }

  /** Makes room for so many, where nothing is yet. The kernel gives memory only for what is used of it. */
  reserve(names: number): void {
    if (this.#limit > 1) return;
    while (this.#bucketCount < names * 2) this.#bucketCount *= 2;
    this.#lowMask = this.#bucketCount - 1;
    this.#buckets = new Uint32Array(this.#bucketCount);
    this.#words = new Uint32Array(STRIDE * Math.max(names, 8));
  }

  /** The id of a name, from 1; 0 when it is not here. */
  find(name: string): number {
    return this.#search(packText(name), name.length, single, 0);
  }

  /** The id of a name, which is added when it is not here: its `extra` and `flags` are 0 then. */
  intern(name: string): number {
    const hash = packText(name);
    return this.#search(hash, name.length, single, 0) || this.#add(hash, name.length, single, 0);
  }

  /**
   * Names to be found or added together, which in a large table takes a quarter of the time.
   * @param done called with the id and tag of each, in their order, when the batch is full and at `flush`; deletes nothing
   */
  batch(done: (id: number, tag: number) => void): NameBatch {
    const packed = new Uint32Array(BATCH_WORDS + LONGEST_NAME / 4);
    const hashes = new Uint32Array(BATCH);
    const lengths = new Uint16Array(BATCH);
    const starts = new Uint32Array(BATCH);
    const tags = new Uint32Array(BATCH);
    const ids = new Uint32Array(BATCH);
    const heads = new Uint32Array(BATCH);
    let count = 0;
    let used = 0;
    const flush = (): void => {
      this.#findAll(packed, { hashes, lengths, starts, ids, heads }, count);
      for (let i = 0; i < count; i++) {
        ids[i] ||= this.#addFrom(hashes[i]!, lengths[i]!, packed, starts[i]!, heads[i]!);
        done(ids[i]!, tags[i]!);
      }
      count = used = 0;
    };
    return {
      flush,
      add(source, from, to, tag) {
        if (count === BATCH || used > BATCH_WORDS) flush();
        hashes[count] = pack(source.words, from, to - from, packed, used);
        lengths[count] = to - from;
        starts[count] = used;
        tags[count] = tag;
        used += (to - from + 3) >>> 2;
        count++;
      },
    };
  }

  /**
   * Adds a name that was not here when its bucket began with `head` and none was split; one of the same batch may have
   * been added since.
   */
  #addFrom(hash: number, length: number, packed: Uint32Array, start: number, head: number): number {
    const isSame = this.#bucketCount === this.#foundIn && this.#buckets[this.#bucketOf(hash)] === head;
    const id = isSame ? NONE : this.#search(hash, length, packed, start);
    return id === NONE ? this.#add(hash, length, packed, start) : id;
  }

  /** Fills in the ids of names that are here, NONE for the others. Step by step for all: see BATCH. */
  #findAll(
    packed: Uint32Array,
    {
      hashes,
      lengths,
      starts,
      ids,
      heads,
    }: Record<'hashes' | 'starts' | 'ids' | 'heads', Uint32Array> & { lengths: Uint16Array },
    count: number,
  ): void {
    const words = this.#words;
    const buckets = this.#buckets;
    this.#foundIn = this.#bucketCount;
    for (let i = 0; i < count; i++) heads[i] = buckets[this.#bucketOf(hashes[i]!)]!;
    for (let i = 0; i < count; i++) {
      const hash = hashes[i]!;
      let id = heads[i]!;
      while (id !== NONE && words[id * STRIDE + HASH] !== hash) id = words[id * STRIDE + NEXT]!;
      ids[i] = id;
    }
    for (let i = 0; i < count; i++) {
      const id = ids[i]!;
      if (id !== NONE && !this.#is(id, lengths[i]!, packed, starts[i]!)) ids[i] = NONE;
    }
  }

  /** Undefined behaviour for ids that were deleted. */
  name(id: number): string {
    return this.readName(id, toLatin1);
  }

  /** Has somebody read the bytes of a name, which are not his to keep. */
  readName<T>(id: number, reader: NameReader<T>): T {
    const length = this.#words[id * STRIDE + META]! >>> 16;
    const place = this.#words[id * STRIDE + PLACE]!;
    const at = (place & (BLOCK - 1)) * 4;
    return reader(this.#bytes[place >>> BLOCK_BITS]!, at, at + length);
  }

  /** Deletes a name; nothing where there is none. */
  delete(id: number): void {
    const words = this.#words;
    if (words[id * STRIDE + META]! >>> 16 === 0) return;
    const at = id * STRIDE;
    const bucket = this.#bucketOf(words[at + HASH]!);
    const next = words[at + NEXT]!;
    if (this.#buckets[bucket] === id) this.#buckets[bucket] = next;
    else {
      let before = this.#buckets[bucket]!;
      while (words[before * STRIDE + NEXT] !== id) before = words[before * STRIDE + NEXT]!;
      words[before * STRIDE + NEXT] = next;
    }
    const size = ((words[at + META]! >>> 16) + 3) >>> 2;
    (this.#freePlaces[size] ??= []).push(words[at + PLACE]!);
    words.fill(0, at, at + STRIDE);
    words[at + NEXT] = this.#freeIds;
    this.#freeIds = id;
    this.#size--;
  }

  /** 16 bits kept with a name; 0 for ids that are not in use. */
  flags(id: number): number {
    return this.#words[id * STRIDE + META]! & 0xffff;
  }

  setFlags(id: number, flags: number): void {
    const at = id * STRIDE + META;
    this.#words[at] = (this.#words[at]! & 0xffff0000) | flags;
  }

  /** 32 bits kept with a name; two of them. */
  extra(id: number, which: 0 | 1): number {
    return this.#words[id * STRIDE + META + 1 + which]!;
  }

  setExtra(id: number, which: 0 | 1, value: number): void {
    this.#words[id * STRIDE + META + 1 + which] = value;
  }

  /** The id of a name in words; NONE when it is not here. */
  #search(hash: number, length: number, packed: Uint32Array, start: number): number {
    const words = this.#words;
    for (let id = this.#buckets[this.#bucketOf(hash)]!; id !== NONE; id = words[id * STRIDE + NEXT]!)
      if (words[id * STRIDE + HASH] === hash && this.#is(id, length, packed, start)) return id;
    return NONE;
  }

  #is(id: number, length: number, packed: Uint32Array, start: number): boolean {
    const at = id * STRIDE;
    if (this.#words[at + META]! >>> 16 !== length) return false;
    const place = this.#words[at + PLACE]!;
    const block = this.#blocks[place >>> BLOCK_BITS]!;
    const from = place & (BLOCK - 1);
    const count = (length + 3) >>> 2;
    for (let i = 0; i < count; i++) if (block[from + i] !== packed[start + i]) return false;
    return true;
  }

  #add(hash: number, length: number, packed: Uint32Array, start: number): number {
    const id = this.#newId();
    const at = id * STRIDE;
    const count = (length + 3) >>> 2;
    const place = this.#newPlace(count);
    const block = this.#blocks[place >>> BLOCK_BITS]!;
    const to = place & (BLOCK - 1);
    for (let i = 0; i < count; i++) block[to + i] = packed[start + i]!;
    const bucket = this.#bucketOf(hash);
    this.#words[at + HASH] = hash;
    this.#words[at + NEXT] = this.#buckets[bucket]!;
    this.#words[at + PLACE] = place;
    this.#words[at + META] = length << 16;
    this.#buckets[bucket] = id;
    this.#size++;
    while (this.#size * 2 > this.#bucketCount) this.#split();
    return id;
  }

  #newId(): number {
    if (this.#freeIds !== NONE) {
      const id = this.#freeIds;
      this.#freeIds = this.#words[id * STRIDE + NEXT]!;
      this.#words.fill(0, id * STRIDE, (id + 1) * STRIDE);
      return id;
    }
    if ((this.#limit + 1) * STRIDE > this.#words.length) this.#words = larger(this.#words);
    return this.#limit++;
  }

  #newPlace(size: number): number {
    const free = this.#freePlaces[size]?.pop();
    if (free !== undefined) return free;
    const last = this.#blocks.length - 1;
    const block = this.#blocks[last]!;
    if (this.#used + size > block.length) {
      if (block.length < BLOCK) this.#setBlock(last, larger(block));
      else {
        this.#setBlock(last + 1, new Uint32Array(BLOCK));
        this.#used = 0;
      }
      return this.#newPlace(size);
    }
    const place = (this.#blocks.length - 1) * BLOCK + this.#used;
    this.#used += size;
    return place;
  }

  #setBlock(index: number, block: Uint32Array): void {
    this.#blocks[index] = block;
    this.#bytes[index] = Buffer.from(block.buffer);
  }

  #bucketOf(hash: number): number {
    const bucket = hash & (this.#lowMask * 2 + 1);
    return bucket < this.#bucketCount ? bucket : hash & this.#lowMask;
  }

  /** One more bucket, with its part of the names of another. */
  #split(): void {
    const fresh = this.#bucketCount;
    const source = fresh & this.#lowMask;
    if (fresh === this.#buckets.length) this.#buckets = larger(this.#buckets);
    const words = this.#words;
    const mask = this.#lowMask * 2 + 1;
    let stays = NONE;
    let goes = NONE;
    for (let id = this.#buckets[source]!; id !== NONE;) {
      const at = id * STRIDE;
      const next = words[at + NEXT]!;
      if ((words[at + HASH]! & mask) === fresh) {
        words[at + NEXT] = goes;
        goes = id;
      } else {
        words[at + NEXT] = stays;
        stays = id;
      }
      id = next;
    }
    this.#buckets[source] = stays;
    this.#buckets[fresh] = goes;
    this.#bucketCount++;
    if (this.#bucketCount > mask) this.#lowMask = mask;
  }
}

function larger(before: Uint32Array): Uint32Array<ArrayBuffer> {
  const after = new Uint32Array(before.length * 2);
  after.set(before);
  return after;
}

/** Puts a name into words that begin with it. @param from in bytes @returns its hash */
function pack(words: Uint32Array, from: number, length: number, packed: Uint32Array, start: number): number {
  if (length > LONGEST_NAME) throw new RangeError(`a name of ${length} bytes`);
  const shift = (from & 3) * 8;
  const end = start + (length >>> 2);
  let hash = seed ^ length;
  let at = from >>> 2;
  for (let word = start; word < end; word++, at++) {
    const four = wordAt(words, at, shift);
    packed[word] = four;
    hash = mix(hash, four);
  }
  if ((length & 3) > 0) {
    const rest = wordAt(words, at, shift) & ((1 << ((length & 3) * 8)) - 1);
    packed[end] = rest;
    hash = mix(hash, rest);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Four bytes from the middle of a word on. @param shift how many bits of it are before them */
const wordAt = (words: Uint32Array, at: number, shift: number): number =>
  shift === 0 ? words[at]! : (words[at]! >>> shift) | (words[at + 1]! << (32 - shift));

/** The same for a string, into `single`. */
function packText(name: string): number {
  given.bytes.write(name, 'latin1');
  return pack(given.words, 0, name.length, single, 0);
}

/** A round of MurmurHash3 (public domain, Austin Appleby). */
function mix(hash: number, word: number): number {
  const k = Math.imul(word, 0xcc9e2d51);
  const h = hash ^ Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}
