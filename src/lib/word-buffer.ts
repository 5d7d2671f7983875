/** Bytes that can be read four at a time, too. Little-endian, as every processor that package.json admits. */
export interface WordBuffer {
  readonly bytes: Buffer;
  /** the same memory */
  readonly words: Uint32Array;
}

const WORD = 4;

/** Zeros. @param size bytes, rounded up to words; one word more can be read behind them */
export function wordBuffer(size: number): WordBuffer {
  const memory = new ArrayBuffer((Math.ceil(size / WORD) + 1) * WORD);
  return { bytes: Buffer.from(memory), words: new Uint32Array(memory) };
}

/** @param text a latin1 byte string */
export function toWordBuffer(text: string): WordBuffer {
  const buffer = wordBuffer(text.length);
  buffer.bytes.write(text, 'latin1');
  return buffer;
}
