import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

type Settings = Readonly<Record<string, unknown>>;

interface Secret {
  readonly key: string;
  readonly value: string;
  /** the key that names a file with it, where there is one */
  readonly fileKey?: string;
}

export interface SecretSource {
  readonly files: readonly string[];
  readonly overrides: readonly string[];
}

/**
 * Where anybody on this machine can read a secret of a section, in the configuration or in a file that it names, and
 * what to do about it: a sentence each, without the secret. @param section its key
 */
export function exposures(
  section: string,
  settings: Settings | undefined,
  source: SecretSource,
  cwd: string,
): string[] {
  return [
    ...exposedSecrets(secretsOf(section, settings), source, cwd),
    ...exposedFiles(section, settings, cwd),
  ];
}

/** What is spelt out. */
function secretsOf(section: string, settings: Settings | undefined): Secret[] {
  const { token, ssl } = settings ?? {};
  const password = isMap(ssl) ? ssl['password'] : undefined;
  return [
    ...(isText(token) ? [{ key: `${section}.token`, value: token, fileKey: `${section}.token_file` }] : []),
    ...(isText(password) ? [{ key: `${section}.ssl.password`, value: password }] : []),
  ];
}

function exposedSecrets(
  secrets: readonly Secret[],
  { files, overrides }: SecretSource,
  cwd: string,
): string[] {
  return secrets.flatMap(({ key, value, fileKey }) => {
    const elsewhere = fileKey === undefined ? '' : `, or put it into a file of its own (${fileKey})`;
    const inFiles = files
      .filter((file) => isReadableByAll(resolve(cwd, file)) && holds(resolve(cwd, file), value))
      .map((file) => `anybody may read ${key} in ${file}; chmod o-r ${file}${elsewhere}`);
    const isInWords = overrides.some((word) => word.includes(value));
    const inWords = `anybody can see ${key} on the command line (ps); put it into the configuration${elsewhere}`;
    return isInWords ? [...inFiles, inWords] : inFiles;
  });
}

function holds(file: string, value: string): boolean {
  try {
    const text = readFileSync(file, 'utf8');
    return text.includes(value) || text.includes(JSON.stringify(value).slice(1, -1));
  } catch {
    return false;
  }
}

function exposedFiles(section: string, settings: Settings | undefined, cwd: string): string[] {
  const { token_file, ssl } = settings ?? {};
  const named: readonly (readonly [string, unknown])[] = [
    ['token_file', token_file],
    ...(isMap(ssl) ? ['keyfile', 'key'].map((name) => [`ssl.${name}`, ssl[name]] as const) : []),
  ];
  return named.flatMap(([key, path]) =>
    isText(path) && isReadableByAll(resolve(cwd, path))
      ? [`anybody may read ${path} (${section}.${key}); chmod o-r ${path}`]
      : [],
  );
}

/** The file, and every directory on the way to it. */
function isReadableByAll(file: string): boolean {
  try {
    const path = realpathSync(file);
    if ((statSync(path).mode & 0o004) === 0) return false;
    for (let at = dirname(path); ; at = dirname(at)) {
      if ((statSync(at).mode & 0o001) === 0) return false;
      if (at === dirname(at)) return true;
    }
  } catch {
    return false;
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isMap = (value: unknown): value is Settings => typeof value === 'object' && value !== null;
