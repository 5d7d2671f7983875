import type { Change } from '../../../client/api.js';
import type { Job } from '../../../protocol/job.js';
import { clientExit, type Call } from '../context.js';
import { fitScreen } from '../screen.js';
import { renderStat } from '../stat-view.js';
import { renderOptions, statFrom, viewOf } from './stat.js';

const HOME_AND_CLEAR = '\u001b[H\u001b[2J\u001b[3J';
const REFRESH = 2;
/** Everything is asked for again so often: what expired is gone then. */
const FRESH_EVERY = 30;
/** So many jobs are in the table, however many pools there are: what does not fit is cut off below. */
const LEAST_JOBS = 5;

/** `top [filter]`: the status, redrawn as it changes, until Ctrl-C. Without a terminal it is drawn once. */
export async function topCommand(call: Call): Promise<number> {
  const client = await call.connect();
  const { context } = call;
  const view = viewOf(call);
  const seconds = Math.max(call.refresh ?? REFRESH, 0.2);
  // what no longer matches is not told: a filter asks anew each time
  const isFiltered = Object.keys(view.filter).length > 0;
  const jobs = new Map<string, Job>();
  const load = async (): Promise<void> => {
    const all = await client.list(view.filter);
    jobs.clear();
    for (const job of all) jobs.set(job.id, job);
  };
  const stop = new AbortController();
  const following = keepUpToDate(client.events(view.filter, stop.signal), jobs);
  following.catch(() => undefined); // told by the race below
  const interrupted = new Promise<void>((resolve) => context.onSignal('SIGINT', resolve));
  try {
    for (let round = 0; ; round++) {
      if (isFiltered || round % Math.ceil(FRESH_EVERY / seconds) === 0) await load();
      const [nodes, pools] = await Promise.all([client.nodes(), client.pools()]);
      const table = (most: number): string[] => {
        const shown = { ...view, limit: Math.min(view.limit, most) };
        const stat = statFrom(nodes, pools, [...jobs.values()], shown);
        return renderStat(stat, renderOptions(view, call)).trimEnd().split('\n');
      };
      // a title, a free row, and all that there is besides jobs
      const limit = Math.max(context.rows() - 2 - table(0).length, LEAST_JOBS);
      const title = `meeseeks ${client.address}  ${new Date(context.clock.now()).toTimeString().slice(0, 8)}`;
      draw([title, ...table(limit)], call);
      if (!context.outIsTerminal) return clientExit.ok;
      const tick = new Promise<'tick'>((resolve) =>
        context.clock.after(seconds * 1000, () => resolve('tick')),
      );
      if ((await Promise.race([tick, interrupted, following])) !== 'tick') return clientExit.ok;
    }
  } finally {
    stop.abort();
    await following.catch(() => undefined);
  }
}

function draw(lines: readonly string[], { context }: Call): void {
  const text = (shown: readonly string[]): string => shown.map((line) => `${line}\n`).join('');
  if (!context.outIsTerminal) return context.out(text(lines));
  context.out(HOME_AND_CLEAR + text(fitScreen(lines, context.rows(), context.columns)));
}

async function keepUpToDate(events: AsyncIterable<Change>, jobs: Map<string, Job>): Promise<void> {
  for await (const job of events)
    if (job.left === true) jobs.delete(job.id);
    else jobs.set(job.id, job);
}
