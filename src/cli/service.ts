import { join } from 'node:path';
import { AgentLockedError } from '../agent/agent.js';
import type { ResolvedConfig } from '../config/load.js';
import { describeError, UserError } from '../lib/errors.js';
import { Ledger } from '../watch/ledger.js';
import { Watcher } from '../watch/watcher.js';
import type { ConfigurationSource } from './configuration.js';
import { exitCodes, type Context } from './context.js';
import { serveControl } from './control.js';
import { createEmbeddedAgent } from './embedded.js';
import { createRemoteAgent } from './remote.js';
import type { ServiceAgent } from './service-agent.js';
import type { Log } from '../lib/log.js';
import { exposures } from './exposed-secrets.js';
import { openConfigurations, ownStateDirectory } from './ownership.js';
import type { Progress } from './progress.js';
import { Reloader } from './reload.js';
import { StopRequests, type Stop } from './stop-requests.js';

export interface ServiceOptions {
  readonly source: ConfigurationSource;
  readonly config: ResolvedConfig;
  readonly directory: string;
  readonly once: boolean;
  readonly watchConfig: boolean;
  readonly log: Log;
  readonly progress: Progress;
  readonly setLogLevel: (level: string) => void;
  readonly context: Context;
}

const STANDBY_POLL_MS = 1000;
const PRUNE_EVERY_MS = 3_600_000;
/** the agent may keep a result this much longer than `expire`; the ledger must remember at least as long */
const LEDGER_FACTOR = 2;

/**
 * The service from start to stop: agent, ledger, watches, control socket; stopped in reverse order.
 * @returns the exit code
 */
export async function runService(options: ServiceOptions): Promise<number> {
  const { config, directory, log, context } = options;
  ownStateDirectory(directory);
  for (const warning of openConfigurations(options.source.files, context.cwd)) log.warn({}, warning);
  for (const warning of exposures('client', config.client, options.source, context.cwd))
    log.warn({}, warning);
  const stops = new StopRequests(context, config.onStop);
  const reloader = new Reloader(options, stops);
  try {
    const agent = await startAgent(options, stops);
    if (agent === undefined) return exitCodes.ok;
    log.info({ agent: agent.port.description }, agent.port.description);
    return await withAgent(options, agent, stops, reloader);
  } finally {
    await reloader.stop();
    stops.dispose();
  }
}

/** A second watcher of the same configuration stands by and takes over when the first ends. */
async function startAgent(options: ServiceOptions, stops: StopRequests): Promise<ServiceAgent | undefined> {
  const { directory, log } = options;
  for (let told = false; ;) {
    try {
      return await createAgent(options);
    } catch (error) {
      if (error instanceof UserError) throw error;
      if (!(error instanceof AgentLockedError)) {
        throw new UserError(
          `cannot start the agent in ${directory}: ${describeError(error)}; see that its disk has room and that you may write there`,
          exitCodes.trouble,
        );
      }
      if (options.once) throw new UserError(error.message, exitCodes.trouble);
      if (!told)
        log.warn({ directory }, `${error.message.split(';')[0]}; standing by, taking over when it ends`);
      told = true;
      if (await stops.within(STANDBY_POLL_MS)) return undefined;
    }
  }
}

function createAgent({ config, directory, once, log, context }: ServiceOptions): Promise<ServiceAgent> {
  const { env, clock } = context;
  return config.client === undefined
    ? createEmbeddedAgent(config, { directory, clock, log, env })
    : createRemoteAgent(config, { directory, log, env, impatient: once });
}

async function withAgent(
  options: ServiceOptions,
  agent: ServiceAgent,
  stops: StopRequests,
  reloader: Reloader,
): Promise<number> {
  const { config, directory, log, progress, context } = options;
  const ledger = openLedger(directory);
  const watcher = new Watcher({
    agent: agent.port,
    ledger,
    clock: context.clock,
    log,
    onTurn: (name, counts) => progress.turn(name, counts),
  });
  const started = context.clock.now() / 1000;
  const closeControl = await serveControl(directory, {
    status: () => ({
      pid: process.pid,
      started,
      agent: agent.port.description,
      ...(agent.problem !== undefined && { agent_problem: agent.problem }),
      files: options.source.files,
      watches: watcher.status(),
    }),
    rescan: () => watcher.rescan(),
  });
  const prune = setInterval(
    () => ledger.prune(context.clock.now() - config.expire * 1000 * LEDGER_FACTOR),
    PRUNE_EVERY_MS,
  );
  try {
    const watching = startWatching(options, watcher, agent, ledger);
    const early = await Promise.race([watching, stops.next()]);
    if (early !== undefined) return await stopService(early, watcher, agent, stops, log);
    reloader.attach(agent, watcher);
    if (options.once) return await runOnce(watcher, agent, stops, log);
    return await stopService(await stops.next(), watcher, agent, stops, log);
  } finally {
    reloader.detach();
    clearInterval(prune);
    await closeControl();
    await agent.disconnect();
    await watcher.stop();
    await reloader.stop();
    progress.done();
    await agent.close();
    ledger.close();
  }
}

