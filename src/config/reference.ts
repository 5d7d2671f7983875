import { z } from 'zod';
import { boxPoolSchema, boxSchema, listenSchema, nodeSchema, stateSchema } from './box-schema.js';
import { sslSchema } from './ssl-schema.js';
import { clientSchema, jobTemplate, poolSchema, readySchema, rootSchema, watchSchema } from './schema.js';

/** The configuration reference in docs/, complete and only from the schema. Pure. */
export function referenceMarkdown(): string {
  return [
    '# Configuration reference',
    'Generated from the schema (`src/config/schema.ts`); edit it there. Times are seconds. `true` and `false` may be written 1 and 0.',
    ...section('Top level', 'Files are JSON with comments, or YAML (`.yaml`, `.yml`).', rootSchema),
    ...section('watch.&lt;name&gt; and template.&lt;name&gt;', watchText, watchSchema),
    ...section('ready', 'Evidence that a file is complete, beside `min_age`.', readySchema),
    ...section('Job spec', jobText, jobTemplate),
    ...section('client', 'The agent to use.', clientSchema),
    ...section('pools.&lt;name&gt;', 'Pools of the embedded agent.', poolSchema),
    '## Placeholders',
    placeholderText,
    table(['placeholder', 'meaning'], placeholders),
    '## Merging',
    mergeText,
    table(['key', 'meaning'], operators),
    '## Command line',
    commandLineText,
    table(['argument', 'meaning'], argumentForms),
    '',
  ].join('\n\n');
}

/** The reference of meeseeks-box in docs/, complete and only from the schema. Pure. */
export function boxReferenceMarkdown(): string {
  return [
    '# Configuration reference of meeseeks-box',
    'Generated from the schema (`src/config/box-schema.ts`); edit it there. Times are seconds. `true` and `false` may be written 1 and 0. How to use it: [the agent](agent.md). Merging and the command line work as [for the watcher](configuration.md#merging).',
    ...section('Top level', 'Files are JSON with comments, or YAML (`.yaml`, `.yml`).', boxSchema),
    ...section('listen', 'Only a restart changes it.', listenSchema),
    ...section('listen.ssl', 'Names and meanings of a Python `SSLContext`.', sslSchema),
    ...section('state', 'A reload changes it.', stateSchema),
    ...section('pools.&lt;name&gt;', 'A reload, or a client, changes them.', boxPoolSchema),
    ...section('nodes.&lt;name&gt;', 'Read and checked; connecting to them is not possible yet.', nodeSchema),
    '',
  ].join('\n\n');
}

const watchText =
  'What a watch does not set comes from, lowest first: `defaults`, the template named null, its template(s), in order.';
const jobText =
  'Strings may hold placeholders. An entry of `jobs` is a job spec, a list with a job spec for each list of files, or `{}` or `null` to do nothing.';
const placeholderText =
  '`%(key)s` and the other printf conversions (`%(index)03d`, `%(size).1f`, `%(name)-10s`) work in every string of `jobs` and `ready`. `%%` is a percent sign; any other `%` is itself. They are filled in once: what a value brings in is not expanded again.';
const mergeText =
  'Files merge left to right, then the command line, then templates. Mappings merge key by key, anything else replaces. An operator waits for its base: a watch may add to a list of its template in another file. A single value counts as a list of one.';
const commandLineText =
  'A value is typed by what the key takes, not by its look. Later arguments win. Quote a key that contains dots: `watch."a.b".path=/data`, or `watch.a\\.b.path=/data`.';

const placeholders: readonly (readonly string[])[] = [
  ['`%(name)s`', 'name of the watch'],
  ['`%(filename)s`', 'name of the file'],
  ['`%(file)s`', 'full path of the file'],
  ['`%(fileset)s`', 'names of all files of the set; alone as a list element: one element a file'],
  ['`%(files)s`', 'the same with full paths'],
  ['`%(fileset<n>)s`', 'name of the file of list n, from 0'],
  ['`%(<n>)s`', 'part n of the name after `split`, from 0'],
  ['`%(index)s`', 'job index'],
  ['`%(stem)s`, `%(ext)s`', 'name without its last extension, and the extension'],
  ['`%(size)s`, `%(mtime)s`', 'size in bytes, modification time in seconds since 1970'],
  ['`%(attempt)s`', 'which try this is'],
  ['`%(<capture>)s`', 'a named capture of `pattern`'],
  ['`%(<key>)s`', 'any key of the watch, also your own, such as `%(path)s`'],
];
const operators: readonly (readonly string[])[] = [
  ['`"!key": true`', 'deletes the key'],
  ['`"+key": [...]`', 'appends to the list'],
  ['`"key+": [...]`', 'prepends to the list'],
  ['`"-key": [...]`', 'removes items from the list, or keys from a mapping'],
];
const argumentForms: readonly (readonly string[])[] = [
  ['`key.subkey=value`', 'one value'],
  ['`key=a,b`', 'a list, where the key takes one; `\\,` is a comma, `{a,b}` stays whole'],
  ['`key=`', 'an empty mapping'],
  ['`key:=<json>`', 'any JSON value'],
];

function section(title: string, text: string, schema: z.ZodObject): string[] {
  return [`## ${title}`, text, table(['key', 'type', 'default', 'meaning'], rows(schema))];
}

function rows(schema: z.ZodObject): string[][] {
  return Object.entries(schema.shape).map(([key, type]) => {
    const json = z.toJSONSchema(type, { io: 'input' });
    const required = type instanceof z.ZodOptional || type instanceof z.ZodDefault ? '' : 'required';
    const fallback = json.default === undefined ? required : `\`${JSON.stringify(json.default)}\``;
    return [`\`${key}\``, typeName(json), fallback, escapeTags(json.description ?? '')];
  });
}

type Json = z.core.JSONSchema._JSONSchema;

/** `number`, `text or list of text`: a type as a person would say it. */
const typeName = (json: Json): string => [...new Set(typeNames(json))].join(' or ');

function typeNames(json: Json): string[] {
  if (typeof json === 'boolean') return ['any'];
  if (json.enum !== undefined) return [json.enum.map((value) => `\`${String(value)}\``).join(', ')];
  if (json.const !== undefined) return [`\`${JSON.stringify(json.const)}\``];
  if (json.anyOf !== undefined) return withoutBits(json.anyOf.flatMap(typeNames));
  if (json.type === 'array') return [`list of ${itemName(json.items)}`];
  const types: readonly string[] = typeof json.type === 'string' ? [json.type] : (json.type ?? ['any']);
  return types.map((type) => plainNames[type] ?? type);
}

const plainNames: Partial<Record<string, string>> = {
  object: 'mapping',
  string: 'text',
  integer: 'whole number',
};

function itemName(items: Json | Json[] | undefined): string {
  const name = items === undefined || Array.isArray(items) ? 'any' : typeName(items);
  return name.includes(' or ') ? `(${name})` : name;
}

/** 0 and 1 for booleans are said once, at the top of the page. */
const withoutBits = (names: string[]): string[] =>
  names.includes('boolean') ? names.filter((name) => name !== '`0`' && name !== '`1`') : names;

const escapeTags = (text: string): string => text.replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');
}
