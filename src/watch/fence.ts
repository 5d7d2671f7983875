import type { FileSystem } from '../lib/file-system.js';
import type { AgentPort } from '../protocol/agent.js';

/** Whether this watcher may act now. */
export type Fence = () => boolean;

const changing = new Set<PropertyKey>(['mkdirSync', 'openSync', 'renameSync', 'unlinkSync']);
const refusal = 'another watcher may work there now';

/** The file system as long as the fence is open; after that nothing is changed. */
export function fencedFileSystem(fs: FileSystem, fence: Fence): FileSystem {
  return new Proxy(fs, {
    get: (target, name: keyof FileSystem) => {
      const method = target[name] as (...args: unknown[]) => unknown;
      if (!changing.has(name)) return method;
      return (...args: unknown[]): unknown => {
        if (!fence()) throw new Error(refusal);
        return method(...args);
      };
    },
  });
}

/** The agent, which takes no jobs any more when the fence is closed. */
export const fencedAgent = (agent: AgentPort, fence: Fence): AgentPort => ({
  get description() {
    return agent.description;
  },
  submit: (requests) => (fence() ? agent.submit(requests) : Promise.reject(new Error(refusal))),
  query: (ids) => agent.query(ids),
  list: (...args) => agent.list(...args),
  kill: (...args) => agent.kill(...args),
  release: (ids) => agent.release(ids),
  onJob: (listener) => agent.onJob(listener),
  stop: (...args) => agent.stop(...args),
});
