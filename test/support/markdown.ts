/** A fenced block of a page. */
export interface Block {
  readonly language: string;
  readonly text: string;
  /** 1 is the first line of the page */
  readonly line: number;
  /** what stands in `<!-- test: ... -->` before it */
  readonly mark: string | undefined;
}

/** The fenced blocks, each with the mark before it. @throws when one is not closed */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let mark: string | undefined;
  let open: { language: string; line: number; lines: string[] } | undefined;
  for (const [i, line] of markdown.split('\n').entries()) {
    const fence = /^\s*```(\S*)/.exec(line);
    if (open !== undefined && fence === null) open.lines.push(line);
    else if (open !== undefined) {
      blocks.push({ language: open.language, line: open.line, text: `${open.lines.join('\n')}\n`, mark });
      open = undefined;
      mark = undefined;
    } else if (fence !== null) open = { language: fence[1]!, line: i + 1, lines: [] };
    else if (line.trim() !== '') mark = /^<!-- test: (.+) -->$/.exec(line.trim())?.[1];
  }
  if (open !== undefined) throw new Error(`the block of line ${open.line} is not closed`);
  return blocks;
}
