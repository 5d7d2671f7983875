import { describe, expect, it } from 'vitest';
import { jsonSchema } from '../../../src/config/json-schema.js';
import { referenceMarkdown } from '../../../src/config/reference.js';
import {
  clientSchema,
  jobTemplate,
  poolSchema,
  readySchema,
  rootSchema,
  watchSchema,
} from '../../../src/config/schema.js';

describe('jsonSchema', () => {
  const text = JSON.stringify(jsonSchema());
  it('is draft 7 and plain JSON', () => {
    expect(jsonSchema()).toMatchObject({
      $schema: 'http://json-schema.org/draft-07/schema#',
      type: 'object',
    });
    expect(JSON.parse(text)).toEqual(jsonSchema());
  });
  it('knows the keys of watches and templates, with operators', () => {
    for (const section of ['watch', 'template']) {
      expect(jsonSchema()).toHaveProperty([
        'properties',
        section,
        'additionalProperties',
        'anyOf',
        0,
        'properties',
        'min_age',
      ]);
      expect(jsonSchema()).toHaveProperty([
        'properties',
        section,
        'additionalProperties',
        'anyOf',
        0,
        'patternProperties',
        '^([!+-].+|.+\\+)$',
      ]);
    }
  });
  it('requires nothing that a template may bring, nor a default', () => {
    expect(jsonSchema()).not.toHaveProperty([
      'properties',
      'watch',
      'additionalProperties',
      'anyOf',
      0,
      'required',
    ]);
  });
});

describe('referenceMarkdown', () => {
  const page = referenceMarkdown();
  const schemas = { rootSchema, watchSchema, readySchema, jobTemplate, clientSchema, poolSchema };
  it.each(Object.entries(schemas))('has every key of %s with its meaning', (_, schema) => {
    for (const [key, type] of Object.entries(schema.shape)) {
      expect(type.description, key).toBeTruthy();
      expect(page).toMatch(new RegExp(`^\\| \`${key.replace('$', '\\$')}\` \\|.*\\S \\|$`, 'm'));
    }
  });
  it('shows types and defaults', () => {
    expect(page).toContain('| `rescan` | number | `60` |');
    expect(page).toContain('| `pool` | text | required |');
    expect(page).toContain('| `reverse` | boolean | `false` |');
    expect(page).toContain('| `glob` | text or list of text |  |');
    expect(page).toContain('| `tags` | list of (text or number or boolean) |  |');
    expect(page).toContain('| `jobs` | list of (null or mapping or list of (null or mapping)) |  |');
    expect(page).toContain('| `type` | `file`, `directory` | `"file"` |');
  });
  it('has placeholders and operators, and balanced tables', () => {
    expect(page).toContain('`%(fileset<n>)s`');
    expect(page).toContain('`"+key": [...]`');
    for (const row of page.split('\n').filter((line) => line.startsWith('|')))
      expect(row.endsWith('|')).toBe(true);
  });
});
