import type { JobFilter, SubmitRequest, SubmitResult } from '../protocol/agent.js';
import type { Job } from '../protocol/job.js';
import { AgentCore } from './core.js';
import type { Agent, AgentOptions, JobRecord } from './types.js';
import { view } from './view.js';

export { AgentLockedError } from './lock.js';

/**
 * An agent in this process. Jobs that an agent before it left running are adopted.
 * @throws AgentLockedError when another agent uses the directory; Error when its state cannot be read
 */
export async function createAgent(options: AgentOptions): Promise<Agent> {
  const core = new AgentCore(options);
  const show = (record: JobRecord, output = true): Job => view(record, options.node, core.spool, output);
  return {
    description: `embedded agent on ${options.node}, state in ${options.directory}`,
    submit: async (requests: readonly SubmitRequest[]) =>
      core.submit(requests, 'at once').map((r) => answer(r, show)),
    query: async (ids) => {
      const found = new Map<string, Job>();
      for (const id of ids) {
        const record = core.find(id);
        if (record) found.set(id, show(record));
      }
      return found;
    },
    // without the output of the jobs, which could be any amount: `query` has it
    list: async ({ states, tag }: JobFilter = {}) =>
      core
        .list(states)
        .filter((record) => tag === undefined || record.spec.tags?.includes(tag) === true)
        .map((record) => show(record, false)),
    kill: async (ids) => core.kill(ids),
    release: async (ids) => core.release(ids),
    setHold: async (ids, hold) => core.setHold(ids, hold),
    onJob: (listener) => core.onRecord((record) => listener(show(record))),
    setPools: (pools) => core.setPools(pools),
    counts: () => core.counts(),
    stop: (mode) => core.stop(mode),
  };
}

const answer = (
  result: ReturnType<AgentCore['submit']>[number],
  show: (record: JobRecord) => Job,
): SubmitResult =>
  'error' in result ? { ok: false, error: result.error } : { ok: true, job: show(result.record) };
