import { UserError } from '../../../lib/errors.js';
import { printable } from '../../../lib/text.js';
import { clientExit, type Call } from '../context.js';
import { filterOf, isAssignment, jobAttributes } from '../job-words.js';
import { formatJson, presentable } from '../json.js';
import { refused, some } from './refused.js';

/** `job|get [ids|filter]` */
export async function getCommand(call: Call): Promise<number> {
  const client = await call.connect();
  call.context.out(formatJson(presentable(await client.request('get', filterOf(call.words)))));
  return clientExit.ok;
}

/** `ls [filter]` */
export async function listCommand(call: Call): Promise<number> {
  const client = await call.connect();
  const ids = await client.ids(filterOf(call.words));
  call.context.out(
    call.flags.has('plain') ? ids.map((id) => `${printable(id)}\n`).join('') : formatJson(ids),
  );
  return clientExit.ok;
}

/** `del|kill <ids|filter>`; without either nothing is killed */
export async function killCommand(call: Call): Promise<number> {
  const client = await call.connect();
  const filter = filterOf(call.words);
  const { ids, ...attributes } = filter;
  const which = Object.keys(attributes).length === 0 ? (ids ?? {}) : filter;
  const answer = await client.request('kill', which);
  call.context.out(formatJson(presentable(answer)));
  return refused(answer, call, 'is unknown');
}

/** `mod|set <ids|filter : > key=value ...` */
export async function modifyCommand(call: Call): Promise<number> {
  const { which, changes } = modification(call.words);
  const client = await call.connect();
  const ids = typeof which === 'string' || Array.isArray(which) ? which : await client.ids(which);
  const isOurs = client.agent.protocol >= 2;
  const missed = missedByRunning(changes);
  const running = new Set(isOurs && missed !== '' ? await client.ids({ ids, state: 'running' }) : []);
  const answers = await Promise.all(
    ids.map(async (id): Promise<[string, unknown]> => {
      // the original's own `modify` checks nothing: its submit of a known id does
      if (isOurs) return [id, jobOf(await client.request('modify', { [id]: changes }), id)];
      const before = await client.request('job', id);
      if (before === null) return [id, false];
      if (isRunning(before)) running.add(id);
      return [id, jobOf(await client.request('submit', { id, ...changes }), id)];
    }),
  );
  const answer = Object.fromEntries(answers);
  call.context.out(formatJson(presentable(answer)));
  if (missed !== '' && running.size > 0)
    call.context.err(
      `meeseeks-client: ${some([...running])} ${running.size === 1 ? 'is' : 'are'} running, and the present run is not affected: ${missed}\n`,
    );
  return refused(answer, call, 'is unknown, or cannot be changed now');
}

/** An agent takes these for a running job without a word: the first not at all, the others for its next run. */
const fixedWhileRunning = new Set(['pool', 'node']);
const forNextRun = new Set(['args', 'stdin', 'stdout', 'stderr', 'cwd', 'hold', 'priority', 'runtime']);

/** Of a change what does not reach the run of a running job, in words. Pure. */
function missedByRunning(changes: Readonly<Record<string, unknown>>): string {
  const given = Object.keys(changes);
  const ignored = given.filter(
    (key) => fixedWhileRunning.has(key) || (key === 'state' && changes[key] === 'new'),
  );
  const later = given.filter((key) => forNextRun.has(key));
  return [
    ...(ignored.length === 0 ? [] : [`not changed: ${ignored.join(', ')}`]),
    ...(later.length === 0 ? [] : [`for the next run: ${later.join(', ')}`]),
  ].join('; ');
}

const isRunning = (job: unknown): boolean =>
  typeof job === 'object' && job !== null && 'state' in job && job.state === 'running';

const jobOf = (answer: unknown, id: string): unknown =>
  typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>)[id] : false;

/** With `:` everything before it selects; without, ids are the words that set nothing. */
function modification(words: readonly string[]): {
  which: string[] | Record<string, unknown>;
  changes: Record<string, unknown>;
} {
  const colon = words.indexOf(':');
  const selecting = colon < 0 ? words.filter((word) => !isAssignment(word)) : words.slice(0, colon);
  const setting = colon < 0 ? words.filter(isAssignment) : words.slice(colon + 1);
  if (selecting.length === 0)
    throw new UserError('which jobs? Give ids, or a filter and ":" : mod state=failed : state=new');
  const stray = setting.find((word) => !isAssignment(word));
  if (stray !== undefined) throw new UserError(`${stray}: expected key=value after ":"`);
  const changes = jobAttributes(setting);
  if (Object.keys(changes).length === 0)
    throw new UserError('what is to change? Give key=value: mod JOB state=new');
  return { which: selecting.some(isAssignment) ? filterOf(selecting) : [...selecting], changes };
}
