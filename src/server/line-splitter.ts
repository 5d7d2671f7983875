const NEWLINE = 10;
const SMALLEST = 1024;
const NOTHING = Buffer.alloc(0);

/** Bytes into lines. What is held is at most `longest` bytes: a longer line is the end of the conversation. */
export class LineSplitter {
  /** the line that has no end yet: one buffer, so that a byte at a time costs no more than the whole at once */
  private buffer: Buffer = NOTHING;
  private held = 0;

  constructor(private readonly longest: number) {}

  /** Bytes of a line whose end has not come yet. */
  get pending(): number {
    return this.held;
  }

  /** @returns the lines that are complete now, without their ends; undefined when one is too long */
  push(chunk: Buffer): Buffer[] | undefined {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      if (this.held + end - start > this.longest) return undefined;
      lines.push(this.complete(chunk.subarray(start, end)));
      start = end + 1;
    }
    if (this.held + chunk.length - start > this.longest) return undefined;
    if (start < chunk.length) this.hold(chunk.subarray(start));
    return lines;
  }

  /** What is left when no more will come. */
  rest(): Buffer {
    return this.complete(NOTHING);
  }

  private complete(last: Buffer): Buffer {
    if (this.held === 0) return last;
    this.hold(last);
    const line = this.buffer.subarray(0, this.held);
    this.buffer = NOTHING;
    this.held = 0;
    return line;
  }

  private hold(bytes: Buffer): void {
    const needed = this.held + bytes.length;
    if (needed > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2, SMALLEST));
      this.buffer.copy(larger, 0, 0, this.held);
      this.buffer = larger;
    }
    bytes.copy(this.buffer, this.held);
    this.held = needed;
  }
}
