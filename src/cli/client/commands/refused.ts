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
    .map(([id]) => id);
  if (ids.length === 0) return clientExit.ok;
  call.context.err(`meeseeks-client: ${some(ids)} ${what}\n`);
  return clientExit.refused;
}

/** Jobs by their ids, not more than a line takes. */
export function some(ids: readonly string[]): string {
  const shown = ids.slice(0, 5).map(printable).join(', ');
  return `job ${shown}${ids.length > 5 ? ` and ${ids.length - 5} more` : ''}`;
}
