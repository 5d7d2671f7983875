import type { Endpoint } from './options.js';

/** True when the agent certainly runs on this machine, so that its paths are ours. */
export function isLocal({ where }: Pick<Endpoint, 'where'>): boolean {
  if ('path' in where) return true;
  return where.host === 'localhost' || where.host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(where.host);
}
