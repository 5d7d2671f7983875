const WORD_BITS = 5;

/** A set of small integers, a bit each. */
export class IdSet {
  #words = new Uint32Array(0);
  #isEmpty = true;

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  add(id: number): void {
    const word = id >>> WORD_BITS;
    if (word >= this.#words.length) this.#grow(word + 1);
    this.#words[word]! |= 1 << id;
    this.#isEmpty = false;
  }

  /** Adds all from 1 on that are smaller. */
  addBelow(limit: number): void {
    if (limit <= 1) return;
    const last = (limit - 1) >>> WORD_BITS;
    if (last >= this.#words.length) this.#grow(last + 1);
    this.#words.fill(0xffffffff, 1, last);
    for (let id = Math.max(last << WORD_BITS, 1); id < limit; id++) this.add(id);
    if (last > 0) this.#words[0]! |= 0xfffffffe;
    this.#isEmpty = false;
  }

  has(id: number): boolean {
    const word = id >>> WORD_BITS;
    return word < this.#words.length && (this.#words[word]! & (1 << id)) !== 0;
  }

  /** The least member from a number on; 0 when there is none. Members begin at 1 for those who ask. */
  next(from: number): number {
    const words = this.#words;
    let word = from >>> WORD_BITS;
    if (word >= words.length) return 0;
    let rest = words[word]! & (-1 << from);
    while (rest === 0) {
      if (++word === words.length) return 0;
      rest = words[word]!;
    }
    return (word << WORD_BITS) + 31 - Math.clz32(rest & -rest);
  }

  #grow(words: number): void {
    const grown = new Uint32Array(Math.max(words, this.#words.length * 2));
    grown.set(this.#words);
    this.#words = grown;
  }
}
