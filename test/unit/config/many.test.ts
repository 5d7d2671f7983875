import { expect, it } from 'vitest';
import { jobs, loadFiles } from './support.js';

it('ten thousand watches load in seconds', () => {
  const watch = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, n) => [`site_${n}`, { path: `/data/${n}` }]),
  );
  const started = performance.now();
  const { config } = loadFiles({
    'a.json': JSON.stringify({ apply: 't', template: { t: { glob: '*', jobs } }, watch }),
  });
  expect(config?.watches).toHaveLength(10_000);
  const seconds = (performance.now() - started) / 1000;
  expect(seconds).toBeLessThan(20);
});
