import { jobSpec, type JobSpec } from '../protocol/job.js';
import { isPlainSpec } from '../protocol/plain.js';
import { render, renderElement, RenderError, type Lookup } from './template-text.js';
import type { JobTemplate } from './schema.js';
import { toBoolean, toNumber } from './words.js';

const numberKeys = ['runtime', 'retries', 'priority', 'kill_grace'] as const;
const booleanKeys = ['hold', 'restart', 'resubmit'] as const;
const textKeys = ['id', 'pool', 'node', 'cwd', 'stdin', 'stdout', 'stderr'] as const;

/**
 * The job for one file: every placeholder filled in once, numbers and booleans in `args`, `tags` and `env` as
 * their plain text (a process takes nothing else), the other keys checked against the protocol.
 * @throws RenderError naming the key, fit for the log: a missing part, not a number, a NUL in an argument
 */
export function renderJob(template: JobTemplate, lookup: Lookup): JobSpec {
  const spec: Record<string, unknown> = {
    args: renderCommand(typeof template.args === 'string' ? [template.args] : template.args, lookup),
  };
  for (const key of textKeys) setIfGiven(spec, key, template[key], (value) => render(value, lookup));
  for (const key of numberKeys) setIfGiven(spec, key, template[key], (value) => asNumber(key, value, lookup));
  for (const key of booleanKeys)
    setIfGiven(spec, key, template[key], (value) => asBoolean(key, value, lookup));
  setIfGiven(spec, 'tags', template.tags, (tags) => renderList(tags, lookup));
  setIfGiven(spec, 'env', template.env, (env) => renderEnvironment(env, lookup));
  refuseNul(spec);
  return validated(spec);
}

function setIfGiven<T>(
  spec: Record<string, unknown>,
  key: string,
  value: T | undefined,
  convert: (value: T) => unknown,
): void {
  if (value !== undefined) spec[key] = convert(value);
}

/** An empty list in front would make the next argument the program: a data file, say. */
function renderCommand(args: readonly (string | number | boolean)[], lookup: Lookup): string[] {
  const [program] = args;
  if (typeof program === 'string' && renderElement(program, lookup).length === 0) {
    throw new RenderError(`args: ${program} is an empty list, so there is no program to run`, 'args');
  }
  return renderList(args, lookup);
}

function renderList(items: readonly (string | number | boolean)[], lookup: Lookup): string[] {
  return items.flatMap((item) => (typeof item === 'string' ? renderElement(item, lookup) : [String(item)]));
}

function renderEnvironment(env: Readonly<Record<string, string | number | boolean>>, lookup: Lookup) {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [
      name,
      typeof value === 'string' ? render(value, lookup) : String(value),
    ]),
  );
}

function asNumber(key: string, value: string | number, lookup: Lookup): number {
  if (typeof value === 'number') return value;
  const text = render(value, lookup);
  const number = toNumber(text);
  if (number === undefined) {
    throw new RenderError(`${key}: expected a number, found ${JSON.stringify(text)} from ${value}`, key);
  }
  return number;
}

function asBoolean(key: string, value: string | number | boolean, lookup: Lookup): boolean {
  if (typeof value !== 'string') return Boolean(value);
  const text = render(value, lookup);
  const boolean = toBoolean(text);
  if (boolean === undefined) {
    throw new RenderError(`${key}: expected true or false, found ${JSON.stringify(text)} from ${value}`, key);
  }
  return boolean;
}

function refuseNul(spec: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(spec)) {
    const texts = typeof value === 'object' && value !== null ? Object.entries(value).flat() : [value];
    if (texts.some((text) => typeof text === 'string' && text.includes('\0'))) {
      throw new RenderError(`${key}: contains a NUL byte, which no program can be given`, key);
    }
  }
}

function validated(spec: Readonly<Record<string, unknown>>): JobSpec {
  if (isPlainSpec(spec)) return spec;
  const result = jobSpec.safeParse(spec);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const key = issue?.path.join('.') ?? '';
  throw new RenderError(
    `${key}: ${issue?.message ?? 'is not valid'} (after placeholders were filled in)`,
    key,
  );
}
