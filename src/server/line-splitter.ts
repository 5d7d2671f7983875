const NEWLINE = 10;

/** Bytes into lines. What is held is at most `longest` bytes: a longer line is the end of the conversation. */
export class LineSplitter {
  private parts: Buffer[] = [];
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
    if (start < chunk.length) {
      // a copy: a view would keep the whole chunk in memory
      this.parts.push(start === 0 ? chunk : Buffer.from(chunk.subarray(start)));
      this.held += chunk.length - start;
    }
    return this.held > this.longest ? undefined : lines;
  }

  /** What is left when no more will come. */
  rest(): Buffer {
    return this.complete(Buffer.alloc(0));
  }

  private complete(last: Buffer): Buffer {
    if (this.held === 0) return last;
    const line = Buffer.concat([...this.parts, last]);
    this.parts = [];
    this.held = 0;
    return line;
  }
}
