import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Box, pause } from '../support/box.js';

/**
 * One recorded exchange with the Python original. `#` stands for a value that differs from run to run, `$ID1` for an id
 * it made. `differs` says why the answer expected of us is not the recorded one.
 */
interface Step {
  readonly step: string;
  readonly send: readonly string[];
  readonly answers: readonly unknown[];
  readonly differs?: string;
}

const fixture = new URL('../fixtures/wire/jan2020.json', import.meta.url);
const steps = JSON.parse(readFileSync(fixture, 'utf8')) as Step[];

/** What our jobs tell beyond the original's. */
const more = new Set(['uid', 'error', 'active', 'end_ts', 'reason', 'signal', 'stdout_path', 'stderr_path']);

let box: Box;
const ids = new Map<string, string>();
beforeAll(async () => {
  box = await Box.start({ config: { pools: { q1: { slots: 4 } } } });
});
afterAll(() => box.remove());

describe('the recorded exchanges of January 2020', () => {
  it.each(steps.map((step) => [step.step, step] as const))('%s', async (_name, step) => {
    const names = [['$DIR', box.directory] as const, ...ids];
    const send = step.send.map((line) => names.reduce((text, [from, to]) => text.replaceAll(from, to), line));
    const mayWait = step.send.every((line) => /^\[\{"(job|get|ls|nodes|pools)"/.test(line));
    const expected = step.send[0] === '' ? [] : step.answers;
    let actual: unknown;
    for (const end = Date.now() + (mayWait ? 60_000 : 0); ; await pause(50)) {
      const answers = await box.ask(...send);
      learnIds(expected, answers);
      actual = comparable(expected, answers);
      if (isDeepStrictEqual(actual, expected) || Date.now() > end) break;
    }
    expect(actual).toEqual(expected);
  });
});

/** The ids the box made, by the names the recording has for them. */
function learnIds(expected: unknown, actual: unknown): void {
  if (Array.isArray(expected) && Array.isArray(actual))
    expected.forEach((one, i) => learnIds(one, actual[i]));
  if (!isMap(expected) || !isMap(actual)) return;
  const unknown = Object.keys(expected).filter((key) => key.startsWith('$ID') && !ids.has(key));
  const known = new Set(ids.values());
  const fresh = Object.keys(actual).filter((key) => !(key in expected) && !known.has(key));
  unknown.forEach((key, i) => fresh[i] !== undefined && ids.set(key, fresh[i]));
  for (const [key, value] of Object.entries(expected)) learnIds(value, actual[key]);
}

/** The answer with what may differ written as the recording has it. */
function comparable(expected: unknown, actual: unknown): unknown {
  if (expected === '#' && actual !== undefined && actual !== null) return '#';
  if (Array.isArray(actual))
    return actual.map((one, i) => comparable(Array.isArray(expected) ? expected[i] : undefined, one));
  if (!isMap(actual)) return typeof actual === 'string' ? named(actual) : actual;
  const wanted = isMap(expected) ? expected : {};
  return Object.fromEntries(
    Object.entries(actual)
      .map(([key, value]) => [named(key), value] as const)
      .filter(([key]) => key in wanted || !('state' in wanted && more.has(key)))
      .map(([key, value]) => [key, comparable(wanted[key], value)]),
  );
}

function named(text: string): string {
  const known = [...ids].find(([, id]) => id === text);
  return known?.[0] ?? text.replaceAll(box.directory, '$DIR').replace('127.0.0.1', '$ADDRESS');
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
