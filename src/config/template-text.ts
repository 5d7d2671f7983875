import { formatConversion, isConversion, type Conversion } from './conversion.js';

/** What a placeholder may be filled with; a list behaves like `%(fileset)s`. */
export type PlaceholderValue = string | number | boolean | readonly string[];
export type Lookup = (key: string) => PlaceholderValue | undefined;

/** One `%(key)05d` in a template. */
export interface Placeholder {
  readonly text: string;
  readonly key: string;
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
  /** undefined: no conversion, or one nobody knows; such a template is refused at load */
  readonly conversion: Conversion | undefined;
}

/** A template cannot be filled in for this file; the message is for the operator. */
export class RenderError extends Error {
  override readonly name = 'RenderError';
  constructor(
    message: string,
    readonly key?: string,
  ) {
    super(message);
  }
}

const syntax = /%%|%\(([^)]*)\)([-+ #0]*)(\d*)(?:\.(\d*))?([a-zA-Z])?/g;

/**
 * Splits a template into text and placeholders. `%%` is a percent sign; a `%` that starts neither is literal,
 * so `["date","+%Y"]` works (contract, "Placeholders").
 */
export function parseTemplate(template: string): (string | Placeholder)[] {
  const parts: (string | Placeholder)[] = [];
  let end = 0;
  for (const match of template.matchAll(syntax)) {
    const [text, key, flags = '', width = '', precision, letter] = match;
    parts.push(template.slice(end, match.index));
    end = match.index + text.length;
    if (key === undefined) {
      parts.push('%');
      continue;
    }
    parts.push({
      text,
      key,
      flags,
      width: Number(width),
      precision: precision === undefined ? undefined : Number(precision),
      conversion: letter !== undefined && isConversion(letter) ? letter : undefined,
    });
  }
  parts.push(template.slice(end));
  return parts;
}

export const placeholdersIn = (template: string): Placeholder[] =>
  template.includes('%(') ? parseTemplate(template).filter((part) => typeof part !== 'string') : [];

/**
 * Fills in a template once: what a value brings in is never expanded again.
 * @throws RenderError for a key without a value, an unknown conversion, or a value that is no number for `%(x)d`
 */
export function render(template: string, lookup: Lookup): string {
  if (!template.includes('%')) return template;
  return parseTemplate(template)
    .map((part) => (typeof part === 'string' ? part : fill(part, lookup)))
    .join('');
}

/**
 * A list element: `%(fileset)s` alone becomes one element a file, anything else one element.
 * @throws RenderError as `render`
 */
export function renderElement(template: string, lookup: Lookup): string[] {
  const only = /^%\(([^)]*)\)s$/.exec(template)?.[1];
  const value = only === undefined ? undefined : lookup(only);
  return Array.isArray(value) ? value.map(String) : [render(template, lookup)];
}

function fill(placeholder: Placeholder, lookup: Lookup): string {
  const { key, text, conversion } = placeholder;
  if (conversion === undefined) throw new RenderError(`unknown conversion in ${text}`, key);
  const value = lookup(key);
  if (value === undefined) throw new RenderError(`${text}: ${whyMissing(key)}`, key);
  const plain = typeof value === 'object' ? value.join(' ') : value;
  const result = formatConversion({ ...placeholder, conversion }, plain);
  if (result === undefined) {
    throw new RenderError(`${text} needs a number, but ${key} is ${JSON.stringify(plain)}`, key);
  }
  return result;
}

function whyMissing(key: string): string {
  if (/^\d+$/.test(key)) return `the file name has no part ${key}`;
  const list = /^fileset(\d+)$/.exec(key)?.[1];
  if (list !== undefined) return `the set has no file of list ${list}`;
  return `there is no key ${JSON.stringify(key)}`;
}
