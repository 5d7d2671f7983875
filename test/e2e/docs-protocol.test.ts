import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { handlers } from '../../src/server/requests/index.js';
import { Box } from '../support/box.js';
import { blocksOf } from '../support/markdown.js';
import { wireProblems } from '../support/wire-blocks.js';

/** docs/protocol.md against a real agent: `<!-- test: wire VERSION[, after JOB] -->` before an exchange. */
const page = readFileSync(fileURLToPath(new URL('../../docs/protocol.md', import.meta.url)), 'utf8');
let box: Box;
beforeAll(async () => {
  box = await Box.start({ config: { name: 'node1', pools: { q1: { slots: 2 }, slow: { slots: 1 } } } });
});
afterAll(() => box.remove());

async function check(markdown: string): Promise<string[]> {
  const problems: string[] = [];
  for (const { mark = '', text, line } of blocksOf(markdown)) {
    const wire = /^wire ([12])(?:, after (\S+))?$/.exec(mark);
    if (wire === null) continue;
    if (wire[2] !== undefined) await box.finished(wire[2]);
    const found = await wireProblems(text, box.port, wire[1] === '2');
    problems.push(...found.map((problem) => `line ${line}: ${problem}`));
  }
  return problems;
}

it('every exchange is as the page says', async () => {
  expect(await check(page)).toEqual([]);
});

it('an exchange that is not so is found', async () => {
  const planted = (exchange: string): string => `<!-- test: wire 1 -->\n\`\`\`text\n${exchange}\n\`\`\`\n`;
  for (const answer of ['{"ls": "x"}', '{"ls": ["j1"], "more": 1}', '{}', '{"ls": []}'])
    expect(await check(planted(`> [{"ls": {"tag": "demo"}}]\n< [${answer}]`))).toHaveLength(1);
  expect(
    await check(planted('> [{"job": "j1"}]\n< [{"job": {"state": "done", "...": "..."}}]')),
  ).toHaveLength(1);
  expect(await check(planted('> [{"job": "j1"}]\n< [{"job": {"state": "failed"}}]'))).toHaveLength(1);
  expect(await check(planted('> [{"job": "j1"}]\n< [{"job": {"state": "failed", "...": "..."}}]'))).toEqual(
    [],
  );
});

it('every request has its place, and is shown', () => {
  const shown = new Set(
    [...page.matchAll(/^> (.*)$/gm)].flatMap(([, line]) =>
      [...line!.matchAll(/\{"([a-z]+)":/g)].map((match) => match[1]!),
    ),
  );
  expect([...handlers.keys()].filter((name) => !shown.has(name))).toEqual([]);
});
