import { printable } from '../../../lib/text.js';
import type { Job } from '../../../protocol/job.js';
import { commandLine } from '../../format.js';
import { clientExit, type Call } from '../context.js';
import { filterOf } from '../job-words.js';
import { withoutSecrets } from '../json.js';
import { stateOf } from '../stat-view.js';

/** `events [ids|filter]`: every change, a line each, until Ctrl-C or the agent stays away */
export async function eventsCommand(call: Call): Promise<number> {
  const client = await call.connect();
  for await (const job of client.events(filterOf(call.words))) {
    if (job.left === true) continue;
    call.context.out(call.json ? `${JSON.stringify(withoutSecrets(job))}\n` : line(job));
  }
  return clientExit.ok;
}

function line(job: Job): string {
  const time = new Date(job.ts * 1000).toTimeString().slice(0, 8);
  const where = `${printable(job.pool)}${job.node === '' ? '' : `@${printable(job.node)}`}`;
  return `${time} ${stateOf(job).padEnd(12)} ${printable(job.id)} ${where} ${commandLine(job.args)}\n`;
}
