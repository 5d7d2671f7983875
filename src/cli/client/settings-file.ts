import { resolve } from 'node:path';
import { formatProblem } from '../../config/problem.js';
import { readConfigFile } from '../../config/read.js';
import { toPlain } from '../../config/tree.js';
import { UserError } from '../../lib/errors.js';

/** The `client` section of a configuration file, or a file that is nothing but it. @throws UserError */
export function clientSection(path: string, cwd: string): Readonly<Record<string, unknown>> {
  const { tree, problems } = readConfigFile(resolve(cwd, path), path);
  if (tree === undefined) throw new UserError(problems.map(formatProblem).join('; '));
  const all = toPlain(tree) as Readonly<Record<string, unknown>>;
  const client = all['client'];
  return typeof client === 'object' && client !== null ? { ...client } : all;
}
