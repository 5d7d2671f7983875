const NEWLINE = 10;

/**
 * Puts lines together from chunks of a stream. Keeps at most `limit` bytes of an unfinished line.
 * @returns a function to feed; it is false when a line is over the limit
 */
export function lineReader(limit: number, onLine: (line: string) => void): (chunk: Buffer) => boolean {
  let parts: Buffer[] = [];
  let held = 0;
  return (chunk) => {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const piece = chunk.subarray(start, end);
      if (held + piece.length > limit) return false;
      onLine(held === 0 ? piece.toString('utf8') : Buffer.concat([...parts, piece]).toString('utf8'));
      [parts, held, start] = [[], 0, end + 1];
    }
    const rest = chunk.subarray(start);
    if (rest.length > 0) parts.push(rest);
    held += rest.length;
    return held <= limit;
  };
}
