import type { Job } from '../../protocol/job.js';
import { isFinished, jobStates } from '../../protocol/states.js';
import { printable } from '../../lib/text.js';
import { commandLine } from '../format.js';
import { flagsOf, type Counts, type NodeStat, type PoolStat, type Stat } from './stat-model.js';

/** What to show; all of it when nothing is chosen. */
export interface Elements {
  readonly nodes: boolean;
  readonly pools: boolean;
  readonly jobs: boolean;
}

export interface ViewOptions {
  readonly elements: Elements;
  readonly width: number;
  /** ms since the epoch */
  readonly now: number;
}

const INDENT = '  ';
const WIDEST_ID = 36;

/** `stat` for people: counts first, then nodes, pools and the newest jobs, no line wider than the terminal. Pure. */
export function renderStat(stat: Stat, options: ViewOptions): string {
  const widths = columnsOf(stat);
  const lines = [
    totals(stat.total, stat.counts),
    ...stat.nodes.flatMap((node) => nodeLines(node, 0, options, widths)),
    ...more(stat, options),
  ];
  return lines.map((line) => `${cut(line, options.width)}\n`).join('');
}

const more = ({ total, shown }: Stat, { elements }: ViewOptions): string[] =>
  elements.jobs && shown < total
    ? [`${grouped(total - shown)} older jobs are not shown; all of them: stat all`]
    : [];

function nodeLines(stat: NodeStat, depth: number, options: ViewOptions, widths: Widths): string[] {
  const { elements } = options;
  const inner = elements.nodes ? depth + 1 : depth;
  return [
    ...(elements.nodes ? [INDENT.repeat(depth) + nodeLine(stat)] : []),
    ...stat.pools.flatMap((pool) => poolLines(pool, inner, options, widths)),
    ...stat.below.flatMap((node) => nodeLines(node, inner, options, widths)),
  ];
}

function nodeLine({ name, node }: NodeStat): string {
  if (node === undefined) return printable(name);
  const load = node.loadavg === undefined ? '' : `  load ${node.loadavg}`;
  return `${printable(name)}  ${node.online ? 'online' : 'OFFLINE'}${load}`;
}

function poolLines(pool: PoolStat, depth: number, options: ViewOptions, widths: Widths): string[] {
  const { elements } = options;
  const inner = elements.pools ? depth + 1 : depth;
  const where = elements.nodes || elements.pools ? '' : `${poolName(pool).padEnd(widths.where)}  `;
  return [
    ...(elements.pools ? [INDENT.repeat(depth) + poolLine(pool)] : []),
    ...(elements.jobs
      ? pool.jobs.map((job) => INDENT.repeat(inner) + where + jobLine(job, widths, options.now))
      : []),
  ];
}

const poolName = ({ name, node }: PoolStat): string => `${printable(name)}@${printable(node)}`;

function poolLine(pool: PoolStat): string {
  const free =
    pool.free === undefined ? 'no such pool' : pool.free === null ? 'no limit' : `${pool.free} free`;
  return `${poolName(pool)}  ${free}  ${totals(pool.total, pool.counts)}`;
}

function totals(total: number, counts: Counts): string {
  const parts = jobStates
    .filter((state) => counts[state] > 0)
    .map((state) => `${grouped(counts[state])} ${state}`);
  return `${grouped(total)} ${total === 1 ? 'job' : 'jobs'}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`;
}

interface Widths {
  /** pool@node */
  readonly where: number;
  readonly id: number;
  readonly flags: number;
  readonly state: number;
}

function columnsOf(stat: Stat): Widths {
  const jobs = [...poolsShown(stat.nodes)].flatMap((pool) => pool.jobs);
  const widest = (text: (job: Job) => string, least: number): number =>
    jobs.reduce((most, job) => Math.max(most, text(job).length), least);
  return {
    where: Math.max(0, ...[...poolsShown(stat.nodes)].map((pool) => poolName(pool).length)),
    id: Math.min(
      widest((job) => printable(job.id), 4),
      WIDEST_ID,
    ),
    flags: widest(flagsOf, 1),
    state: widest(stateOf, 4),
  };
}

function* poolsShown(nodes: readonly NodeStat[]): Generator<PoolStat> {
  for (const node of nodes) {
    yield* node.pools.filter((pool) => pool.jobs.length > 0);
    yield* poolsShown(node.below);
  }
}

function jobLine(job: Job, widths: Widths, now: number): string {
  const id = cut(printable(job.id), widths.id).padEnd(widths.id);
  const tags =
    job.tags === undefined || job.tags.length === 0 ? '' : `[${job.tags.map(printable).join(',')}] `;
  return [
    id,
    flagsOf(job).padEnd(widths.flags),
    stateOf(job).padEnd(widths.state),
    age(job, now).padStart(4),
    tags + commandOf(job),
  ].join(' ');
}

/** The state, with how it ended. */
export function stateOf(job: Job): string {
  if (!isFinished(job.state)) return job.state;
  const how = job.signal ?? (job.rc === undefined ? undefined : String(job.rc));
  return how === undefined || (job.state === 'done' && how === '0') ? job.state : `${job.state} (${how})`;
}

const commandOf = (job: Job): string => commandLine(job.args);

/** How long it has been running, or in the state it is in. */
export function age(job: Job, now: number): string {
  const since = job.state === 'running' ? job.start_ts : job.state === 'new' ? job.submit_ts : job.end_ts;
  const seconds = Math.max(0, Math.round(now / 1000 - (since ?? job.ts)));
  if (seconds < 100) return `${seconds}s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)}m`;
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)}h` : `${Math.round(seconds / 86400)}d`;
}

/** At most `width` characters; `…` says that some are missing. */
export const cut = (text: string, width: number): string => {
  const characters = Array.from(text);
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
};

const grouped = (number: number): string => String(number).replace(/\B(?=(\d{3})+$)/g, ',');
