import { RUN_VARIABLE, type Run } from '../executors/executor.js';
import { workingDirectory } from './view.js';
import type { JobRecord } from './types.js';

/** What the executor needs to know to start a job. */
export function runOf(record: JobRecord, path: string, environments: RunEnvironments, node: string): Run {
  const { spec } = record;
  const cwd = workingDirectory(record);
  const absolute = (file: string | undefined): string | undefined =>
    file === undefined || file.startsWith('/') ? file : `${cwd}/${file}`;
  return {
    path,
    args: spec.args,
    env: environments.of(spec.env),
    own: ownVariables(record, path, node),
    cwd,
    stdin: absolute(spec.stdin),
    stdout: absolute(spec.stdout),
    stderr: absolute(spec.stderr),
  };
}

/** Who the job is. */
const ownVariables = (record: JobRecord, path: string, node: string): ReadonlyMap<string, string> =>
  new Map([
    ['MEESEEKS_JOB_ID', record.id.replaceAll('\0', '')],
    ['MEESEEKS_POOL', record.spec.pool.replaceAll('\0', '')],
    ['MEESEEKS_NODE', node],
    ['MEESEEKS_TAGS', (record.spec.tags ?? []).join(',').replaceAll('\0', '')],
    [RUN_VARIABLE, path],
  ]);

/** The environments of jobs: the agent's with the submitter's over it, the same map again for the same submitter's. */
export class RunEnvironments {
  private readonly agents: ReadonlyMap<string, string>;
  private readonly known = new WeakMap<object, ReadonlyMap<string, string>>();

  /** @param env of the agent, as it is now */
  constructor(env: NodeJS.ProcessEnv) {
    this.agents = new Map(
      Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
  }

  /** @param submitters of one job; what is frozen is remembered */
  of(submitters: JobRecord['spec']['env']): ReadonlyMap<string, string> {
    if (submitters === undefined) return this.agents;
    const known = this.known.get(submitters);
    if (known !== undefined) return known;
    const env = new Map([...this.agents, ...Object.entries(submitters)]);
    if (Object.isFrozen(submitters)) this.known.set(submitters, env);
    return env;
  }
}
