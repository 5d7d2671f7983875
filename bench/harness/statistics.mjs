/** @param p 0 to 100 */
export function percentile(values, p) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((p / 100) * sorted.length))];
}

export const median = (values) => percentile(values, 50);

/**
 * Runs every one of `tasks` once a round, in turn first and last, so that what else the machine does meets all alike.
 * @param tasks name to a function `(round) => number`, may be async
 * @returns name to the numbers of all rounds
 */
export async function interleave(rounds, tasks) {
  const names = Object.keys(tasks);
  const found = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed())
      found[name].push(await tasks[name](round));
  }
  return found;
}

/** Seconds that a task takes. */
export async function seconds(task) {
  const begin = performance.now();
  await task();
  return (performance.now() - begin) / 1000;
}
