// Rows of figures, printed as they come.
import { median } from './statistics.mjs';

const widths = [10, 54, 15, 34, 9, 10, 3];
const line = (cells) =>
  cells
    .map((cell, i) => String(cell).padEnd(widths[i]))
    .join('  ')
    .trimEnd();

/** Three digits that count. */
export const short = (value) => {
  const digits = 2 - Math.floor(Math.log10(Math.abs(value) || 1));
  return value.toLocaleString('en', { maximumFractionDigits: Math.max(0, Math.min(digits, 6)) });
};

export class Report {
  #isBegun = false;

  #print(text) {
    if (!this.#isBegun) {
      this.#isBegun = true;
      console.log(
        line(['benchmark', 'what', 'measured', 'reference in the same run', 'ratio', 'to reach', 'ok']),
      );
      console.log('-'.repeat(widths.reduce((sum, width) => sum + width + 2, 0)));
    }
    console.log(text);
  }

  /**
   * One figure; medians are taken here.
   * @param row `benchmark`, `load` of the machine, `what`, `unit`, `values` (of the rounds); `plot` (the name of a curve) and `size`, the place of
   *   this figure on it; `reference` ({ name, values, unit }); `most` or `least`: the figure to reach, of the ratio when there is a
   *   reference unless `of` is 'value'; `note`
   * @returns the row with its verdict, for the JSON
   */
  add({ benchmark, load, what, unit, values, plot, size, reference, most, least, of = 'ratio', note }) {
    const value = median(values);
    const beside = reference && { ...reference, value: median(reference.values) };
    const ratio = beside?.value ? value / beside.value : undefined;
    const judged = of === 'ratio' && ratio !== undefined ? ratio : value;
    const limit = most ?? least;
    const ok = limit === undefined ? undefined : most === undefined ? judged >= limit : judged <= limit;
    const sign = most === undefined ? '≥' : '≤';
    const mark = of === 'ratio' && reference !== undefined ? ' ×' : '';
    const figure = limit === undefined ? undefined : `${sign} ${limit.toLocaleString('en')}${mark}`;
    const measured = { benchmark, load, what, unit, value, values, plot, size };
    const row = { ...measured, reference: beside, ratio, figure, ok, note };
    this.#print(rowText(row));
    if (note !== undefined) this.#print(`${' '.repeat(widths[0] + 2)}(${note})`);
    return row;
  }

  skip(benchmark, what, why) {
    this.#print(line([benchmark, what, `skipped: ${why}`]));
    return { benchmark, what, skipped: why };
  }
}

function rowText({ benchmark, what, value, unit, reference, ratio, figure, ok }) {
  const beside = reference && `${reference.name} ${short(reference.value)}${reference.unit ?? ` ${unit}`}`;
  const verdict = ok === undefined ? '' : ok ? 'yes' : 'NO';
  const share = ratio === undefined ? '' : `${short(ratio)} ×`;
  return line([benchmark, what, `${short(value)} ${unit}`, beside ?? '', share, figure ?? '', verdict]);
}
