import { join } from 'node:path';
import type { ResolvedConfig } from '../../config/load.js';
import type { WatchDefinition } from '../../config/schema.js';
import { describeError } from '../../lib/errors.js';
import { inspect, type Inspection } from '../../watch/inspect.js';
import { Ledger, scopeOf, type Submission } from '../../watch/ledger.js';
import type { ConfigurationSource } from '../configuration.js';
import type { Context } from '../context.js';
import { stateDirectory } from '../state-directory.js';

/** Looks at every watch that has files, without touching anything. Trouble is reported and the others go on. @param whole see `inspect` */
export async function inspectAll(
  config: ResolvedConfig,
  source: ConfigurationSource,
  context: Context,
  whole = true,
): Promise<Inspection[]> {
  const ledger = peekLedger(join(stateDirectory(config, source, context.env), 'watch.db'), context);
  const inspections: Inspection[] = [];
  for (const watch of config.watches) {
    if (watch.lists.length === 0) continue;
    inspections.push(await inspect(watch, openOf(ledger, watch, context), context.clock, whole));
  }
  ledger?.close();
  for (const { watch, troubles, observer } of inspections) {
    for (const [path, error] of troubles) {
      context.err(
        `meeseeks-watch: ${watch.name}: cannot look at ${path === '' ? watch.path! : `${watch.path!}/${path}`}: ${describeError(error)}\n`,
      );
    }
    if (!observer.rootPresent && troubles.size === 0)
      context.err(`meeseeks-watch: ${watch.name}: ${watch.path!} does not exist yet\n`);
  }
  return inspections;
}

/** Reading takes room on the disk, too: without it running jobs are not known, and all else is. */
function openOf(
  ledger: Pick<Ledger, 'open'> | undefined,
  watch: WatchDefinition,
  context: Context,
): Submission[] {
  try {
    return ledger?.open(scopeOf(watch)) ?? [];
  } catch (error) {
    context.err(
      `meeseeks-watch: ${watch.name}: running jobs are not known: cannot read the ledger: ${describeError(error)}\n`,
    );
    return [];
  }
}

function peekLedger(path: string, context: Context): Pick<Ledger, 'open' | 'close'> | undefined {
  try {
    return Ledger.peek(path);
  } catch (error) {
    context.err(`meeseeks-watch: running jobs are not known: cannot read ${path}: ${describeError(error)}\n`);
    return undefined;
  }
}
