/** A manual page: what `--help` prints and what `man` shows come from the same one. */
export interface Page {
  readonly name: string;
  readonly summary: string;
  readonly synopsis: readonly string[];
  readonly sections: readonly Section[];
}

export interface Section {
  readonly title: string;
  readonly paragraphs?: readonly string[];
  readonly entries?: readonly Entry[];
  readonly examples?: readonly Example[];
  /** lines as they are */
  readonly verbatim?: string;
}

/** A term and what it means. */
export type Entry = readonly [term: string, meaning: string];
/** What it does, and the command. */
export type Example = readonly [text: string, command: string];

const MARGIN = '  ';
/** Terms up to this width have their meaning beside them. */
const LONGEST_TERM = 20;

/** The page for a terminal; no line is longer than `columns`. */
export function renderText({ name, summary, synopsis, sections }: Page, columns = 80): string {
  const width = Math.min(columns, 80) - MARGIN.length;
  const indented = (lines: readonly string[]): string[] =>
    lines.map((line) => (line === '' ? '' : `${MARGIN}${line}`));
  const parts = [
    ['NAME', ...indented(wrap(`${name} - ${summary}`, width))],
    ['SYNOPSIS', ...indented(synopsis)],
    ...sections.map((section) => [section.title, ...indented(sectionLines(section, width))]),
  ];
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function sectionLines(
  { paragraphs = [], entries = [], examples = [], verbatim }: Section,
  width: number,
): string[] {
  const blocks = [
    ...paragraphs.map((text) => wrap(text, width)),
    ...(entries.length > 0 ? [entryLines(entries, width)] : []),
    ...examples.map(([text, command]) => [
      ...wrap(text, width),
      ...command.split('\n').map((line) => `  ${line}`),
    ]),
    ...(verbatim === undefined ? [] : [verbatim.trimEnd().split('\n')]),
  ];
  return blocks.flatMap((block, i) => (i === 0 ? block : ['', ...block]));
}

function entryLines(entries: readonly Entry[], width: number): string[] {
  const fitting = entries.map(([term]) => term.length).filter((length) => length <= LONGEST_TERM);
  const column = Math.max(...fitting, 4) + 2;
  return entries.flatMap(([term, meaning]) => {
    const lines = wrap(meaning, width - column).map((line) => ' '.repeat(column) + line);
    if (term.length > LONGEST_TERM) return [term, ...lines];
    return [term.padEnd(column) + (lines[0] ?? '').slice(column), ...lines.slice(1)];
  });
}

/** Words in lines of at most `width`; a longer word has a line of its own. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** The page for man(1). @param seeAlso names of the other pages */
export function renderRoff({ name, summary, synopsis, sections }: Page, version: string): string {
  const lines = [
    `.TH ${name.toUpperCase()} 1 "" "meeseeks ${version}" "User Commands"`,
    '.SH NAME',
    `${roff(name)} \\- ${roff(summary)}`,
    '.SH SYNOPSIS',
    ...synopsis.flatMap((line) => [roff(line), '.br']),
    ...sections.flatMap(roffSection),
  ];
  return `${lines.join('\n')}\n`;
}

function roffSection({ title, paragraphs = [], entries = [], examples = [], verbatim }: Section): string[] {
  return [
    `.SH ${roff(title)}`,
    ...paragraphs.flatMap((text) => ['.PP', roff(text)]),
    ...entries.flatMap(([term, meaning]) => ['.TP', `.B ${roff(term)}`, roff(meaning)]),
    ...examples.flatMap(([text, command]) => ['.PP', roff(text), ...roffVerbatim(command)]),
    ...(verbatim === undefined ? [] : roffVerbatim(verbatim)),
  ];
}

const roffVerbatim = (text: string): string[] => [
  '.PP',
  '.RS 4',
  '.nf',
  ...text.trimEnd().split('\n').map(roff),
  '.fi',
  '.RE',
];

/** Nothing in the text is markup, and all of it is ASCII. */
const roff = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^(?=[.'])/gm, '\\&')
    .replaceAll(
      /[^\n -~]/gu,
      (one) => `\\[u${one.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}]`,
    );
