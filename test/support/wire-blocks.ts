import { connect } from 'node:net';
import { createInterface } from 'node:readline';

/**
 * An exchange of docs/protocol.md: lines that start with `> ` are sent, those with `< ` are the answers. Of what differs
 * from run to run (times, numbers, paths, the version) only the type must be the same. `"...": "..."` in a mapping stands
 * for other keys.
 * @returns what is not as the page says
 */
export async function wireProblems(text: string, port: number, hello: boolean): Promise<string[]> {
  const socket = connect(port, '127.0.0.1');
  const answers: string[] = [];
  let wake = (): void => undefined;
  createInterface({ input: socket }).on('line', (line) => {
    answers.push(line);
    wake();
  });
  const next = async (): Promise<string> => {
    for (const end = Date.now() + 60_000; answers.length === 0;) {
      if (Date.now() > end) return 'null';
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, 100);
      });
    }
    return answers.shift()!;
  };
  const problems: string[] = [];
  try {
    if (hello) {
      socket.write('[{"hello": {"protocol": 2}}]\n');
      await next();
    }
    for (const line of joined(text)) {
      if (line.startsWith('> ')) socket.write(`${line.slice(2)}\n`);
      else {
        const actual = await next();
        if (!matches(JSON.parse(line.slice(2)), JSON.parse(actual))) problems.push(`${line}\n  is ${actual}`);
      }
    }
    if (answers.length > 0) problems.push(`more came: ${answers.join('\n')}`);
  } finally {
    socket.destroy();
  }
  return problems;
}

/** Indented lines go on with the one before. */
const joined = (text: string): string[] =>
  text
    .trimEnd()
    .replaceAll(/\n {2,}/g, ' ')
    .split('\n');

const VARYING = /^(seq|pid|uid|loadavg|version|state_dir|port|.*ts|.*_path)$/;

function matches(wanted: unknown, actual: unknown, key = ''): boolean {
  if (VARYING.test(key)) return typeof wanted === typeof actual;
  if (Array.isArray(wanted))
    return (
      Array.isArray(actual) &&
      wanted.length === actual.length &&
      wanted.every((one, i) => matches(one, actual[i]))
    );
  if (typeof wanted !== 'object' || wanted === null) return wanted === actual;
  if (typeof actual !== 'object' || actual === null || Array.isArray(actual)) return false;
  const { '...': open, ...keys } = wanted as Record<string, unknown>;
  const found = actual as Record<string, unknown>;
  if (open === undefined && Object.keys(found).some((name) => !Object.hasOwn(keys, name))) return false;
  return Object.entries(keys).every(
    ([name, value]) => Object.hasOwn(found, name) && matches(value, found[name], name),
  );
}
