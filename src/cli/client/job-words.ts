import { suggest } from '../../config/nearest.js';
import { UserError } from '../../lib/errors.js';
import { isJobState, jobStates } from '../../protocol/states.js';

type Kind = 'text' | 'list' | 'number' | 'flag' | 'node' | 'state';

/** What a person may set of a job, and its type. */
const settable: Readonly<Record<string, Kind>> = {
  id: 'text',
  pool: 'text',
  node: 'node',
  stdin: 'text',
  stdout: 'text',
  stderr: 'text',
  restart: 'flag',
  retries: 'number',
  resubmit: 'flag',
  runtime: 'number',
  state: 'state',
  hold: 'flag',
  tag: 'list',
  tags: 'list',
  priority: 'number',
  kill_grace: 'number',
  cwd: 'text',
};

/** What jobs may be selected by, besides the keys above. Unknown ones are text. */
const selectable: Readonly<Record<string, Kind>> = {
  ...settable,
  node: 'text',
  state: 'text',
  tag: 'text',
  tags: 'text',
  ids: 'list',
  active: 'flag',
  ...Object.fromEntries(
    ['rc', 'pid', 'seq', 'ts', 'submit_ts', 'start_ts', 'end_ts', 'start_count', 'fail_count'].map((key) => [
      key,
      'number' as const,
    ]),
  ),
};

/** Names for completion. */
export const submitKeys = [...Object.keys(settable).filter((key) => key !== 'tags'), 'env'];
export const filterKeys = ['node', 'pool', 'state', 'tag', 'active', 'seq', 'ts'];

const assignment = /^([A-Za-z_][\w.]*)(:?)=(.*)$/s;

/** True for `key=value`; an id or a command may contain `=` only after something else. */
export const isAssignment = (word: string): boolean => assignment.test(word);

/** `key=value ...` for submit and mod. @throws UserError with what was expected */
export function jobAttributes(words: readonly string[]): Record<string, unknown> {
  const entries = words.map((word): [string, unknown] => {
    const [key, json, text] = split(word);
    const kind = settable[key];
    if (kind === undefined && !json) throw new UserError(unknownKey(key));
    return [key === 'tag' ? 'tags' : key, json ? parseJson(word, text) : typed(key, text, kind ?? 'text')];
  });
  return Object.fromEntries(entries);
}

/** Job ids and `key=value` as a filter of `get`. */
export function filterOf(words: readonly string[]): Record<string, unknown> {
  const ids = words.filter((word) => !isAssignment(word));
  const attributes = words.filter(isAssignment).map((word): [string, unknown] => {
    const [key, json, text] = split(word);
    if (key === 'state' && !json) mustBeState(text);
    return [
      key === 'tags' ? 'tag' : key,
      json ? parseJson(word, text) : typed(key, text, selectable[key] ?? 'text'),
    ];
  });
  return { ...(ids.length === 0 ? {} : { ids }), ...Object.fromEntries(attributes) };
}

/** A misspelt state would select nothing, without a word. */
function mustBeState(text: string): void {
  if (text.endsWith('*') || isJobState(text)) return;
  throw new UserError(`state=${text}: no such state; ${suggest(text, jobStates) ?? ''}`);
}

function split(word: string): [key: string, json: boolean, text: string] {
  const [, key, json, text] = assignment.exec(word) ?? [];
  if (key === undefined || text === undefined) throw new UserError(`${word}: expected key=value`);
  return [key, json === ':', text];
}

export const ENV_IS_FIXED =
  'env= counts when a job is submitted; a job that is there keeps its environment: submit another';

const unknownKey = (key: string): string =>
  key === 'env'
    ? ENV_IS_FIXED
    : `${key}= is no attribute of a job that can be set; ${suggest(key, submitKeys) ?? ''}`;

function typed(key: string, text: string, kind: Kind): unknown {
  switch (kind) {
    case 'text':
      return text;
    case 'list':
      return text.split(',').filter((item) => item !== '');
    case 'node':
      return text.includes(',') ? text.split(',').filter((item) => item !== '') : text;
    case 'number':
      return numberOf(key, text);
    case 'flag':
      return flagOf(key, text);
    case 'state':
      if (text === 'new' || text === 'killed') return text;
      throw new UserError(`state=${text}: only new (start a finished job again) and killed can be set`);
  }
}

function numberOf(key: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value)) return value;
  throw new UserError(`${key}=${text}: expected a number`);
}

function flagOf(key: string, text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  if (/^(0|false|no|off|)$/i.test(text)) return false;
  throw new UserError(`${key}=${text}: expected 1 or 0`);
}

function parseJson(word: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UserError(`${word}: what follows := must be JSON`);
  }
}
