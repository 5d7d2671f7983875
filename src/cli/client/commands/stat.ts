import { suggest } from '../../../config/nearest.js';
import { UserError } from '../../../lib/errors.js';
import type { Job } from '../../../protocol/job.js';
import { isFinished } from '../../../protocol/states.js';
import type { Client, JobCount } from '../../../client/api.js';
import { clientExit, type Call } from '../context.js';
import { filterOf, isAssignment } from '../job-words.js';
import { formatJson } from '../json.js';
import { statOf, type Stat } from '../stat-model.js';
import { renderStat, type Elements } from '../stat-view.js';

const NEWEST = 20;
const elementNames = ['nodes', 'pools', 'jobs', 'active', 'tree', 'flat', 'all'] as const;
type Element = (typeof elementNames)[number];

/** `stat|show [filter] {nodes pools jobs active tree}` */
export async function statCommand(call: Call): Promise<number> {
  const view = viewOf(call);
  const client = await call.connect();
  for (;;) {
    const stat = await gather(client, view);
    call.context.out(call.json ? formatJson(plain(stat)) : renderStat(stat, renderOptions(view, call)));
    if (call.refresh === undefined || stat.counts.new + stat.counts.running === 0) return clientExit.ok;
    await new Promise<void>((resolve) => call.context.clock.after(call.refresh! * 1000, resolve));
    if (!call.json) call.context.out('\n');
  }
}

export interface StatView {
  readonly filter: Readonly<Record<string, unknown>>;
  readonly chosen: ReadonlySet<Element>;
  readonly limit: number;
}

/** The words of a `stat`: attributes select jobs, other words choose what to show; their beginning is enough. */
export function viewOf(call: Call): StatView {
  const chosen = new Set(call.words.filter((word) => !isAssignment(word)).map(elementOf));
  if (call.flags.has('all')) chosen.add('all');
  const filter = filterOf(call.words.filter(isAssignment));
  return { filter, chosen, limit: chosen.has('all') ? Infinity : NEWEST };
}

/** One letter is as good as the word; `all` needs two, `a` is the documented `active`. */
function elementOf(word: string): Element {
  const found = elementNames.find((name) => name.startsWith(word.toLowerCase()));
  if (word !== '' && found !== undefined) return found;
  throw new UserError(`${word}: no such part of the status; ${suggest(word, elementNames) ?? ''}`);
}

/** Everything that is shown: what there is, and of the jobs how many, and those to show. */
async function gather(client: Client, view: StatView): Promise<Stat> {
  const options = { newest: view.limit, active: view.chosen.has('active') };
  const [nodes, pools, { counts, jobs }] = await Promise.all([
    client.nodes(),
    client.pools(),
    client.summary(view.filter, options),
  ]);
  return statFrom(nodes, pools, jobs, view, counts);
}

/** @param counts of all jobs, where `jobs` are only some of them */
export function statFrom(
  nodes: Awaited<ReturnType<Client['nodes']>>,
  pools: Awaited<ReturnType<Client['pools']>>,
  jobs: readonly Job[],
  { filter, chosen, limit }: StatView,
  counts?: readonly JobCount[],
): Stat {
  return statOf({
    nodes,
    pools,
    jobs: chosen.has('active') ? jobs.filter((job) => job.active || !isFinished(job.state)) : jobs,
    counts,
    limit,
    isTree: chosen.has('tree'),
    isFiltered: Object.keys(filter).length > 0,
  });
}

export const renderOptions = (
  { chosen }: StatView,
  { context }: Call,
): { elements: Elements; width: number; now: number } => ({
  elements: elementsOf(chosen),
  width: context.columns,
  now: context.clock.now(),
});

function elementsOf(chosen: ReadonlySet<Element>): Elements {
  const some = chosen.has('nodes') || chosen.has('pools') || chosen.has('jobs');
  return {
    nodes: !some || chosen.has('nodes'),
    pools: !some || chosen.has('pools'),
    jobs: !some || chosen.has('jobs'),
  };
}

const plain = (stat: Stat): unknown => JSON.parse(JSON.stringify(stat));
