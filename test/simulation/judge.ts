import type { Run } from './reference-agent.js';
import type { Life, World } from './world.js';

/**
 * What must be true of a world that has come to rest, told from the runs, the markers and what was done to the files
 * alone. Written against the contract, not against the planner.
 * @returns what is not, in words
 */
export function violations(world: World): string[] {
  return [
    ...overlaps(world),
    ...successes(world),
    ...attempts(world),
    ...unfinished(world),
    ...early(world),
    ...markers(world),
    ...inFlight(world),
  ];
}

const name = (run: Run): string => `step ${run.step} of ${run.file} (mtime ${run.mtime})`;

/** No two attempts of a file's step at a time. */
function overlaps({ agent }: World): string[] {
  return pairs(agent.runs)
    .filter(([a, b]) => a.file === b.file && a.start < (b.end ?? Infinity) && b.start < (a.end ?? Infinity))
    .map(([a, b]) => `overlap: ${name(a)} from ${a.start} and ${name(b)} from ${b.start}`);
}

/** One success an identity; where changes do not count, one a file. Sets are tried without `updated`. */
function successes(world: World): string[] {
  const { agent, watch } = world;
  const done = agent.runs.filter((run) => run.succeeded === true);
  return pairs(done)
    .filter(([a, b]) => a.file === b.file && a.step === b.step)
    .filter(([a, b]) => {
      const same = world.life(a.file, a.mtime) === world.life(b.file, b.mtime);
      return watch.updated && a.step === 0 ? a.mtime === b.mtime : same;
    })
    .map(([a, b]) => `ran to success twice: ${name(a)}, at ${a.start} and at ${b.start}`);
}

/** Never more than the retries allow; what a power cut ended does not count as a failure of the job. */
function attempts(world: World): string[] {
  const { agent, watch } = world;
  const found: string[] = [];
  for (const run of agent.runs) {
    const life = world.life(run.file, run.mtime);
    if (life === undefined) found.push(`ran on what never was: ${name(run)}`);
    const failed = agent.runs.filter(
      (other) =>
        other.file === run.file &&
        other.step === run.step &&
        other.mtime === run.mtime &&
        other.succeeded === false,
    );
    if (failed.length > watch.retries + 1) found.push(`${failed.length} failures: ${name(run)}`);
  }
  return [...new Set(found)];
}

/** Every file that is there has had its steps, in sequence, or has failed for good. */
function unfinished(world: World): string[] {
  const { watch, agent } = world;
  const order = standing(world).sort((a, b) => (a.name < b.name ? 1 : -1));
  if (watch.reverse) order.reverse();
  return order.flatMap((life, index) => {
    if (watch.maxIndex !== undefined && index > watch.maxIndex) return [];
    if (partsOf(world, life).some(({ name }) => !isSigned(world, name))) return [];
    const last = Math.min(index, watch.steps.length - 1);
    const problems: string[] = [];
    for (let step = 0; step <= last; step++) {
      const runs = agent.runs.filter((run) => run.step === step && isOf(world, run, life));
      const wanted =
        watch.updated && step === 0 ? runs.filter((run) => run.mtime === life.mtimes.at(-1)) : runs;
      if (wanted.some((run) => run.succeeded === true)) continue;
      if (wanted.length > 0 && failedForGood(world, wanted)) break;
      problems.push(`never done: step ${step} of ${life.name}, index ${index}; ${wanted.length} runs`);
      break;
    }
    return problems;
  });
}

/** What gets jobs: every file, or the first of each complete set. */
function standing(world: World): Life[] {
  if (world.watch.fileset === undefined) return world.present();
  return world
    .present()
    .filter(({ name }) => isFirst(name) && world.present().some((other) => other.name === partnerOf(name)));
}

/** A set is `a.x` and `a.y`; the first of them stands for it. */
const isFirst = (name: string): boolean => name.endsWith('.x');
const partnerOf = (name: string): string => `${name.slice(0, -1)}${isFirst(name) ? 'y' : 'x'}`;

const partsOf = (world: World, life: Life): Life[] =>
  world.watch.fileset === undefined
    ? [life]
    : world.present().filter(({ name }) => name === life.name || name === partnerOf(life.name));

const isSigned = ({ watch, signs }: World, name: string): boolean =>
  watch.ready.sentinel === undefined || signs.some((sign) => sign.name === name && sign.until === undefined);

/** Nothing runs before it was quiet for as long as asked for, had its sentinel, and was a whole set, at some moment. */
function early(world: World): string[] {
  const { watch, agent, signs, lives } = world;
  // what a jump of the clock does to ages is not promised
  const quiet = world.clockWasSet ? 0 : Math.max(watch.minAge, watch.ready.stable ?? 0) * 1000;
  return agent.runs.flatMap((run) => {
    const life = world.life(run.file, run.mtime);
    if (life === undefined) return [];
    const since = life.changedAt[life.mtimes.indexOf(run.mtime)]!;
    const was = ({ from, until }: { readonly from: number; readonly until: number | undefined }): boolean =>
      from <= run.start && (until ?? Infinity) >= since;
    const problems: string[] = [];
    if (run.start - since < quiet - 1) problems.push(`early: ${name(run)}, after ${run.start - since} ms`);
    if (watch.ready.sentinel !== undefined && !signs.some((sign) => sign.name === run.file && was(sign)))
      problems.push(`early: ${name(run)}, no sentinel`);
    const partners = lives.filter((other) => other.name === partnerOf(run.file));
    if (
      watch.fileset !== undefined &&
      !partners.some(({ changedAt, endedAt }) => was({ from: changedAt[0]!, until: endedAt }))
    )
      problems.push(`early: ${name(run)}, its set is not complete`);
    return problems;
  });
}

const failedForGood = ({ watch }: World, runs: readonly Run[]): boolean =>
  Number.isFinite(watch.retries) &&
  runs.length > watch.retries &&
  runs.every((run) => run.succeeded !== true);

const isOf = (world: World, run: Run, life: Life): boolean => world.life(run.file, run.mtime) === life;

/** Whole markers for what is there, none for what is gone, nothing left half-done. */
function markers({ files, watch, lives }: World): string[] {
  const present = new Set(lives.filter((life) => life.endedAt === undefined).map((life) => life.name));
  return files.names().flatMap((marker) => {
    if (!marker.startsWith('._')) return [];
    const [, file, state] = /^\._w_\d+_(.*)\.(done|failed|killed|mtime|tmp)$/.exec(marker) ?? [];
    if (state === 'tmp') return [`left behind: ${marker}`];
    if (file === undefined || !present.has(file))
      return watch.cleanup ? [`marker of a file that is gone: ${marker}`] : [];
    if (state === 'mtime') return [];
    return isWhole(files.content(marker)!) ? [] : [`torn: ${marker}`];
  });
}

function isWhole(content: string): boolean {
  try {
    return typeof (JSON.parse(content) as { state: unknown }).state === 'string';
  } catch {
    return false;
  }
}

function inFlight({ agent, watch }: World): string[] {
  return agent.mostActive > watch.maxJobs
    ? [`${agent.mostActive} jobs in flight, ${watch.maxJobs} allowed`]
    : [];
}

function pairs<T>(items: readonly T[]): [T, T][] {
  return items.flatMap((a, i) => items.slice(i + 1).map((b): [T, T] => [a, b]));
}
