import { extname } from 'node:path';
import { parseJson } from './parse-json.js';
import { parseYaml } from './parse-yaml.js';
import { errorAt, hasErrors, type Problem } from './problem.js';
import { emptyMap, isNull, type Location, type Mapping, type Tree } from './tree.js';
import { MAX_BYTES, TOO_DEEP, UnusableFile } from './unusable.js';

export interface Parsed {
  readonly tree?: Mapping;
  readonly problems: readonly Problem[];
}

/**
 * Parses a configuration file: YAML for `.yaml`/`.yml`, else JSON with comments and trailing commas
 * (contract, "Configuration"). Never throws: whatever is wrong comes back as problems with positions.
 */
export function parse(content: Uint8Array, file: string): Parsed {
  try {
    const text = decode(content, file);
    const { tree, problems } = /^\.ya?ml$/i.test(extname(file))
      ? parseYaml(text, file)
      : parseJson(text, file);
    if (hasErrors(problems)) return { problems };
    return { problems, tree: asMapping(tree, file) };
  } catch (error) {
    return { problems: [unusable(error, file)] };
  }
}

function unusable(error: unknown, file: string): Problem {
  if (error instanceof UnusableFile) return errorAt(error.at, [], error.message, error.hint);
  // the parsers recurse: a stack overflow is the file's fault
  if (error instanceof RangeError) return errorAt({ file, line: 1, column: 1 }, [], TOO_DEEP);
  const message = error instanceof Error ? error.message : String(error);
  return errorAt({ file, line: 1, column: 1 }, [], `cannot be parsed: ${message}`);
}

function asMapping(tree: Tree | undefined, file: string): Mapping {
  if (tree === undefined || isNull(tree)) return emptyMap(tree?.at ?? { file, line: 1, column: 1 });
  if (tree.kind === 'map') return tree;
  const found = tree.kind === 'list' ? 'a list' : 'a single value';
  throw new UnusableFile(
    tree.at,
    `expected a mapping at the top of the file, found ${found}`,
    'start with {',
  );
}

function decode(content: Uint8Array, file: string): string {
  const at = { file, line: 1, column: 1 };
  if (content.length > MAX_BYTES) {
    throw new UnusableFile(at, `is larger than ${MAX_BYTES / 1024 / 1024} MiB`, 'is it a data file?');
  }
  const zero = content.indexOf(0);
  if (zero >= 0) {
    throw new UnusableFile(
      positionIn(content, zero, file),
      'is not a text file (it has a NUL byte)',
      'save it as UTF-8',
    );
  }
  const text = Buffer.from(content).toString('utf8');
  const bad = text.indexOf('\ufffd');
  if (bad >= 0 && !Buffer.from(text, 'utf8').equals(Buffer.from(content))) {
    const before = Buffer.from(text.slice(0, bad), 'utf8').length;
    throw new UnusableFile(positionIn(content, before, file), 'is not valid UTF-8', 'save it as UTF-8');
  }
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

function positionIn(content: Uint8Array, offset: number, file: string): Location {
  const before = Buffer.from(content.subarray(0, offset)).toString('latin1');
  const start = before.lastIndexOf('\n') + 1;
  return { file, line: before.split('\n').length, column: before.length - start + 1 };
}
