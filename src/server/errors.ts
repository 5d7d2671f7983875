import type { z } from 'zod';

/** A request that cannot be answered: the answer is `{"error": message}`, and the rest of its line is not run. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
}

/** The value of a request's argument as its schema has it. @throws RequestError that says what was expected */
export function parseArgument<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = [what, ...(issue?.path ?? [])].map(String).join('.');
  throw new RequestError(
    `${path}: expected ${issue?.message ?? 'something else'}, found ${shape(value, issue?.path ?? [])}`,
  );
}

/** What stood there, without repeating it: it may be large, or a secret. */
function shape(value: unknown, path: readonly PropertyKey[]): string {
  let found = value;
  for (const part of path)
    found =
      typeof found === 'object' && found !== null ? (found as Record<PropertyKey, unknown>)[part] : undefined;
  if (found === null) return 'null';
  if (Array.isArray(found)) return 'a list';
  if (typeof found === 'string')
    return found.length > 40 ? 'a long text' : `the text ${JSON.stringify(found)}`;
  if (typeof found === 'object') return 'a mapping';
  return typeof found === 'number' || typeof found === 'boolean' ? String(found) : 'nothing';
}
