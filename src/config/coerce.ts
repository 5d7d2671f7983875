import { z } from 'zod';
import { elementSchemas } from './schema-walk.js';
import { scalar, type Location, type Tree } from './tree.js';
import { toBoolean, toNumber } from './words.js';

/**
 * The value of a command line argument, typed by the schemas that may stand there, not by its look: `path=123` is
 * text, `min_age=5` a number, `reverse=yes` true. Commas part a list where a list may stand. What fits nothing
 * stays text, for validation to explain.
 */
export function coerce(text: string, schemas: readonly z.ZodType[], at: Location): Tree {
  const free = schemas.some((schema) => schema instanceof z.ZodUnknown);
  const elements = elementSchemas(schemas);
  const pieces = free || elements.length > 0 ? splitList(text) : [text];
  const single = pieces.length === 1 ? coerceScalar(pieces[0]!, schemas, at) : undefined;
  if (single !== undefined) return single;
  if (elements.length === 0 && !free) return scalar(text, at);
  const items = pieces.map((piece) => coerceScalar(piece, elements, at) ?? scalar(piece, at));
  return free && items.length === 1 ? items[0]! : { kind: 'list', at, items };
}

function coerceScalar(text: string, schemas: readonly z.ZodType[], at: Location): Tree | undefined {
  const accepts = (schema: z.ZodType): boolean =>
    (schema instanceof z.ZodString || schema instanceof z.ZodEnum) && schema.safeParse(text).success;
  if (schemas.some(accepts)) return scalar(text, at);
  const number = toNumber(text);
  if (number !== undefined && schemas.some((one) => one instanceof z.ZodNumber)) return scalar(number, at);
  const boolean = toBoolean(text);
  if (boolean !== undefined && schemas.some((one) => one instanceof z.ZodBoolean)) return scalar(boolean, at);
  const literal = [number, boolean].find(
    (value) => value !== undefined && schemas.some((one) => isLiteral(one, value)),
  );
  return literal === undefined ? undefined : scalar(literal, at);
}

const isLiteral = (schema: z.ZodType, value: number | boolean): boolean =>
  schema instanceof z.ZodLiteral && schema.safeParse(value).success;

/** Parts at commas, but not inside `{a,b}` or `{1,3}`, and not at `\,`, which becomes a comma. */
function splitList(text: string): string[] {
  const pieces = [''];
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (character === '\\' && text[i + 1] === ',') {
      pieces.push(`${pieces.pop()!},`);
      i++;
      continue;
    }
    if (character === '{') depth++;
    if (character === '}') depth = Math.max(depth - 1, 0);
    if (character === ',' && depth === 0) pieces.push('');
    else pieces.push(pieces.pop()! + character);
  }
  return pieces;
}
