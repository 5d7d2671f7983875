import { parseTree, printParseErrorCode, type Node, type ParseError } from 'jsonc-parser';
import { buildMapping, type RawEntry } from './merge.js';
import { errorAt, warningAt, type Problem } from './problem.js';
import { scalar, type Location, type Mapping, type ScalarValue, type Tree } from './tree.js';
import { MAX_DEPTH, MAX_NODES, refuseKey, TOO_DEEP, UnusableFile, type ParsedTree } from './unusable.js';

/** JSON with comments and trailing commas. A repeated key is a warning: the last one counts, as everywhere. */
export function parseJson(text: string, file: string): ParsedTree {
  const locate = locator(text, file);
  if (text.trim() === '') return { problems: [errorAt(locate(0), [], 'is empty', 'write at least {}')] };
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first !== undefined) return { problems: [syntaxError(first, text, locate)] };
  if (root === undefined) return { problems: [errorAt(locate(0), [], 'has no value', 'write at least {}')] };
  return convertRoot(root, locate);
}

type Locate = (offset: number) => Location;

/** Offsets to lines and columns, by bisection over the line starts. */
function locator(text: string, file: string): Locate {
  const starts = [0];
  for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) starts.push(i + 1);
  return (offset) => {
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { file, line: low + 1, column: offset - starts[low]! + 1 };
  };
}

const messages: Partial<Record<string, readonly [message: string, hint?: string]>> = {
  InvalidSymbol: ['is not JSON', 'put text and keys in double quotes'],
  InvalidNumberFormat: ['is not a number', 'put text in double quotes'],
  PropertyNameExpected: ['a key is missing here', 'write "key": value'],
  ValueExpected: ['a value is missing here'],
  ColonExpected: ['a colon is missing here', 'write "key": value'],
  CommaExpected: ['a comma is missing before this'],
  CloseBraceExpected: ['a closing } is missing'],
  CloseBracketExpected: ['a closing ] is missing'],
  EndOfFileExpected: ['unexpected text after the end of the configuration', 'is there a } too many?'],
  UnexpectedEndOfComment: ['a comment does not end', 'close it with */'],
  UnexpectedEndOfString: ['a text does not end', 'close it with a double quote on the same line'],
  InvalidEscapeCharacter: ['unknown escape in a text', 'write \\\\ for a backslash'],
  InvalidUnicode: ['bad \\u escape in a text', 'write four hexadecimal digits'],
  InvalidCharacter: ['a control character in a text', 'write \\n for a new line, \\t for a tab'],
};

function syntaxError(error: ParseError, text: string, locate: Locate): Problem {
  const [message, hint] = messages[printParseErrorCode(error.error)] ?? ['syntax error'];
  const found = text.slice(error.offset, error.offset + Math.min(error.length, 20)).trim();
  const what = found === '' ? message : `${message}: ${found}`;
  return errorAt(locate(error.offset), [], `syntax error: ${what}`, hint);
}

function convertRoot(root: Node, locate: Locate): ParsedTree {
  const problems: Problem[] = [];
  let count = 0;
  const convert = (node: Node, depth: number): Tree => {
    const at = locate(node.offset);
    if (depth > MAX_DEPTH) throw new UnusableFile(at, TOO_DEEP);
    if (++count > MAX_NODES) throw new UnusableFile(at, `has more than ${MAX_NODES} values`);
    const children = node.children ?? [];
    if (node.type === 'object') return mapping(children, at, depth);
    if (node.type === 'array') {
      return { kind: 'list', at, items: children.map((child) => convert(child, depth + 1)) };
    }
    const value: unknown = node.value;
    return scalar(value as ScalarValue, at);
  };
  const mapping = (properties: readonly Node[], at: Location, depth: number): Mapping => {
    const raw = new Map<string, RawEntry>();
    for (const property of properties) {
      const [keyNode, valueNode] = property.children ?? [];
      if (keyNode === undefined || valueNode === undefined) continue;
      const key = String(keyNode.value);
      const keyAt = locate(keyNode.offset);
      refuseKey(key, keyAt);
      const earlier = raw.get(key);
      if (earlier !== undefined) problems.push(duplicate(key, keyAt, earlier.at));
      raw.set(key, { key, at: keyAt, value: convert(valueNode, depth + 1) });
    }
    return buildMapping(at, [...raw.values()]);
  };
  const tree = convert(root, 0);
  return { tree, problems };
}

function duplicate(key: string, at: Location, earlier: Location): Problem {
  const name = JSON.stringify(key);
  return warningAt(
    at,
    [],
    `the key ${name} is repeated; this one counts, not the one in line ${earlier.line}`,
    'remove one',
  );
}
