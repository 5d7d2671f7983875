import { foldEntry, mergeMappings } from './merge.js';
import { suggest } from './nearest.js';
import { absentAt, errorAt, type Path, type Problem } from './problem.js';
import {
  emptyMap,
  isMap,
  isNull,
  isText,
  itemsOf,
  type Entry,
  type Location,
  type Mapping,
  type Tree,
} from './tree.js';

/** The template that applies to all watches: the JSON key "null", in YAML also null (contract, "Placeholders"). */
const NULL_TEMPLATE = 'null';

/** A template by name, and where somebody asked for it. */
export interface TemplateReference {
  readonly name: string;
  readonly at: Location;
  readonly path: Path;
}

/** What a watch is built from, lowest first. */
export interface Layering {
  readonly layers: Mapping[];
  /** false: a template is unknown, so whatever is missing may have been in it */
  complete: boolean;
}

/**
 * The templates of a configuration. `layers` gives what a watch is built from, lowest first: the null template,
 * then the named ones in order, each after the templates it builds on; one that is reached twice counts once.
 */
export class Templates {
  readonly #entries: ReadonlyMap<string, Entry>;
  /** what was reported already: templates that are no mapping, and circles */
  readonly #bad = new Set<string>();

  constructor(
    section: Mapping,
    readonly problems: Problem[],
  ) {
    this.#entries = section.entries;
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** The mappings to merge for a watch that uses these templates. Unknown names and circles are reported. */
  layers(references: readonly TemplateReference[]): Layering {
    const layering: Layering = { layers: [], complete: true };
    const done = new Set<string>();
    const unnamed = this.#entries.get(NULL_TEMPLATE);
    if (unnamed !== undefined) {
      const path = ['template', NULL_TEMPLATE];
      this.#add({ name: NULL_TEMPLATE, at: unnamed.at, path }, [], done, layering);
    }
    for (const reference of references) this.#add(reference, [], done, layering);
    return layering;
  }

  /** True when every name is known; the unknown ones are reported. */
  known(references: readonly TemplateReference[]): boolean {
    const unknown = references.filter(({ name }) => !this.#entries.has(name));
    for (const { name, at, path } of unknown) {
      this.problems.push(absentAt(at, path, `unknown template ${JSON.stringify(name)}`, this.#hint(name)));
    }
    return unknown.length === 0;
  }

  #hint(name: string): string {
    const names = this.names.filter((known) => known !== NULL_TEMPLATE);
    if (names.length === 0) return 'no templates are defined';
    const list = `defined are ${names.toSorted().join(', ')}`;
    const near = suggest(name, names);
    return near?.startsWith('did you mean') === true ? `${near} (${list})` : list;
  }

  #add(reference: TemplateReference, chain: readonly string[], done: Set<string>, to: Layering): void {
    const { name, at, path } = reference;
    if (chain.includes(name)) {
      this.#circle([...chain.slice(chain.indexOf(name)), name], at, path);
      return;
    }
    if (done.has(name)) return;
    if (!this.known([reference])) {
      to.complete = false;
      return;
    }
    done.add(name);
    const mapping = this.#mapping(name);
    const parents = referencesIn(mapping, ['template', name], this.problems, this.#entries) ?? [];
    for (const parent of parents) this.#add(parent, [...chain, name], done, to);
    to.layers.push(mapping);
  }

  /** Reported where it was found first, not again for every template on it. */
  #circle(names: readonly string[], at: Location, path: Path): void {
    const circle = [...new Set(names)].toSorted().join('\0');
    if (this.#bad.has(circle)) return;
    this.#bad.add(circle);
    const message = `templates build on each other in a circle: ${names.join(' -> ')}`;
    this.problems.push(errorAt(at, path, message, 'remove one'));
  }

  #mapping(name: string): Mapping {
    const entry = this.#entries.get(name);
    const value = foldEntry(entry);
    if (isMap(value)) return value;
    if (value !== undefined && !isNull(value) && !this.#bad.has(name)) {
      this.#bad.add(name);
      const found = value.kind === 'list' ? 'a list' : 'a single value';
      const message = `expected a mapping: the keys of the template, found ${found}`;
      this.problems.push(errorAt(value.at, ['template', name], message));
    }
    return emptyMap(entry!.at);
  }
}

/**
 * The names in the `template` key of a mapping: one, a list, or `a,b`. Undefined when the key is absent; null is
 * no template at all.
 */
export function referencesIn(
  mapping: Mapping | undefined,
  path: Path,
  problems: Problem[],
  known: { has(name: string): boolean },
  key = 'template',
): TemplateReference[] | undefined {
  const entry = mapping?.entries.get(key);
  const value = foldEntry(entry, [...path, key], problems);
  if (value === undefined) return undefined;
  return itemsOf(value).flatMap((item) => namesIn(item, [...path, key], problems, known));
}

function namesIn(item: Tree, path: Path, problems: Problem[], known: { has(name: string): boolean }) {
  if (!isText(item) || item.value === '') {
    problems.push(errorAt(item.at, path, 'expected the name of a template or a list of names'));
    return [];
  }
  const names = known.has(item.value) ? [item.value] : item.value.split(',').map((name) => name.trim());
  return names.filter((name) => name !== '').map((name) => ({ name, at: item.at, path }));
}

/** Merges layers, lowest first, without the `template` key, which has done its work. */
export function mergeLayers(layers: readonly Mapping[], at: Location): Mapping {
  const merged = layers.reduce(mergeMappings, emptyMap(at));
  const entries = new Map(merged.entries);
  entries.delete('template');
  return { kind: 'map', at, entries };
}
