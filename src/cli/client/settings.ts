import { suggest } from '../../config/nearest.js';
import type { ConnectOptions } from '../../client/options.js';
import { UserError } from '../../lib/errors.js';

type Values = Readonly<Record<string, unknown>>;

/** Options of the client by name; those of TLS are `ssl.<name>`. */
const kinds: Readonly<Record<string, 'text' | 'number'>> = {
  address: 'text',
  port: 'number',
  refresh: 'number',
  timeout: 'number',
  patience: 'number',
  token: 'text',
  token_file: 'text',
};
const sslKeys = [
  'ca',
  'cafile',
  'cert',
  'certfile',
  'key',
  'keyfile',
  'password',
  'ciphers',
  'servername',
  'server_hostname',
  'check_hostname',
  'verify_mode',
  'cert_reqs',
  'minimum_version',
] as const;

export const settingNames = [...Object.keys(kinds), 'file', ...sslKeys.map((key) => `ssl.${key}`)];

/**
 * The client's options: MEESEEKS_CONF, then the command line; later ones win, and a file counts where it is named.
 * @throws UserError
 */
export async function clientSettings(
  words: readonly string[],
  environment: string | undefined,
  cwd: string,
): Promise<ConnectOptions> {
  const all = [...(environment ?? '').split(/\s+/).filter((word) => word !== ''), ...words].map(splitWord);
  const expanded = await Promise.all(
    all.map(async ([key, value]): Promise<[string, unknown][]> =>
      key === 'file' ? flat((await import('./settings-file.js')).clientSection(value, cwd)) : [[key, value]],
    ),
  );
  return optionsOf(expanded.flat());
}

function splitWord(word: string): [key: string, value: string] {
  const at = word.indexOf('=');
  if (at <= 0) throw new UserError(`${word}: expected key=value as an option of the client`);
  return [word.slice(0, at), word.slice(at + 1)];
}

function flat(values: Values): [string, unknown][] {
  return Object.entries(values).flatMap(([key, value]) =>
    key === 'ssl' && typeof value === 'object' && value !== null
      ? Object.entries(value).map(([name, inner]): [string, unknown] => [`ssl.${name}`, inner])
      : [[key, value] as [string, unknown]],
  );
}

function optionsOf(pairs: readonly (readonly [string, unknown])[]): ConnectOptions {
  const options: Record<string, unknown> = {};
  const ssl: Record<string, unknown> = {};
  for (const [key, value] of pairs) {
    if (key === 'ssl') options['ssl'] = value === true || value === 'true' || value === '1';
    else if (key.startsWith('ssl.')) ssl[sslName(key)] = sslValue(key, value);
    else options[key] = typed(key, value);
  }
  return { ...options, ...(Object.keys(ssl).length === 0 ? {} : { ssl }) };
}

function sslName(key: string): string {
  const name = key.slice('ssl.'.length);
  if ((sslKeys as readonly string[]).includes(name)) return name;
  throw new UserError(`${key}= is no option of the client; ${suggest(key, settingNames) ?? ''}`);
}

const sslValue = (key: string, value: unknown): unknown =>
  key === 'ssl.check_hostname' ? !/^(0|false|no|off)$/i.test(String(value)) : String(value);

function typed(key: string, value: unknown): string | number {
  const kind = kinds[key];
  if (kind === undefined)
    throw new UserError(`${key}= is no option of the client; ${suggest(key, settingNames) ?? ''}`);
  if (kind === 'text') return String(value);
  const number = Number(value);
  if (String(value).trim() !== '' && Number.isFinite(number) && number >= 0) return number;
  throw new UserError(`${key}=${String(value)}: expected a number`);
}
