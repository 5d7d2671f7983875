// Writes what the documentation takes from the schema. Run by `npm run docs:generate`; a test compares.
import { mkdirSync, writeFileSync } from 'node:fs';
import { jsonSchema } from '../dist/config/json-schema.js';
import { referenceMarkdown } from '../dist/config/reference.js';

mkdirSync('docs', { recursive: true });
writeFileSync('docs/configuration.md', referenceMarkdown());
writeFileSync('docs/meeseeks-watch.schema.json', `${JSON.stringify(jsonSchema(), null, 2)}\n`);
