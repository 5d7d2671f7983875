// Curves as SVG, without a library: few points, two lines.
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [480, 280, 62, 16, 40, 44];
const COLOURS = ['#1f6feb', '#8b949e'];
const escape = (text) => text.replace(/[&<>]/g, (one) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[one]);
const short = (value) =>
  new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 2 }).format(value);

/** Powers of ten between which all values lie, at least one apart. */
function decades(values) {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive)));
  return [low, Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive))))];
}

const steps = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));

/** @returns where a value is between 0 and 1, and the values to label; logarithmic when they differ much */
function scaleOf(values, log = Math.max(...values) > 20 * Math.min(...values.filter((value) => value > 0))) {
  if (log) {
    const [low, high] = decades(values);
    const at = (value) => (value <= 0 ? 0 : (Math.log10(value) - low) / (high - low));
    return { at, ticks: steps(low, high) };
  }
  const highest = Math.max(...values, Number.MIN_VALUE) * 1.1;
  const step = 10 ** Math.floor(Math.log10(highest));
  const unit = [0.2, 0.5, 1, 2].map((part) => part * step).find((part) => highest / part <= 6) ?? step;
  const count = Math.floor(highest / unit);
  return {
    at: (value) => value / highest,
    ticks: Array.from({ length: count + 1 }, (_, i) => i * unit),
  };
}

/**
 * @param plot `title`, `over` (what the sizes count), `unit`, and `lines`: { name, points: [size, value][] }, ours first
 * @returns SVG text
 */
export function plot({ title, over, unit, lines }) {
  const points = lines.flatMap((one) => one.points);
  const sizes = [...new Set(points.map(([size]) => size))];
  // none is a decade less than the least that there are
  const least = Math.min(...sizes.filter((size) => size > 0));
  const x = scaleOf(
    sizes.map((size) => size || least / 10),
    true,
  );
  const y = scaleOf(points.map(([, value]) => value));
  const px = (size) => LEFT + x.at(size || least / 10) * (WIDTH - LEFT - RIGHT);
  const py = (value) => HEIGHT - BOTTOM - y.at(value) * (HEIGHT - TOP - BOTTOM);
  const text = (at, up, words, more = '') =>
    `<text x="${at.toFixed(1)}" y="${up.toFixed(1)}" ${more}>${escape(words)}</text>`;
  const grid = y.ticks.map(
    (tick) =>
      `<path class="grid" d="M${LEFT} ${py(tick).toFixed(1)}H${WIDTH - RIGHT}"/>${text(LEFT - 6, py(tick) + 4, short(tick), 'text-anchor="end"')}`,
  );
  const marks = sizes.map((size) =>
    text(px(size), HEIGHT - BOTTOM + 16, short(size), 'text-anchor="middle"'),
  );
  const curves = lines.map(({ points: all }, i) => {
    const d = all.map(
      ([size, value], j) => `${j === 0 ? 'M' : 'L'}${px(size).toFixed(1)} ${py(value).toFixed(1)}`,
    );
    const dots = all.map(
      ([size, value]) =>
        `<circle cx="${px(size).toFixed(1)}" cy="${py(value).toFixed(1)}" r="3" fill="${COLOURS[i]}"/>`,
    );
    return `<path d="${d.join('')}" fill="none" stroke="${COLOURS[i]}" stroke-width="2"/>${dots.join('')}`;
  });
  const legend = lines.map(({ name }, i) => {
    const at = LEFT + i * 170;
    return `<path d="M${at} 31h16" stroke="${COLOURS[i]}" stroke-width="2"/>${text(at + 21, 35, name)}`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escape(title)}">
<style>text{font:12px system-ui,sans-serif;fill:#57606a}.title{font-weight:600;fill:#24292f}.grid{stroke:#d0d7de;stroke-width:1}</style>
<rect width="${WIDTH}" height="${HEIGHT}" rx="6" fill="#fff"/>
${text(LEFT, 17, `${title} (${unit})`, 'class="title"')}
${legend.join('\n')}
${grid.join('\n')}
${marks.join('\n')}
${text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, over, 'text-anchor="middle"')}
${curves.join('\n')}
</svg>
`;
}
