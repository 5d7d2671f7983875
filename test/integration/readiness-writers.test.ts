import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/service.js';
import { Field } from '../support/writers/field.js';
import { options, outcome, table, writers } from '../support/writers/matrix.js';

/**
 * Real programs that write as programs in the field do, against each kind of evidence that a file is ready. What is
 * expected is the table in docs/readiness.md (test/support/writers/matrix.ts).
 */
describe('a writer against a readiness option', () => {
  const field = new Field();
  const cells = writers.flatMap((writer) => options.map((option) => ({ writer, option })));
  const seenWhole = ({ writer, option }: (typeof cells)[number]): boolean =>
    field.why(writer, option) !== undefined ||
    outcome(writer, option) !== 'whole' ||
    field.views(writer, option).some((view) => view.last);

  beforeAll(async () => {
    await field.start();
    await field.write();
    // what is missing then fails by name
    await until(() => cells.every(seenWhole), 'whole files run').catch(() => undefined);
  }, 300_000);
  afterAll(() => field.scene.dispose());

  it.for(
    cells.map(
      (cell) => [cell.writer.name, cell.option.name, outcome(cell.writer, cell.option), cell] as const,
    ),
  )('%s, %s: %s', ([, , expected, { writer, option }], { skip }) => {
    const why = field.why(writer, option);
    if (why !== undefined) skip(why);
    const views = field.views(writer, option).map(({ whole }) => (whole ? 'whole' : 'early'));
    if (expected === 'whole') {
      expect(views, field.tail()).toContain('whole');
      expect(views).not.toContain('early');
    } else if (expected === 'early') {
      // an option that has come to catch this writer: say so in the matrix
      expect(views).toContain('early');
    }
  });
});

it('the table in docs/readiness.md is what is tested (MEESEEKS_UPDATE_DOCS=1 writes it)', () => {
  const file = new URL('../../docs/readiness.md', import.meta.url);
  const page = readFileSync(file, 'utf8');
  const wanted = page.replace(/(?<=<!-- matrix -->\n)[^]*?(?=<!-- end of matrix -->)/, () => `${table()}\n`);
  expect(wanted).toContain(table());

  if (process.env['MEESEEKS_UPDATE_DOCS'] === '1') writeFileSync(file, wanted);
  else expect(page).toBe(wanted);
});
