import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  type Document,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import { buildMapping, mergeMappings, type RawEntry } from './merge.js';
import { errorAt, type Problem } from './problem.js';
import { scalar, type Location, type Mapping, type ScalarValue, type Tree } from './tree.js';
import { MAX_DEPTH, MAX_NODES, refuseKey, TOO_DEEP, UnusableFile, type ParsedTree } from './unusable.js';

type Doc = Document.Parsed;

/** YAML 1.2, one document. `null:` is the key "null"; `<<: *anchor` merges below the keys beside it. */
export function parseYaml(text: string, file: string): ParsedTree {
  const lines = new LineCounter();
  const locate = (offset: number): Location => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  if (!Array.isArray(documents)) return { problems: [] };
  const [document, second] = documents as Doc[];
  if (document === undefined) return { problems: [] };
  const [error] = [...document.errors, ...document.warnings];
  if (error !== undefined) return { problems: [syntaxError(error, locate)] };
  if (second !== undefined) {
    const at = locate(second.range[0]);
    return { problems: [errorAt(at, [], 'a second YAML document', 'write one document a file')] };
  }
  if (document.contents === null) return { problems: [] };
  return { tree: new Converter(document, locate).convert(document.contents, 0), problems: [] };
}

function syntaxError(error: YAMLError, locate: (offset: number) => Location): Problem {
  const hints: Partial<Record<string, string>> = {
    DUPLICATE_KEY: 'remove one of them',
    TAG_RESOLVE_FAILED: 'put keys and texts that start with ! in quotes',
    TAB_AS_INDENT: 'indent with spaces',
    BAD_INDENT: 'line it up with the keys beside it',
    MULTILINE_IMPLICIT_KEY: 'is a colon missing?',
    MISSING_CHAR: 'is a colon or a quote missing? A key that starts with ! needs quotes',
  };
  if (/call stack/i.test(error.message)) return errorAt(locate(error.pos[0]), [], TOO_DEEP);
  const [message = error.message] = error.message.split('\n');
  return errorAt(locate(error.pos[0]), [], `syntax error: ${message}`, hints[error.code]);
}

class Converter {
  #count = 0;
  constructor(
    readonly document: Doc,
    readonly locate: (offset: number) => Location,
  ) {}

  convert(node: unknown, depth: number, parent: Location = this.locate(0)): Tree {
    const at = this.#at(node, parent);
    if (depth > MAX_DEPTH) throw new UnusableFile(at, TOO_DEEP);
    // aliases of aliases grow without bound
    if (++this.#count > MAX_NODES) throw new UnusableFile(at, `has more than ${MAX_NODES} values`);
    if (isAlias(node)) return this.convert(node.resolve(this.document), depth + 1, at);
    if (isMap(node)) return this.#mapping(node, at, depth);
    if (isSeq(node)) {
      return { kind: 'list', at, items: node.items.map((item) => this.convert(item, depth + 1, at)) };
    }
    return scalar(isScalar(node) ? plain(node.value, at) : null, at);
  }

  #at(node: unknown, parent: Location): Location {
    const range = isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range : undefined;
    return range === undefined || range === null ? parent : this.locate(range[0]);
  }

  #mapping(node: YAMLMap, at: Location, depth: number): Mapping {
    const own: RawEntry[] = [];
    let below: Mapping | undefined;
    for (const pair of node.items) {
      const keyAt = this.#at(pair.key, at);
      const key = this.#key(pair.key, keyAt);
      const value = this.convert(pair.value, depth + 1, keyAt);
      if (key === '<<' && value.kind === 'map') below = value;
      else own.push({ key, at: keyAt, value });
    }
    this.#refuseRepeated(own);
    const mapping = buildMapping(at, own);
    return below === undefined ? mapping : mergeMappings(below, mapping);
  }

  /** The parser compares keys as values: `1` and `"1"` are two keys to it, but one to us. */
  #refuseRepeated(entries: readonly RawEntry[]): void {
    const seen = new Set<string>();
    for (const { key, at } of entries) {
      if (seen.has(key)) {
        throw new UnusableFile(
          at,
          `syntax error: the key ${JSON.stringify(key)} is repeated`,
          'remove one of them',
        );
      }
      seen.add(key);
    }
  }

  #key(node: unknown, at: Location): string {
    const value = isAlias(node) ? node.resolve(this.document) : node;
    if (value !== null && !isScalar(value)) throw new UnusableFile(at, 'a key must be a single value');
    const key = String(plain(value?.value, at));
    refuseKey(key, at);
    return key;
  }
}

function plain(value: unknown, at: Location): ScalarValue {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (value === null || value === undefined) return null;
  throw new UnusableFile(at, 'a value must be a text, a number, true, false or null', 'put it in quotes');
}
