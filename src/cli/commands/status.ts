import type { ResolvedConfig } from '../../config/load.js';
import { printable } from '../../lib/text.js';
import type { ConfigurationSource } from '../configuration.js';
import { exitCodes, type Context } from '../context.js';
import { askControl, type ServiceStatus } from '../control.js';
import { duration, moment, table } from '../format.js';
import { stateDirectory } from '../state-directory.js';

/** `status`: the counts of a running watcher. */
export async function statusCommand(
  config: ResolvedConfig,
  source: ConfigurationSource,
  json: boolean,
  context: Context,
): Promise<number> {
  const directory = stateDirectory(config, source, context.env);
  const answer = await askControl(directory, 'status');
  if (answer === undefined) {
    context.err(`meeseeks-watch: no watcher is running for this configuration (looked in ${directory})\n`);
    return exitCodes.notRunning;
  }
  const status = answer as ServiceStatus;
  context.out(json ? `${JSON.stringify(status, null, 2)}\n` : describe(status, context));
  return exitCodes.ok;
}

function describe(status: ServiceStatus, context: Context): string {
  const now = context.clock.now();
  const header = ['watch', 'files', 'waiting', 'ready', 'running', 'done', 'failed', 'killed', 'next retry'];
  const rows = status.watches.map((watch) => [
    printable(watch.name),
    String(watch.files),
    String(watch.waiting),
    String(watch.ready),
    String(watch.running),
    String(watch.done),
    String(watch.failed),
    String(watch.killed),
    watch.nextRetry === undefined || watch.nextRetry === null ? '' : moment(watch.nextRetry, now),
  ]);
  const problems = status.watches.flatMap((watch) =>
    watch.problems.map((problem) => `! ${printable(watch.name)}: ${problem}`),
  );
  return [
    `running for ${duration(now - status.started * 1000)}, process ${status.pid}, ${status.agent}`,
    table([header, ...rows], new Set([1, 2, 3, 4, 5, 6, 7]), context.columns),
    ...(status.agent_problem === undefined ? [] : [`! ${status.agent_problem}`]),
    ...problems,
    '',
  ].join('\n');
}
