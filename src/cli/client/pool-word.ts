import { UserError } from '../../lib/errors.js';

/** `pool`, `pool@node`, `pool@a,b`, `pool@gpu*` */
export function splitPool(word: string): { pool: string; node?: string | string[] } {
  const at = word.indexOf('@');
  const [pool, node] = at < 0 ? [word, ''] : [word.slice(0, at), word.slice(at + 1)];
  if (pool === '') throw new UserError(`${word}: the pool is missing; give pool@node`);
  if (node === '') return { pool };
  return { pool, node: node.includes(',') ? node.split(',').filter((name) => name !== '') : node };
}
