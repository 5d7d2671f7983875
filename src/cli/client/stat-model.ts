import type { JobCount, Node, Pools } from '../../client/api.js';
import { summarise } from '../../client/summary.js';
import type { Job } from '../../protocol/job.js';
import { isFinished, jobStates, type JobState } from '../../protocol/states.js';

export type Counts = Readonly<Record<JobState, number>>;

export interface PoolStat {
  readonly name: string;
  readonly node: string;
  /** free slots; null: no limit; undefined: no such pool there */
  readonly free: number | null | undefined;
  readonly counts: Counts;
  readonly total: number;
  /** the jobs to show, active ones first, then the newest */
  readonly jobs: readonly Job[];
}

export interface NodeStat {
  readonly name: string;
  /** undefined: nobody knows this node, its jobs only name it */
  readonly node: Node | undefined;
  readonly pools: readonly PoolStat[];
  /** nodes reached through it; filled in a tree only */
  readonly below: readonly NodeStat[];
}

export interface Stat {
  readonly counts: Counts;
  readonly total: number;
  readonly shown: number;
  readonly nodes: readonly NodeStat[];
}

interface StatInput {
  readonly nodes: Readonly<Record<string, Node>>;
  readonly pools: Pools;
  readonly jobs: readonly Job[];
  /** of all jobs, where these are only some */
  readonly counts?: readonly JobCount[] | undefined;
  /** most jobs to show */
  readonly limit: number;
  readonly isTree: boolean;
  /** nodes and pools without a job are left out: a filter is given */
  readonly isFiltered: boolean;
}

/** What there is, as `stat` shows it: by node and pool, with counts of all jobs and the newest of them. Pure. */
export function statOf({ nodes, pools, jobs, counts, limit, isTree, isFiltered }: StatInput): Stat {
  const shown = [...jobs].sort(byInterest).slice(0, limit);
  const grouped = group(counts ?? summarise(jobs, false).counts, shown);
  const names = isFiltered ? grouped.keys() : [...Object.keys(nodes), ...grouped.keys()];
  const flat = [...new Set(names)].sort().map((name): NodeStat => {
    const here = grouped.get(name) ?? new Map<string, Group>();
    const own = isFiltered ? [] : Object.keys(pools).filter((pool) => Object.hasOwn(pools[pool]!, name));
    const poolNames = [...new Set([...own, ...here.keys()])].sort();
    return {
      name,
      node: nodes[name],
      pools: poolNames.map((pool) => poolStat(pool, name, pools, here.get(pool))),
      below: [],
    };
  });
  const all = sum([...grouped.values()].flatMap((here) => [...here.values()]));
  return { counts: all, total: totalOf(all), shown: shown.length, nodes: isTree ? nest(flat) : flat };
}

function poolStat(name: string, node: string, pools: Pools, group: Group | undefined): PoolStat {
  const counts = group?.counts ?? none();
  return { name, node, free: pools[name]?.[node], counts, total: totalOf(counts), jobs: group?.jobs ?? [] };
}

/** What runs, then what was touched last. */
function byInterest(a: Job, b: Job): number {
  const running = Number(b.state === 'running') - Number(a.state === 'running');
  return running || b.ts - a.ts || b.seq - a.seq;
}

const none = (): Record<JobState, number> => ({ new: 0, running: 0, done: 0, failed: 0, killed: 0 });

const totalOf = (counts: Counts): number => jobStates.reduce((total, state) => total + counts[state], 0);

function sum(groups: readonly Group[]): Counts {
  const counts = none();
  for (const group of groups) for (const state of jobStates) counts[state] += group.counts[state];
  return counts;
}

/** The jobs of a pool of a node: how many there are, and those to show. */
interface Group {
  readonly counts: Record<JobState, number>;
  readonly jobs: Job[];
}

function group(counts: readonly JobCount[], shown: readonly Job[]): Map<string, Map<string, Group>> {
  const nodes = new Map<string, Map<string, Group>>();
  const groupOf = ({ node, pool }: { readonly node: string; readonly pool: string }): Group => {
    const name = node === '' ? '(no node yet)' : node;
    const pools = nodes.get(name) ?? new Map<string, Group>();
    const here = pools.get(pool) ?? { counts: none(), jobs: [] };
    nodes.set(name, pools.set(pool, here));
    return here;
  };
  for (const one of counts) groupOf(one).counts[one.state] += one.jobs;
  for (const job of shown) groupOf(job).jobs.push(job);
  return nodes;
}

/** Below each node those that are reached through it and through no nearer one. */
function nest(flat: readonly NodeStat[]): NodeStat[] {
  const reach = new Map(flat.map((stat) => [stat.name, new Set(stat.node?.routing ?? [])]));
  const parentOf = (name: string): string | undefined =>
    flat
      .filter(
        (other) =>
          other.name !== name && reach.get(other.name)!.has(name) && !reach.get(name)!.has(other.name),
      )
      .sort((a, b) => reach.get(a.name)!.size - reach.get(b.name)!.size)[0]?.name;
  const parents = new Map(flat.map((stat) => [stat.name, parentOf(stat.name)]));
  const withBelow = (stat: NodeStat): NodeStat => ({
    ...stat,
    below: flat.filter((other) => parents.get(other.name) === stat.name).map(withBelow),
  });
  return flat.filter((stat) => parents.get(stat.name) === undefined).map(withBelow);
}

/** A=active H=hold E=error R=repeating (seeds, "meeseeks-client") */
export function flagsOf(job: Job): string {
  const isOdd =
    job.reason === 'start' || job.reason === 'lost' || (!isFinished(job.state) && job.error !== undefined);
  return [
    job.active ? 'A' : '',
    job.hold === true ? 'H' : '',
    isOdd ? 'E' : '',
    job.restart === true || job.resubmit === true ? 'R' : '',
  ].join('');
}
