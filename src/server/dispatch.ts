import type { z } from 'zod';
import { parseArgument, RequestError } from './errors.js';
import { wireOptions } from '../protocol/wire.js';
import { isMapping, pretty, toAscii } from './json.js';
import { handlers } from './requests/index.js';
import { Later } from './service.js';
import type { Call, Service, Session } from './service.js';

/** Requests in one line. */
const MOST_REQUESTS = 65_536;
/** Characters of answers to one line: a few bytes can ask for every job, and ask again. */
const MOST_ANSWERED = 64 * 1024 * 1024;

/** The answer to a line, still with what is only known when the submits are on disk. */
export interface LineAnswer {
  readonly items: readonly (string | Item)[];
  /** true: it can only be read after a flush of the batch */
  readonly waits: boolean;
}

interface Item {
  readonly entries: readonly (readonly [request: string, answer: unknown])[];
  readonly pretty: boolean;
}

/**
 * Runs the requests of a line in order. The first that fails is answered with an error, the rest is not run; what was
 * answered before stays. Never throws.
 */
export function runLine(line: Buffer, service: Service, session: Session): LineAnswer {
  const items: (string | Item)[] = [];
  try {
    let size = 0;
    for (const request of requestsOf(session.parser.parse(line))) {
      if (size > MOST_ANSWERED) throw tooMuch();
      const item = runRequest(request, service, session);
      const answer = waitsFor(item) ? item : renderItem(item);
      items.push(answer);
      if (typeof answer === 'string') size += answer.length;
    }
  } catch (error) {
    items.push(renderError(error, service));
  }
  return { items, waits: items.some((item) => typeof item !== 'string') };
}

const waitsFor = ({ entries }: Item): boolean => entries.some(([, answer]) => answer instanceof Later);

function requestsOf(value: unknown): unknown[] {
  if (value === null) return [];
  if (!Array.isArray(value)) throw new RequestError('expected a list of requests: [{"<request>": ...}, ...]');
  if (value.length > MOST_REQUESTS)
    throw new RequestError(`more than ${MOST_REQUESTS} requests in a line; send several lines`);
  return value;
}

function runRequest(request: unknown, service: Service, session: Session): Item {
  if (!isMapping(request)) throw new RequestError('expected a request: {"<request>": ...}');
  const { env, output, pretty: isPretty } = optionsOf(request['options']);
  const call: Call = { service, session, options: { env: env === true, output: output !== false } };
  const entries: (readonly [string, unknown])[] = [];
  for (const [name, argument] of Object.entries(request)) {
    const handler = handlers.get(name);
    if (handler === undefined) continue;
    if (!session.authorised && name !== 'hello')
      throw new RequestError('a token is needed: [{"hello": {"protocol": 2, "token": "..."}}]');
    // whoever looks must see what was submitted before
    if (name !== 'submit' && !service.submits.isEmpty) service.submits.flush();
    entries.push([name, handler(argument, call)]);
  }
  return { entries, pretty: isPretty === true };
}

const optionsOf = (options: unknown): Partial<z.output<typeof wireOptions>> =>
  options === undefined || options === null ? {} : parseArgument(wireOptions, options, 'options');

/** The answer as a line. To be called after the flush it waits for. Never throws. */
export function renderLine({ items }: LineAnswer, service: Service): string {
  const answers: string[] = [];
  let size = 0;
  try {
    for (const item of items) {
      if (size > 2 * MOST_ANSWERED) throw tooMuch();
      const answer = typeof item === 'string' ? item : renderItem(item);
      answers.push(answer);
      size += answer.length;
    }
  } catch (error) {
    answers.push(renderError(error, service));
  }
  return `[${answers.join(',')}]\n`;
}

/** @throws RequestError when a submit it waited for was refused, or when it is too large */
function renderItem(item: Item): string {
  const [first] = item.entries;
  if (item.entries.length === 1 && first?.[1] instanceof Later && !item.pretty)
    return `{${toAscii(first[0])}:${first[1].text()}}`;
  const answer = Object.fromEntries(
    item.entries.map(([name, value]) => [name, value instanceof Later ? value.read() : value]),
  );
  try {
    return toAscii(item.pretty ? pretty(answer) : answer);
  } catch (error) {
    if (error instanceof RangeError) throw tooMuch();
    throw error;
  }
}

const renderError = (error: unknown, service: Service): string =>
  toAscii({ error: messageOf(error, service) });

const tooMuch = (): RequestError =>
  new RequestError('the answer is too large; ask for fewer jobs at a time, in several lines');

function messageOf(error: unknown, { log }: Service): string {
  if (error instanceof RequestError) return error.message;
  log.error({ err: error }, 'a request failed');
  return error instanceof Error ? error.message : String(error);
}
