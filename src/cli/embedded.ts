import { availableParallelism, hostname } from 'node:os';
import { createAgent } from '../agent/agent.js';
import type { Agent } from '../agent/types.js';
import type { ResolvedConfig } from '../config/load.js';
import type { PoolConfig } from '../config/schema.js';
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import type { AgentPort } from '../protocol/agent.js';
import type { Ledger } from '../watch/ledger.js';
import { removePidFile } from './pid-file.js';
import { poolsUsed } from './pools-used.js';
import type { ServiceAgent } from './service-agent.js';

/**
 * The agent inside the watcher: a pool for every pool name the configuration uses, as many slots as CPUs. Pools whose
 * name depends on the file are made when the first job asks for them.
 * @throws AgentLockedError when another process works on the state directory
 */
export async function createEmbeddedAgent(
  config: ResolvedConfig,
  options: { directory: string; clock: Clock; log: Log; env: NodeJS.ProcessEnv },
): Promise<ServiceAgent> {
  let pools = poolsOf(config);
  const inner = await createAgent({
    ...options,
    node: config.name ?? hostname(),
    pools,
    defaultSlots: availableParallelism(),
    expire: config.expire,
  });
  const agent: Agent = {
    description: inner.description,
    submit: (requests) => {
      const missing = requests
        .map((request) => request.spec.pool)
        .filter((pool) => !Object.hasOwn(pools, pool));
      if (missing.length > 0) {
        pools = { ...pools, ...Object.fromEntries(missing.map((pool) => [pool, {}])) };
        inner.setPools(pools);
      }
      return inner.submit(requests);
    },
    query: (ids) => inner.query(ids),
    list: (filter) => inner.list(filter),
    kill: (ids) => inner.kill(ids),
    release: (ids) => inner.release(ids),
    onJob: (listener) => inner.onJob(listener),
    stop: (mode) => inner.stop(mode),
    setPools: (next) => inner.setPools(next),
    counts: () => inner.counts(),
    setHold: (ids, hold) => inner.setHold(ids, hold),
  };
  return {
    port: agent,
    problem: undefined,
    configure: (next) => {
      pools = { ...Object.fromEntries(Object.keys(pools).map((pool) => [pool, {}])), ...poolsOf(next) };
      inner.setPools(pools);
    },
    releaseLeftovers: (ledger) => releaseLeftovers(inner, ledger),
    drain: () => inner.stop('drain'),
    kill: () => inner.stop('kill').then(() => undefined),
    disconnect: () => Promise.resolve(),
    close: async () => {
      await inner.stop('leave');
      removePidFile(options.directory);
    },
  };
}

/** Nobody else submits to an embedded agent: what no ledger entry waits for is recorded. */
async function releaseLeftovers(agent: AgentPort, ledger: Ledger): Promise<void> {
  const open = new Set(
    ledger.openScopes().flatMap((scope) => ledger.open(scope).map((submission) => submission.jobId)),
  );
  const finished = await agent.list({ states: ['done', 'failed', 'killed'] });
  await agent.release(finished.map((job) => job.id).filter((id) => !open.has(id)));
}

function poolsOf(config: ResolvedConfig): Record<string, PoolConfig> {
  return { ...Object.fromEntries(poolsUsed(config).map((name) => [name, {}])), ...config.pools };
}
