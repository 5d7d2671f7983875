import { z } from 'zod';
import { clientSchema, poolSchema, rootSchema, watchSchema } from './schema.js';

export type JsonObject = { [key: string]: unknown };

const editorRoot = rootSchema.extend({
  defaults: z
    .looseObject({ ...clientSchema.shape, ...poolSchema.shape, ...watchSchema.shape })
    .optional()
    .describe(rootSchema.shape.defaults.description ?? ''),
  template: z
    .record(z.string(), z.union([watchSchema, z.null()]))
    .optional()
    .describe(rootSchema.shape.template.description ?? ''),
  watch: z
    .record(z.string(), z.union([watchSchema, z.null()]))
    .optional()
    .describe(rootSchema.shape.watch.description ?? ''),
});

/** JSON Schema (draft 7) of a configuration file, for editors. Keys with merge operators are allowed everywhere. */
export function jsonSchema(): JsonObject {
  const schema = z.toJSONSchema(editorRoot, { target: 'draft-7', io: 'input' });
  return { title: 'meeseeks-watch', ...asObject(withOperators(schema)) };
}

/** `!key`, `+key`, `-key` and `key+` beside every named key. */
const OPERATORS = '^([!+-].+|.+\\+)$';

function withOperators(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withOperators);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, child]) => [key, withOperators(child)] as const);
  const object: JsonObject = Object.fromEntries(entries);
  const isSchema = object['type'] === 'object' && 'properties' in object;
  return isSchema ? { ...object, patternProperties: { [OPERATORS]: {} } } : object;
}

const asObject = (value: unknown): JsonObject =>
  typeof value === 'object' && value !== null ? { ...value } : {};
