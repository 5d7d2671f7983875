/** JSON as the original prints it: keys sorted, four spaces, ASCII only. */
export function formatJson(value: unknown): string {
  const text = JSON.stringify(sorted(value), null, 4) ?? 'null';
  return `${text.replace(/[\u007f-\uffff]/g, escape)}\n`;
}

const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

/**
 * Jobs as they may be shown: without the environment, which holds secrets, and without the mark of our submissions
 * at an older agent.
 */
export function presentable(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return answer;
  return Object.fromEntries(Object.entries(answer).map(([id, job]) => [id, withoutSecrets(job)]));
}

export function withoutSecrets(job: unknown): unknown {
  if (typeof job !== 'object' || job === null || Array.isArray(job)) return job;
  return Object.fromEntries(Object.entries(job).filter(([key]) => key !== 'env'));
}
