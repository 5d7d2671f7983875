import type { Node, Pools } from '../../client/api.js';
import { isFinished, jobStates, type Job, type JobState } from '../../protocol/job.js';

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
  /** most jobs to show */
  readonly limit: number;
  readonly isTree: boolean;
  /** nodes and pools without a job are left out: a filter is given */
  readonly isFiltered: boolean;
}

/** What there is, as `stat` shows it: by node and pool, with counts of all jobs and the newest of them. Pure. */
export function statOf({ nodes, pools, jobs, limit, isTree, isFiltered }: StatInput): Stat {
  const shown = new Set([...jobs].sort(byInterest).slice(0, limit));
  const grouped = group(jobs);
  const names = isFiltered ? grouped.keys() : [...Object.keys(nodes), ...grouped.keys()];
  const flat = [...new Set(names)].sort().map((name): NodeStat => {
    const here = grouped.get(name) ?? new Map<string, Job[]>();
    const own = isFiltered ? [] : Object.keys(pools).filter((pool) => Object.hasOwn(pools[pool]!, name));
    const poolNames = [...new Set([...own, ...here.keys()])].sort();
    return {
      name,
      node: nodes[name],
      pools: poolNames.map((pool) => poolStat(pool, name, pools, here.get(pool) ?? [], shown)),
      below: [],
    };
  });
  return { counts: count(jobs), total: jobs.length, shown: shown.size, nodes: isTree ? nest(flat) : flat };
}

function poolStat(name: string, node: string, pools: Pools, jobs: Job[], shown: ReadonlySet<Job>): PoolStat {
  return {
    name,
    node,
    free: pools[name]?.[node],
    counts: count(jobs),
    total: jobs.length,
    jobs: jobs.filter((job) => shown.has(job)).sort(byInterest),
  };
}

/** What runs, then what was touched last. */
function byInterest(a: Job, b: Job): number {
  const running = Number(b.state === 'running') - Number(a.state === 'running');
  return running || b.ts - a.ts || b.seq - a.seq;
}

export function count(jobs: Iterable<Job>): Counts {
  const counts = Object.fromEntries(jobStates.map((state) => [state, 0])) as Record<JobState, number>;
  for (const job of jobs) counts[job.state]++;
  return counts;
}

function group(jobs: readonly Job[]): Map<string, Map<string, Job[]>> {
  const nodes = new Map<string, Map<string, Job[]>>();
  for (const job of jobs) {
    const node = job.node === '' ? '(no node yet)' : job.node;
    const pools = nodes.get(node) ?? new Map<string, Job[]>();
    const here = pools.get(job.pool) ?? [];
    here.push(job);
    nodes.set(node, pools.set(job.pool, here));
  }
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
