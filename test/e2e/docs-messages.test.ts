import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** The messages of the troubleshooting tables are those of the programs: a reworded one must be reworded there, too. */
const root = fileURLToPath(new URL('../..', import.meta.url));
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(ts|sh)$/.test(name))
  .map((name) => readFileSync(join(root, 'src', name), 'utf8'))
  .join('\n');

/** Of the kernel, of Node, or made of two parts by us. */
const foreign = new Set([
  'Read-only file system',
  'database or disk is full',
  'Operation not permitted',
  'Hostname/IP does not match',
  'killed by SIGKILL',
]);

/** What stands in the first column, in pieces between what differs each time. */
function fragments(markdown: string): string[] {
  const table = /^## Troubleshooting$[^]*/m.exec(markdown)?.[0] ?? '';
  return [...table.matchAll(/^\| (.*?) \| /gm)]
    .flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!))
    .filter((message) => message.includes(' '))
    .flatMap((message) => message.split(/\.\.\.|…|\bprocess N\b|[()%]|[:;] /))
    .map((piece) => piece.replace(/^[\s;,/]+/, '').trim())
    .filter((piece) => piece.length > 3 && !foreign.has(piece));
}

const unknown = (markdown: string): string[] =>
  fragments(markdown).filter((piece) => !sources.includes(piece));

it.each(['docs/agent.md', 'docs/operations.md'])('%s tells messages that there are', (page) => {
  const markdown = readFileSync(join(root, page), 'utf8');
  expect(fragments(markdown).length).toBeGreaterThan(10);
  expect(unknown(markdown)).toEqual([]);
});

it('a message that nobody writes is found', () => {
  expect(
    unknown('## Troubleshooting\n\n| message | what |\n| --- | --- |\n| `cannot frobnicate ...` | no |\n'),
  ).toEqual(['cannot frobnicate']);
});

it('docs/agent.md has every variable that jobs are given', () => {
  const given = new Set(sources.match(/'MEESEEKS_(?!\w*CONF)[A-Z_]+'/g)!.map((name) => name.slice(1, -1)));
  expect(given.size).toBeGreaterThan(4);
  const page = readFileSync(join(root, 'docs/agent.md'), 'utf8');
  expect([...given].filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});
