import { capturesOf, fileLists } from './lists.js';
import { filesetOf } from './fileset.js';
import { suggest } from './nearest.js';
import { absentAt, errorAt, warningAt, type Path, type Problem } from './problem.js';
import { watchSchema } from './schema.js';
import { placeholdersIn, type Placeholder } from './template-text.js';
import { knownConversions, MAX_PRECISION, MAX_WIDTH } from './conversion.js';
import { strings, toPlain, valueOf, type Location, type Mapping } from './tree.js';

/** Placeholders of every watch, and those a file brings (seeds, "meeseeks-watch"; contract, "Placeholders"). */
const always = ['name', 'index', 'attempt'];
const ofFiles = ['filename', 'file', 'fileset', 'files', 'stem', 'ext', 'size', 'mtime'];
/** these are names and paths with a slash or a watch's name: never a number */
const neverNumeric = new Set(['file', 'files']);

export interface PlaceholderUse {
  readonly problems: readonly Problem[];
  /** the keys some placeholder of the watch names */
  readonly used: ReadonlySet<string>;
}

/** Checks the placeholders of `jobs` and `ready`: each must have a key that can satisfy it. */
export function checkPlaceholders(tree: Mapping, path: Path): PlaceholderUse {
  const known = new Known(tree);
  const problems: Problem[] = [];
  const used = new Set<string>();
  for (const key of ['jobs', 'ready']) {
    const section = valueOf(tree, key);
    if (section === undefined) continue;
    for (const { text, at, path: below } of strings(section)) {
      for (const placeholder of placeholdersIn(text)) {
        used.add(placeholder.key);
        problems.push(...checkOne(placeholder, known, at, [...path, key, ...below]));
      }
    }
  }
  return { problems: [...problems, ...checkNested(tree, used, path)], used };
}

function checkOne(placeholder: Placeholder, known: Known, at: Location, path: Path): Problem[] {
  const { text, key, conversion, width, precision = 0 } = placeholder;
  const reason = known.reasonAgainst(key);
  if (reason !== undefined) return [absentAt(at, path, `no key can fill ${text}: ${reason[0]}`, reason[1])];
  if (conversion === undefined) {
    const literal = 'for a literal percent sign write %%';
    return /[a-zA-Z]$/.test(text)
      ? [errorAt(at, path, `unknown conversion in ${text}`, `known are ${knownConversions}; ${literal}`)]
      : [errorAt(at, path, `${text} lacks a conversion`, `write %(${key})s; ${literal}`)];
  }
  if (width > MAX_WIDTH || precision > MAX_PRECISION) {
    const limits = `the widest is ${MAX_WIDTH}, the most precise ${MAX_PRECISION}`;
    return [errorAt(at, path, `${text} is too wide or too precise`, limits)];
  }
  if (conversion !== 's' && neverNumeric.has(key)) {
    return [errorAt(at, path, `${text} needs a number, but ${key} is text`, `write %(${key})s`)];
  }
  return [];
}

class Known {
  readonly #captures: ReadonlySet<string>;
  readonly #lists: number;
  readonly #fileset: boolean;
  readonly #split: boolean;

  constructor(readonly tree: Mapping) {
    this.#captures = capturesOf(tree);
    this.#lists = fileLists(tree).length;
    this.#fileset = filesetOf(tree) !== undefined;
    this.#split = valueOf(tree, 'split') !== undefined;
  }

  /** Why nothing can ever fill this key, and what to do; undefined when something may. */
  reasonAgainst(key: string): [message: string, hint?: string] | undefined {
    if (always.includes(key)) return undefined;
    if (this.#captures.has(key)) return undefined;
    if (ofFiles.includes(key) && (this.#lists > 0 || key !== 'fileset')) return this.#needsFiles(key);
    const list = /^fileset(\d+)$/.exec(key)?.[1];
    if (list !== undefined) return this.#needsFileset(Number(list));
    if (/^\d+$/.test(key)) return this.#needsPart(Number(key));
    return this.#needsKey(key);
  }

  #needsFiles(key: string): [string, string?] | undefined {
    if (this.#lists > 0) return undefined;
    return valueOf(this.tree, key) === undefined ? ['the watch has no files', 'add glob'] : undefined;
  }

  #needsFileset(list: number): [string, string?] | undefined {
    if (!this.#fileset) return ['the watch has no fileset', 'set fileset, or write %(filename)s'];
    const last = this.#lists - 1;
    return list <= last ? undefined : [`the lists are numbered 0 to ${last}`, `write %(fileset${last})s`];
  }

  #needsPart(part: number): [string, string?] | undefined {
    if (this.#lists === 0) return ['the watch has no files', 'add glob'];
    if (part === 0 || this.#split) return undefined;
    return ['without split a name has only part 0', 'add split, e.g. "split": "."'];
  }

  #needsKey(key: string): [string, string?] | undefined {
    const value = valueOf(this.tree, key);
    if (value !== undefined) {
      const plain = toPlain(value);
      const single = value.kind === 'scalar' && plain !== null;
      const list = value.kind === 'list' && value.items.every((item) => item.kind === 'scalar');
      return single || list ? undefined : [`${key} is not a single value or a list of them`];
    }
    if (hasDefault(key)) return undefined;
    if (Object.hasOwn(watchSchema.shape, key)) return [`${key} is not set`, `add "${key}" to the watch`];
    const hint = suggest(key, this.#all());
    return hint === undefined ? ['there is no such key'] : ['there is no such key', hint];
  }

  #all(): string[] {
    const own = [...this.tree.entries.keys()].filter((key) => this.#needsKey(key) === undefined);
    return [...new Set([...always, ...(this.#lists > 0 ? ofFiles : []), ...this.#captures, ...own])];
  }
}

const defaultKeys: Readonly<Record<string, unknown>> = watchSchema.parse({});
const hasDefault = (key: string): boolean => Object.hasOwn(defaultKeys, key);

/** The document fills in once: a placeholder inside a value of the watch stays as it is, which surprises. */
function checkNested(tree: Mapping, used: ReadonlySet<string>, path: Path): Problem[] {
  return [...used].flatMap((key) => {
    const value = valueOf(tree, key);
    const texts = value?.kind === 'list' ? value.items : value === undefined ? [] : [value];
    return texts.flatMap((text) => {
      const [inner] =
        text.kind === 'scalar' && typeof text.value === 'string' ? placeholdersIn(text.value) : [];
      if (inner === undefined) return [];
      const message = `${inner.text} in the value of a key is not filled in: placeholders are filled in once`;
      return [warningAt(text.at, [...path, key], message, `write it in jobs instead of %(${key})s`)];
    });
  });
}

/** Captures named like a placeholder could never be reached. */
export function checkCaptureNames(tree: Mapping, path: Path): Problem[] {
  const pattern = valueOf(tree, 'pattern');
  if (pattern === undefined) return [];
  const taken = [...capturesOf(tree)].filter((name) => [...always, ...ofFiles].includes(name));
  return taken.map((name) =>
    warningAt(
      pattern.at,
      [...path, 'pattern'],
      `the capture ${name} is hidden by the placeholder %(${name})s`,
      'rename it',
    ),
  );
}