/** Resolves when every watch has made its first turn; an agent that is away is waited for where its jobs must be known. */
async function startWatching(
  options: ServiceOptions,
  watcher: Watcher,
  agent: ServiceAgent,
  ledger: Ledger,
): Promise<undefined> {
  const { config, log } = options;
  await watcher.configure(onceable(options, config));
  if (watcher.isStopped) return;
  log.info(
    { watches: config.watches.length },
    `watching: ${config.watches.map((watch) => watch.name).join(', ')}`,
  );
  agent
    .releaseLeftovers(ledger)
    .catch((error: unknown) => log.debug({ error: describeError(error) }, 'could not release old results'));
}

/** With --once, watches that keep jobs running would never end. */
function onceable({ once, log }: ServiceOptions, config: ResolvedConfig) {
  if (!once) return config.watches;
  for (const watch of config.watches) {
    if (watch.lists.length === 0)
      log.warn({ watch: watch.name }, 'left out by --once: it has no globs and would run for ever');
  }
  return config.watches.filter((watch) => watch.lists.length > 0);
}

function openLedger(directory: string): Ledger {
  try {
    return new Ledger(join(directory, 'watch.db'));
  } catch (error) {
    throw new UserError(
      `cannot open ${join(directory, 'watch.db')}: ${describeError(error)}; move it away to start without the memory of running submissions`,
      exitCodes.trouble,
    );
  }
}

async function runOnce(
  watcher: Watcher,
  agent: ServiceAgent,
  stops: StopRequests,
  log: Log,
): Promise<number> {
  const settled = watcher.settled();
  const stop = await Promise.race([settled.then(() => undefined), stops.next()]);
  if (stop !== undefined) return stopService(stop, watcher, agent, stops, log);
  let left = false;
  for (const { name, waiting, failed } of watcher.leftovers()) {
    if (waiting.length > 0)
      log.warn({ watch: name }, `files still wait, for the next run: ${waiting.join(', ')}`);
    if (failed.length > 0)
      log.warn({ watch: name }, `not processed: ${failed.join(', ')}; see \`meeseeks-watch explain FILE\``);
    left ||= failed.length > 0;
  }
  return watcher.failures > 0 || left ? exitCodes.failed : exitCodes.ok;
}

async function stopService(
  stop: Stop,
  watcher: Watcher,
  agent: ServiceAgent,
  stops: StopRequests,
  log: Log,
): Promise<number> {
  if (stop.mode === 'leave') {
    log.info(
      { jobs: watcher.inFlight },
      watcher.inFlight === 0
        ? `${stop.signal}: stopping`
        : `${stop.signal}: stopping; ${watcher.inFlight} job(s) ${agent.problem === undefined ? 'go on and ' : ''}are taken up by the next start`,
    );
    return exitCodes.ok;
  }
  const drained = watcher.drain();
  // a stop that does not wait for it disconnects, which fails it
  drained.catch(() => undefined);
  if (stop.mode === 'drain') {
    if (watcher.inFlight > 0)
      log.info({ jobs: watcher.inFlight }, `${stop.signal}: waiting for running jobs; once more kills them`);
    const quiet = drained.then(() => agent.drain(watcher));
    if ((await Promise.race([quiet.then(() => undefined), stops.next()])) === undefined) {
      await watcher.recordRest();
      return exitCodes.ok;
    }
  }
  log.warn(
    { jobs: watcher.inFlight },
    'killing the running jobs; their files are marked as killed, `meeseeks-watch retry --state killed` runs them again',
  );
  return killJobs(watcher, agent, stops, log);
}

/** A further signal does not wait for their end. */
async function killJobs(
  watcher: Watcher,
  agent: ServiceAgent,
  stops: StopRequests,
  log: Log,
): Promise<number> {
  const killed = agent.kill(watcher).then((problem) => ({ problem }));
  const impatient = stops.next().then(({ signal }) => ({
    problem: `${signal}: not waiting for the end of the killed jobs`,
  }));
  const { problem } = await Promise.race([killed, impatient]);
  if (problem !== undefined) {
    log.error({ jobs: watcher.inFlight }, problem);
    return exitCodes.trouble;
  }
  await watcher.recordRest();
  return exitCodes.ok;
}
