import { parseArgument, RequestError } from './errors.js';
import { wireOptions } from '../protocol/wire.js';
import { isMapping, parseLine, pretty, toAscii } from './json.js';
import { handlers } from './requests/index.js';
import { Later } from './service.js';
import type { Call, Service, Session } from './service.js';

/** The answer to a line, still with what is only known when the submits are on disk. */
export interface LineAnswer {
  readonly items: readonly Item[];
  /** true: it can only be read after a flush of the batch */
  readonly waits: boolean;
}

interface Item {
  readonly entries: readonly (readonly [request: string, answer: unknown])[];
  readonly pretty: boolean;
}

const errorItem = (message: string): Item => ({ entries: [['error', message]], pretty: false });

/**
 * Runs the requests of a line in order. The first that fails is answered with an error, the rest is not run; what was
 * answered before stays. Never throws.
 */
export function runLine(line: Buffer, service: Service, session: Session): LineAnswer {
  const items: Item[] = [];
  try {
    for (const request of requestsOf(parseLine(line))) items.push(runRequest(request, service, session));
  } catch (error) {
    items.push(errorItem(messageOf(error, service)));
  }
  const waits = items.some(({ entries }) => entries.some(([, answer]) => answer instanceof Later));
  return { items, waits };
}

function requestsOf(value: unknown): unknown[] {
  if (value === null) return [];
  if (!Array.isArray(value)) throw new RequestError('expected a list of requests: [{"<request>": ...}, ...]');
  return value;
}

function runRequest(request: unknown, service: Service, session: Session): Item {
  if (!isMapping(request)) throw new RequestError('expected a request: {"<request>": ...}');
  const options = parseArgument(wireOptions, request['options'] ?? {}, 'options');
  const call: Call = {
    service,
    session,
    options: { env: options.env === true, output: options.output !== false },
  };
  const entries = Object.entries(request).flatMap(([name, argument]) => {
    const handler = handlers.get(name);
    if (handler === undefined) return [];
    if (!session.authorised && name !== 'hello')
      throw new RequestError('a token is needed: [{"hello": {"protocol": 2, "token": "..."}}]');
    // whoever looks must see what was submitted before
    if (name !== 'submit' && !service.submits.isEmpty) service.submits.flush();
    return [[name, handler(argument, call)] as const];
  });
  return { entries, pretty: options.pretty === true };
}

/** The answer as a line. To be called after the flush it waits for. Never throws. */
export function renderLine({ items }: LineAnswer, service: Service): string {
  const answers: unknown[] = [];
  for (const item of items) {
    try {
      const answer = Object.fromEntries(
        item.entries.map(([name, value]) => [name, value instanceof Later ? value.read() : value]),
      );
      answers.push(item.pretty ? pretty(answer) : answer);
    } catch (error) {
      answers.push({ error: messageOf(error, service) });
      break;
    }
  }
  try {
    return `${toAscii(answers)}\n`;
  } catch (error) {
    return `${toAscii([{ error: messageOf(error, service) }])}\n`;
  }
}

function messageOf(error: unknown, { log }: Service): string {
  if (error instanceof RequestError) return error.message;
  log.error({ err: error }, 'a request failed');
  return error instanceof Error ? error.message : String(error);
}
