import { constants } from 'node:os';
import type { Job } from '../../../protocol/job.js';
import { ClientError } from '../../../client/errors.js';
import { UserError } from '../../../lib/errors.js';
import { printable } from '../../../lib/text.js';
import { clientExit, type Call } from '../context.js';
import { formatJson, withoutSecrets } from '../json.js';
import { stateOf } from '../stat-view.js';

/** `wait JOB...`: until all are finished. The exit code is that of the first one, as named, that did not end well. */
export async function waitCommand(call: Call): Promise<number> {
  if (call.words.length === 0) throw new UserError('which job? Give its id: wait JOB...');
  try {
    const client = await call.connect();
    const jobs = await Promise.all(call.words.map((id) => client.wait(id)));
    if (call.json)
      call.context.out(formatJson(Object.fromEntries(jobs.map((job) => [job.id, withoutSecrets(job)]))));
    else for (const job of jobs.filter((one) => one.state !== 'done')) call.context.err(sentence(job));
    return jobs.map(exitCodeOf).find((code) => code !== 0) ?? clientExit.ok;
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    call.context.err(`meeseeks-client: ${error.message}\n`);
    return clientExit.wait;
  }
}

const sentence = (job: Job): string =>
  `meeseeks-client: job ${printable(job.id)} ${stateOf(job)}${job.error === undefined ? '' : `: ${job.error}`}\n`;

/** As a shell has it: 128 and the signal for what a signal ended, 127 for what could not be started. */
export function exitCodeOf(job: Job): number {
  if (job.state === 'done') return 0;
  if (job.rc !== undefined && job.rc !== 0) return job.rc < 0 ? 128 - job.rc : job.rc & 255 || 1;
  if (job.reason === 'start') return 127;
  return job.state === 'killed' || job.reason === 'timeout' ? 128 + constants.signals.SIGTERM : 1;
}
