// Writes what the documentation takes from the schema. Run by `npm run docs:generate`; a test compares.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { clientManual } from '../dist/cli/client/client-page.js';
import { boxPage } from '../dist/cli/help/box-page.js';
import { renderRoff } from '../dist/cli/help/page.js';
import { watchPage } from '../dist/cli/help/watch-page.js';
import { jsonSchema } from '../dist/config/json-schema.js';
import { boxReferenceMarkdown, referenceMarkdown } from '../dist/config/reference.js';

mkdirSync('docs', { recursive: true });
writeFileSync('docs/configuration.md', referenceMarkdown());
writeFileSync('docs/agent-configuration.md', boxReferenceMarkdown());
writeFileSync('docs/meeseeks-watch.schema.json', `${JSON.stringify(jsonSchema(), null, 2)}\n`);

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
mkdirSync('man', { recursive: true });
for (const page of [boxPage, clientManual, watchPage])
  writeFileSync(`man/${page.name}.1`, renderRoff(page, version));
