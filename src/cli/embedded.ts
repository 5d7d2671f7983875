import { availableParallelism, hostname } from 'node:os';
import { createAgent } from '../agent/agent.js';
import type { Agent } from '../agent/types.js';
import { render } from '../config/placeholders.js';
import type { ResolvedConfig } from '../config/load.js';
import type { PoolConfig } from '../config/schema.js';
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import { serviceLookup } from '../watch/render.js';

/**
 * The agent inside the watcher: a pool for every pool name the configuration uses, as many slots as CPUs. Pools whose
 * name depends on the file are made when the first job asks for them.
 * @throws AgentLockedError when another process works on the state directory
 */
export async function createEmbeddedAgent(
  config: ResolvedConfig,
  options: { directory: string; clock: Clock; log: Log; env: NodeJS.ProcessEnv },
): Promise<{ agent: Agent; configure: (config: ResolvedConfig) => void }> {
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
    agent,
    configure: (next) => {
      pools = { ...Object.fromEntries(Object.keys(pools).map((pool) => [pool, {}])), ...poolsOf(next) };
      inner.setPools(pools);
    },
  };
}

function poolsOf(config: ResolvedConfig): Record<string, PoolConfig> {
  const used = config.watches.flatMap((watch) =>
    watch.steps.flatMap((step, index) => {
      const specs = step.kind === 'single' ? [step.spec] : step.specs;
      return specs.flatMap((spec) =>
        spec === null ? [] : [poolName(spec.pool, serviceLookup(watch, index, 1))],
      );
    }),
  );
  const names = used.filter((name) => name !== undefined);
  return { ...Object.fromEntries(names.map((name) => [name, {}])), ...config.pools };
}

function poolName(template: string, lookup: Parameters<typeof render>[1]): string | undefined {
  try {
    return render(template, lookup);
  } catch {
    return undefined;
  }
}
