import { describeError } from '../lib/errors.js';
import type { AgentCore } from '../agent/core.js';
import type { BoxConfig } from '../config/box.js';
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import { endpointsOf, tokenOf } from './endpoints.js';
import { listen } from './listener.js';
import type { Listening } from './listener.js';
import { applyConfigJob, CONFIG_POOL } from './requests/config-job.js';
import { SeenResults } from './seen.js';
import type { ConfigPort, Service } from './service.js';
import { SubmitBatch } from './submit-batch.js';

const MOST_CONNECTIONS = 4096;
const STALL_SECONDS = 60;

export interface ServerOptions {
  readonly core: AgentCore;
  readonly node: string;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly config: ConfigPort;
  /** the configuration in force */
  readonly current: () => BoxConfig;
}

export interface Server {
  readonly listening: readonly Listening[];
  /** Takes no more requests; what was answered is on its way. */
  close(): Promise<void>;
}

/** The agent on the wire. @throws UserError for unusable files, the system error when an address cannot be bound */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { core, current } = options;
  const seen = new SeenResults(core);
  const token = tokenOf(current().listen);
  const service: Service = {
    ...options,
    seen,
    submits: new SubmitBatch(core, (error) =>
      options.log.error({}, `a request failed: ${describeError(error)}`),
    ),
    token: () => token,
    view: () => ({
      node: options.node,
      pools: core.pools,
      waitInPool: current().waitInPool,
      spool: core.spool,
    }),
  };
  const left = core.queuedIn(CONFIG_POOL);
  for (const { id } of left) applyConfigJob(id, service);
  const listening = await listenAll(service, current(), token);
  return {
    listening,
    close: async () => {
      service.submits.flush();
      await Promise.all(listening.map((one) => one.close()));
      seen.stop();
    },
  };
}

async function listenAll(
  service: Service,
  { listen: config }: BoxConfig,
  token: string | undefined,
): Promise<Listening[]> {
  const { max_connections = MOST_CONNECTIONS, timeout = STALL_SECONDS } = config;
  const listening: Listening[] = [];
  try {
    for (const endpoint of endpointsOf(config))
      listening.push(
        await listen(endpoint, service, {
          mostConnections: max_connections,
          stallSeconds: timeout,
          needsToken: token !== undefined,
        }),
      );
  } catch (error) {
    await Promise.all(listening.map((one) => one.close()));
    throw error;
  }
  return listening;
}
