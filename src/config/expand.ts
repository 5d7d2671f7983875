import { foldEntry, resolveMapping } from './merge.js';
import { certain, errorAt, type Path, type Problem } from './problem.js';
import { mergeLayers, referencesIn, Templates, type TemplateReference } from './templates.js';
import { emptyMap, isMap, isNull, scalar, type Entry, type Location, type Mapping } from './tree.js';

/** A watch after templates: what runs under `name`, and the entry of `watch` it came from. */
export interface ExpandedWatch {
  readonly name: string;
  readonly path: Path;
  /** the key of the watch */
  readonly at: Location;
  readonly tree: Mapping;
  /** false: one of its templates is unknown */
  readonly complete: boolean;
}

/** The mapping under a top-level key; anything else there is reported and counts as empty. */
export function sectionOf(root: Mapping, key: string, problems: Problem[] = []): Mapping {
  const entry = root.entries.get(key);
  const value = foldEntry(entry, [key], problems);
  if (isMap(value)) return value;
  if (value !== undefined && !isNull(value)) {
    problems.push(
      errorAt(
        value.at,
        [key],
        `expected a mapping, found ${value.kind === 'list' ? 'a list' : 'a single value'}`,
      ),
    );
  }
  return emptyMap(entry?.at ?? root.at);
}

/**
 * Builds the watches: `defaults`, the null template, the named templates in order, own keys, lowest first.
 * `apply`, `defaults.template` and a list of own templates make one watch each, named `<template>-<name>`
 * (contract, "Configuration").
 */
export function expandWatches(root: Mapping): { watches: ExpandedWatch[]; problems: Problem[] } {
  const problems: Problem[] = [];
  const templates = new Templates(sectionOf(root, 'template', problems), problems);
  const names = new Set(templates.names);
  const defaults = sectionOf(root, 'defaults', problems);
  const context: Context = {
    templates,
    names,
    defaults,
    problems,
    apply: referencesIn(root, [], problems, names, 'apply') ?? [],
    fallback: referencesIn(defaults, ['defaults'], problems, names) ?? [],
  };
  templates.known([...context.apply, ...context.fallback]);
  // also the templates nobody uses: their names must be right
  for (const [name, { at }] of sectionOf(root, 'template').entries) {
    templates.layers([{ name, at, path: ['template', name] }]);
  }
  const section = sectionOf(root, 'watch', problems);
  const watches = [...section.entries].flatMap(([key, entry]) => expandOne(key, entry, context));
  return { watches, problems };
}

interface Context {
  readonly templates: Templates;
  readonly names: ReadonlySet<string>;
  readonly defaults: Mapping;
  readonly problems: Problem[];
  readonly apply: readonly TemplateReference[];
  readonly fallback: readonly TemplateReference[];
}

function expandOne(key: string, entry: Entry, context: Context): ExpandedWatch[] {
  const path = ['watch', key];
  const value = foldEntry(entry, path, context.problems);
  if (value === undefined) return [];
  if (!isMap(value) && !isNull(value)) {
    const found = value.kind === 'list' ? 'a list' : 'a single value';
    context.problems.push(
      errorAt(value.at, path, `expected a mapping: the keys of the watch, found ${found}`),
    );
    return [];
  }
  const own = isMap(value) ? value : emptyMap(entry.at);
  const ownTemplates = referencesIn(own, path, context.problems, context.names);
  return variants(key, ownTemplates, context).map(({ name, references }) =>
    build(name, references, own, entry, path, context),
  );
}

interface Variant {
  readonly name: string;
  readonly references: readonly TemplateReference[];
}

function variants(key: string, own: readonly TemplateReference[] | undefined, context: Context): Variant[] {
  const named: Variant[] =
    own === undefined || own.length === 0
      ? [{ name: key, references: [] }]
      : own.length === 1
        ? [{ name: key, references: own }]
        : own.map((reference) => ({ name: `${reference.name}-${key}`, references: [reference] }));
  const applied = context.apply.length > 0 ? context.apply : own === undefined ? context.fallback : [];
  if (applied.length === 0) return named;
  return applied.flatMap((reference) =>
    named.map((variant) => ({
      name: `${reference.name}-${variant.name}`,
      references: [reference, ...variant.references],
    })),
  );
}

function build(
  name: string,
  references: readonly TemplateReference[],
  own: Mapping,
  entry: Entry,
  path: Path,
  { templates, defaults, problems }: Context,
): ExpandedWatch {
  const { layers, complete } = templates.layers(references);
  const found: Problem[] = [];
  const tree = resolveMapping(mergeLayers([defaults, ...layers, own], own.at), path, found);
  problems.push(...(complete ? found : certain(found)));
  return { name, path, at: entry.at, tree: withTemplateName(tree, references), complete };
}

/** `%(template)s` is the name of the template the watch was built with. */
function withTemplateName(tree: Mapping, references: readonly TemplateReference[]): Mapping {
  const last = references.at(-1);
  if (last === undefined) return tree;
  const value = scalar(last.name, last.at);
  const entry: Entry = { at: last.at, layers: [{ operation: 'set', at: last.at, value }] };
  return { ...tree, entries: new Map([...tree.entries, ['template', entry]]) };
}
