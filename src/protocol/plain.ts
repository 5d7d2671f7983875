import type { JobSpec } from './job.js';
import { LONGEST_ID, type WireSubmit } from './wire.js';

/**
 * Values in the form nearly all have: for these the schemas change nothing, and are by far the dearest part of a
 * submit. A value that is not plain is not wrong: it takes the way through the schema, which has the last word.
 * test/property/plain.test.ts holds both ways to the same answers.
 */
type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isName: Check = (value) => typeof value === 'string' && value !== '';
const isFlag: Check = (value) => typeof value === 'boolean';
const isWhole: Check = (value) => Number.isSafeInteger(value);
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isSeconds: Check = (value) => Number.isFinite(value) && (value as number) >= 0;
const isTime: Check = (value) => Number.isFinite(value) && (value as number) > 0;
const isTexts: Check = (value) => Array.isArray(value) && value.every(isText);
const isCommand: Check = (value) => isTexts(value) && (value as unknown[]).length > 0;

/** those that cannot change any more, of which it was found */
const variables = new WeakSet<object>();

/** A mapping of names to texts; `__proto__` is left to those who know how to treat it. */
function isVariables(value: unknown): boolean {
  if (!isPlainMapping(value)) return false;
  if (variables.has(value)) return true;
  for (const name in value) if (typeof value[name] !== 'string' || name === '__proto__') return false;
  if (Object.isFrozen(value)) variables.add(value);
  return true;
}

const isPlainMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.getPrototypeOf(value) === Object.prototype;

const common = {
  id: isName,
  pool: isName,
  node: isText,
  cwd: isText,
  env: isVariables,
  stdin: isText,
  stdout: isText,
  stderr: isText,
  hold: isFlag,
  restart: isFlag,
  resubmit: isFlag,
  retries: isCount,
  priority: isWhole,
  kill_grace: isSeconds,
  tags: isTexts,
};
const specChecks = new Map<string, Check>(Object.entries({ ...common, args: isCommand, runtime: isTime }));
const submitChecks = new Map<string, Check>(
  Object.entries({
    ...common,
    id: (value: unknown) => isName(value) && (value as string).length <= LONGEST_ID,
    args: isTexts,
    runtime: isSeconds,
    state: isText,
    key: isName,
    submitter: (value: unknown) => isText(value) && (value as string).length <= 256,
  }),
);

/** Whether `jobSpec` would take it as it is. */
export const isPlainSpec = (spec: unknown): spec is JobSpec =>
  passes(spec, specChecks) && 'pool' in spec && 'args' in spec;

/** Whether `wireSubmit` would take it as it is, and nothing in it has another form inside. */
export const isPlainSubmit = (argument: unknown): argument is WireSubmit => passes(argument, submitChecks);

function passes(value: unknown, checks: ReadonlyMap<string, Check>): value is Record<string, unknown> {
  if (!isPlainMapping(value)) return false;
  for (const key in value) if (checks.get(key)?.(value[key]) !== true) return false;
  return true;
}
