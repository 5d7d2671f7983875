import { printable } from '../../../lib/text.js';
import { clientExit, type Call } from '../context.js';

/** Says which jobs of an answer are `false`. @returns the exit code */
export function refused(answer: unknown, call: Call, what: string): number {
  if (typeof answer !== 'object' || answer === null) {
    call.context.err(`meeseeks-client: the agent does not know this request (${call.name})\n`);
    return clientExit.refused;
  }
  const ids = Object.entries(answer)
    .filter(([, job]) => job === false || job === null)
    .map(([id]) => printable(id));
  if (ids.length === 0) return clientExit.ok;
  const shown = ids.length > 5 ? `${ids.slice(0, 5).join(', ')} and ${ids.length - 5} more` : ids.join(', ');
  call.context.err(`meeseeks-client: job ${shown} ${what}\n`);
  return clientExit.refused;
}
