/** Variables that say who the submitter's session is, and where the agent is: no business of a job. */
const ours = new Set(['MEESEEKS_CONF', '_', 'OLDPWD', 'SHLVL']);

/**
 * The environment a job is given: `all` of the submitter's, `none`, or the variables named.
 * @returns undefined for none: the job has the agent's own
 */
export function submitEnvironment(
  wanted: string,
  env: NodeJS.ProcessEnv,
): Record<string, string> | undefined {
  if (wanted === 'none' || wanted === '') return undefined;
  const names = wanted === 'all' ? Object.keys(env).filter((name) => !ours.has(name)) : wanted.split(',');
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
