import { lockDirectory } from '../agent/lock.js';
import { createAgentClient } from '../client/agent-client.js';
import { connect } from '../client/client.js';
import { ClientError } from '../client/errors.js';
import type { ConnectOptions } from '../client/options.js';
import type { ResolvedConfig } from '../config/load.js';
import type { ClientConfig } from '../config/schema.js';
import { UserError } from '../lib/errors.js';
import type { Log } from '../lib/log.js';
import type { AgentPort } from '../protocol/agent.js';
import type { Ledger } from '../watch/ledger.js';
import type { Watcher } from '../watch/watcher.js';
import { submitEnvironment } from './client/environment.js';
import { exitCodes } from './context.js';
import { poolsUsed } from './pools-used.js';
import type { ServiceAgent } from './service-agent.js';

export interface RemoteOptions {
  readonly directory: string;
  readonly log: Log;
  readonly env: NodeJS.ProcessEnv;
  /** true: an agent that is away at the start is an error, for --once */
  readonly impatient: boolean;
}

/**
 * The agent of the `client` section. One that is away is waited for; jobs that were handed to it are its own, and a
 * stop of the watcher leaves them running.
 * @throws AgentLockedError when another watcher works on the state directory
 * @throws UserError when the settings cannot be used, or the agent is away and that matters
 */
export async function createRemoteAgent(
  config: ResolvedConfig,
  options: RemoteOptions,
): Promise<ServiceAgent> {
  const { log, impatient } = options;
  const unlock = lockDirectory(options.directory);
  const { env: wanted, ...settings } = config.client ?? {};
  const link = settings as ConnectOptions;
  let problem: string | undefined;
  let pools = poolsUsed(config);
  const checkPools = (): void => void warnOfMissingPools(link, pools, log);
  try {
    if (impatient) await mustHavePools(link, pools);
    const port = createAgentClient(
      {
        ...link,
        onStatus: (status, message) => {
          problem = problemOf(status, message);
          if (status === 'refused') return log.error({}, problem!);
          if (status === 'away') return log.warn({}, problem!);
          log.info({}, message);
          checkPools();
        },
      },
      { variables: jobEnvironment(wanted, options.env), evenIfShown: wanted !== undefined },
    );
    if (!impatient) checkPools();
    return {
      port,
      get problem() {
        return problem;
      },
      configure: (next) => {
        pools = poolsUsed(next);
        checkPools();
      },
      releaseLeftovers: (ledger) => releaseLeftovers(port, ledger),
      drain: (watcher) => watcher.quiet(),
      kill: (watcher) => kill(port, watcher, () => problem),
      disconnect: () => port.stop('leave'),
      close: async () => {
        await port.stop('leave');
        unlock();
      },
    };
  } catch (error) {
    unlock();
    if (!(error instanceof ClientError)) throw error;
    throw new UserError(
      `client: ${error.message}`,
      error.code === 'options' ? exitCodes.usage : exitCodes.trouble,
    );
  }
}

function problemOf(status: 'away' | 'refused' | 'back', message: string): string | undefined {
  if (status === 'back') return undefined;
  return status === 'away'
    ? `the agent is away: ${message}`
    : `the agent refuses this watcher, no job is submitted: ${message}. Correct the client section (token, token_file, ssl) and start the watcher again, or correct the agent's listen section`;
}

/** Jobs that wait for a pool would keep a run that is to end from ending. */
async function mustHavePools(link: ConnectOptions, wanted: readonly string[]): Promise<void> {
  const missing = await missingPools(link, wanted);
  if (missing.length > 0)
    throw new UserError(
      `the agent has no pool ${missing.join(', ')}; give it one, or name one of its own (\`meeseeks-client stat pools\` shows which there are)`,
      exitCodes.trouble,
    );
}

async function missingPools(link: ConnectOptions, wanted: readonly string[]): Promise<string[]> {
  const agent = await connect(link);
  try {
    const known = await agent.pools();
    return wanted.filter((name) => !Object.hasOwn(known, name));
  } finally {
    agent.close();
  }
}

/** Jobs for a pool that is not there wait until it is, which looks like nothing at all. */
async function warnOfMissingPools(link: ConnectOptions, wanted: readonly string[], log: Log): Promise<void> {
  try {
    const missing = await missingPools(link, wanted);
    if (missing.length > 0)
      log.warn(
        { pools: missing },
        `the agent has no pool ${missing.join(', ')}: jobs for it wait there until it has (\`meeseeks-client stat pools\` shows which there are)`,
      );
  } catch {
    // an agent that is away is asked again when it is back
  }
}

/** What jobs get of this process's environment: all of it unless the configuration says otherwise. */
function jobEnvironment(
  wanted: ClientConfig['env'] = 'all',
  env: NodeJS.ProcessEnv,
): Readonly<Record<string, string>> {
  return submitEnvironment(typeof wanted === 'string' ? wanted : wanted.join(','), env) ?? {};
}

/** Others submit to this agent too: only what our ledger has recorded is released. */
async function releaseLeftovers(agent: AgentPort, ledger: Ledger): Promise<void> {
  const finished = await agent.list({ states: ['done', 'failed', 'killed'] });
  const recorded = ledger.recordedKeys();
  await agent.release(finished.flatMap((job) => (recorded.has(job.key) ? [job.id] : [])));
}

async function kill(
  agent: AgentPort,
  watcher: Watcher,
  problem: () => string | undefined,
): Promise<string | undefined> {
  const away = problem();
  if (away !== undefined) return `${away}; its jobs go on`;
  await agent.kill(watcher.jobIds());
  await watcher.quiet();
  return undefined;
}
