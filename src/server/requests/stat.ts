import type { JobCount, JobRecord } from '../../agent/types.js';
import { isFinished } from '../../protocol/job.js';
import { wireStat } from '../../protocol/wire.js';
import type { WireStat } from '../../protocol/wire.js';
import { parseArgument } from '../errors.js';
import { isEmptyFilter } from '../filter.js';
import { show } from '../service.js';
import type { Handler, Service } from '../service.js';
import { select } from './get.js';

const NEWEST = 20;

/**
 * `stat`: how many jobs of a filter there are, by node, pool and state, and of the jobs only those that run and the
 * latest. All jobs are counted from an index; with a filter each is looked at.
 */
export const stat: Handler = (argument, call) => {
  const request = parseArgument(wireStat, argument ?? {}, 'stat');
  const { counts, records } = survey(request, call.service);
  return {
    total: counts.reduce((sum, { jobs }) => sum + jobs, 0),
    counts: counts.map(({ node, ...rest }) => ({ node: node ?? call.service.node, ...rest })),
    jobs: Object.fromEntries(records.map((record) => [record.id, show(record, call, false)])),
  };
};

interface Survey {
  readonly counts: readonly JobCount[];
  readonly records: readonly JobRecord[];
}

function survey({ filter, newest = NEWEST, active = false }: WireStat, service: Service): Survey {
  const { core } = service;
  if (filter === undefined || isEmptyFilter(filter)) {
    const counts = core.tally();
    const wanted = active ? counts.filter(({ state }) => !isFinished(state)) : counts;
    return { counts: wanted, records: core.newest(newest, active) };
  }
  const found = select(filter, service);
  const records = active ? found.filter(({ state }) => !isFinished(state)) : found;
  return { counts: tallied(records), records: records.toSorted(byInterest).slice(0, newest) };
}

function tallied(records: readonly JobRecord[]): JobCount[] {
  const counts = new Map<string, { -readonly [K in keyof JobCount]: JobCount[K] }>();
  for (const { spec, state } of records) {
    const { pool, node } = spec;
    const key = JSON.stringify([node, pool, state]);
    const count = counts.get(key) ?? { node, pool, state, jobs: 0 };
    count.jobs++;
    counts.set(key, count);
  }
  return [...counts.values()];
}

/** What runs, then what changed last. */
function byInterest(a: JobRecord, b: JobRecord): number {
  return Number(b.state === 'running') - Number(a.state === 'running') || b.seq - a.seq;
}
