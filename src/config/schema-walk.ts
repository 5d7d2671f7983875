import { z } from 'zod';

/** The alternatives of a schema without their wrappers: unions opened, optional, default and null taken off. */
function alternatives(schema: z.ZodType): z.ZodType[] {
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => alternatives(asType(option)));
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable) {
    return alternatives(asType(schema.unwrap()));
  }
  return [schema];
}

/** What may stand under `key` in a value of this schema; empty when nothing may. */
export function childSchemas(schema: z.ZodType, key: string): z.ZodType[] {
  const found = alternatives(schema).flatMap((one) => childrenOf(one, key));
  const known = found.filter((one) => !(one instanceof z.ZodUnknown));
  // a section that takes any key does not hide what another alternative knows of this one
  return known.length > 0 ? known : found;
}

function childrenOf(schema: z.ZodType, key: string): z.ZodType[] {
  if (schema instanceof z.ZodObject) {
    const child: unknown = Object.hasOwn(schema.shape, key) ? schema.shape[key] : schema.def.catchall;
    return child instanceof z.ZodType && !(child instanceof z.ZodNever) ? alternatives(child) : [];
  }
  if (schema instanceof z.ZodRecord) return alternatives(asType(schema.valueType));
  if (schema instanceof z.ZodArray) return /^\d+$/.test(key) ? alternatives(asType(schema.element)) : [];
  return schema instanceof z.ZodUnknown ? [schema] : [];
}

/** The keys an object schema names. */
export const objectKeys = (schema: z.ZodType): string[] =>
  alternatives(schema).flatMap((one) => (one instanceof z.ZodObject ? Object.keys(one.shape) : []));

/** The schema of list elements, when the schema takes a list. */
export const elementSchemas = (schemas: readonly z.ZodType[]): z.ZodType[] =>
  schemas.flatMap((one) => (one instanceof z.ZodArray ? alternatives(asType(one.element)) : []));

// zod types the parts of a schema as its inner `$ZodType`; at run time they are all `ZodType`
function asType(schema: z.core.$ZodType): z.ZodType {
  if (schema instanceof z.ZodType) return schema;
  throw new TypeError('not a zod schema');
}
