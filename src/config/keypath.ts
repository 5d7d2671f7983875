/** One part of `watch."a.b".path`; a quoted or escaped part is literal, its `+` is no operator. */
interface KeyPart {
  readonly key: string;
  readonly literal: boolean;
}

export interface Assignment {
  readonly parts: readonly KeyPart[];
  /** `key:=value`: the value is JSON */
  readonly json: boolean;
  readonly value: string;
}

/**
 * Splits `key.subkey=value` at the first `=` that is not quoted. Dots part keys; `"..."` and `\` keep a dot.
 * Undefined when there is no `=` or nothing before it: then it is the name of a file.
 */
export function splitAssignment(argument: string): Assignment | undefined {
  const parts: KeyPart[] = [];
  let key = '';
  let literal = false;
  let quoted = false;
  for (let i = 0; i < argument.length; i++) {
    const character = argument[i]!;
    if (character === '\\' && i + 1 < argument.length) {
      key += argument[++i];
      literal = true;
    } else if (character === '"') {
      quoted = !quoted;
      literal = true;
    } else if (!quoted && character === '.') {
      parts.push({ key, literal });
      [key, literal] = ['', false];
    } else if (!quoted && character === '=') {
      const json = key.endsWith(':');
      parts.push({ key: json ? key.slice(0, -1) : key, literal });
      const empty = parts.every((part) => part.key === '');
      return empty ? undefined : { parts, json, value: argument.slice(i + 1) };
    } else key += character;
  }
  return undefined;
}
