import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { AgentLockedError } from '../agent/agent.js';
import { load, formatProblem, type ResolvedConfig } from '../config/load.js';
import { describeError, UserError } from '../lib/errors.js';
import type { AgentPort } from '../protocol/agent.js';
import { Ledger } from '../watch/ledger.js';
import { Watcher } from '../watch/watcher.js';
import { countErrors, type ConfigurationSource } from './configuration.js';
import { exitCodes, type Context } from './context.js';
import { serveControl } from './control.js';
import { createEmbeddedAgent } from './embedded.js';
import { StopRequests, type Stop } from './stop-requests.js';
import type { Log } from '../lib/log.js';
import type { Progress } from './progress.js';

export interface ServiceOptions {
  readonly source: ConfigurationSource;
  readonly config: ResolvedConfig;
  readonly directory: string;
  readonly once: boolean;
  readonly watchConfig: boolean;
  readonly log: Log;
  readonly progress: Progress;
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
  if (config.client !== undefined) {
    throw new UserError(
      'client: a networked agent cannot be used yet; remove the client section to run jobs on the agent embedded in the watcher',
    );
  }
  makeDirectory(directory);
  const stops = new StopRequests(context, config.onStop);
  try {
    const embedded = await startAgent(options, stops);
    if (embedded === undefined) return exitCodes.ok;
    log.info({ agent: embedded.agent.description }, embedded.agent.description);
    return await withAgent(options, embedded, stops);
  } finally {
    stops.dispose();
  }
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new UserError(
      `cannot make the state directory ${directory}: ${describeError(error)}; set state_dir to a directory you may write`,
      exitCodes.trouble,
    );
  }
}

type Embedded = Awaited<ReturnType<typeof createEmbeddedAgent>>;

/** A second watcher of the same configuration stands by and takes over when the first ends. */
async function startAgent(options: ServiceOptions, stops: StopRequests): Promise<Embedded | undefined> {
  const { config, directory, log, context } = options;
  for (let told = false; ;) {
    try {
      return await createEmbeddedAgent(config, { directory, clock: context.clock, log, env: context.env });
    } catch (error) {
      if (!(error instanceof AgentLockedError)) {
        throw new UserError(`cannot start the embedded agent: ${describeError(error)}`, exitCodes.trouble);
      }
      if (options.once) throw new UserError(error.message, exitCodes.trouble);
      if (!told)
        log.warn({ directory }, `${error.message.split(';')[0]}; standing by, taking over when it ends`);
      told = true;
      if (await stops.within(STANDBY_POLL_MS)) return undefined;
    }
  }
}

async function withAgent(options: ServiceOptions, embedded: Embedded, stops: StopRequests): Promise<number> {
  const { config, directory, log, progress, context } = options;
  const ledger = openLedger(directory);
  const failures = { count: 0 };
  const unsubscribe = embedded.agent.onJob((job) => {
    if ((job.state === 'failed' || job.state === 'killed') && !job.active) failures.count++;
  });
  const watcher = new Watcher({
    agent: embedded.agent,
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
      agent: embedded.agent.description,
      files: options.source.files,
      watches: watcher.status(),
    }),
    rescan: () => watcher.rescan(),
  });
  const prune = setInterval(
    () => ledger.prune(context.clock.now() - config.expire * 1000 * LEDGER_FACTOR),
    PRUNE_EVERY_MS,
  );
  const reloads = createReloads(options, embedded, watcher, log);
  try {
    await watcher.configure(onceable(options, config));
    await releaseLeftovers(embedded.agent, ledger);
    log.info(
      { watches: config.watches.length },
      `watching: ${config.watches.map((watch) => watch.name).join(', ')}`,
    );
    if (options.once) return await runOnce(watcher, embedded.agent, stops, failures, log);
    const stop = await stops.next();
    return await stopService(stop, watcher, embedded.agent, stops, log);
  } finally {
    await reloads.dispose();
    clearInterval(prune);
    await closeControl();
    await watcher.stop();
    progress.done();
    unsubscribe();
    await embedded.agent.stop('leave');
    ledger.close();
  }
}

/** Results that are recorded, but whose release a stop cut short; nobody else submits to an embedded agent. */
async function releaseLeftovers(agent: AgentPort, ledger: Ledger): Promise<void> {
  const open = new Set(
    ledger.openWatches().flatMap((watch) => ledger.open(watch).map((submission) => submission.jobId)),
  );
  const finished = await agent.list({ states: ['done', 'failed', 'killed'] });
  await agent.release(finished.map((job) => job.id).filter((id) => !open.has(id)));
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
  agent: AgentPort,
  stops: StopRequests,
  failures: { count: number },
  log: Log,
): Promise<number> {
  const settled = watcher.settled();
  const stop = await Promise.race([settled.then(() => undefined), stops.next()]);
  if (stop !== undefined) return stopService(stop, watcher, agent, stops, log);
  for (const { name, reasons } of watcher.leftWaiting())
    log.warn({ watch: name }, `files still wait, for the next run: ${reasons}`);
  const left = watcher.unfinished();
  if (left > 0)
    log.warn(
      { files: left },
      `${left} ${left === 1 ? 'file' : 'files'} could not be processed or wait for a rerun`,
    );
  return failures.count > 0 || left > 0 ? exitCodes.failed : exitCodes.ok;
}

async function stopService(
  stop: Stop,
  watcher: Watcher,
  agent: AgentPort,
  stops: StopRequests,
  log: Log,
): Promise<number> {
  if (stop.mode === 'leave') {
    log.info(
      { jobs: watcher.inFlight },
      `${stop.signal}: stopping; ${watcher.inFlight} job(s) go on and are taken up by the next start`,
    );
    return exitCodes.ok;
  }
  await watcher.drain();
  if (stop.mode === 'drain') {
    if (watcher.inFlight > 0)
      log.info({ jobs: watcher.inFlight }, `${stop.signal}: waiting for running jobs; once more kills them`);
    const drained = agent.stop('drain');
    if ((await Promise.race([drained.then(() => undefined), stops.next()])) === undefined) {
      await watcher.recordRest();
      return exitCodes.ok;
    }
  }
  log.warn(
    { jobs: watcher.inFlight },
    'killing the running jobs; their files are marked as killed, `meeseeks-watch retry --state killed` runs them again',
  );
  await agent.stop('kill');
  await watcher.recordRest();
  return exitCodes.ok;
}

interface Reloads {
  dispose(): Promise<void>;
}

/** SIGHUP, or a changed file with --watch-config: a configuration with errors is rejected whole. */
function createReloads(options: ServiceOptions, embedded: Embedded, watcher: Watcher, log: Log): Reloads {
  let reloading = Promise.resolve();
  const reload = (): void => {
    reloading = reloading
      .then(() => reloadOnce(options, embedded, watcher, log))
      .catch((error: unknown) => {
        log.error({ err: error }, `reload failed: ${describeError(error)}; the running configuration stays`);
      });
  };
  const offSignal = options.context.onSignal('SIGHUP', reload);
  const files = options.watchConfig
    ? import('./config-files.js').then(({ followFiles }) => followFiles(options.config.files, reload))
    : undefined;
  return {
    dispose: async () => {
      offSignal();
      await (await files)?.close();
      await reloading;
    },
  };
}

async function reloadOnce(
  options: ServiceOptions,
  embedded: Embedded,
  watcher: Watcher,
  log: Log,
): Promise<void> {
  const { source, context } = options;
  const { config, problems } = load(source.files, source.overrides, { cwd: context.cwd });
  for (const problem of problems) {
    if (problem.severity === 'error') log.error({}, formatProblem(problem));
    else log.warn({}, formatProblem(problem));
  }
  if (config === undefined) {
    log.error({}, `reload rejected: ${countErrors(problems)}; the running configuration stays`);
    return;
  }
  if (config.client !== undefined) {
    log.error(
      {},
      'reload rejected: client: a networked agent cannot be used yet; the running configuration stays',
    );
    return;
  }
  embedded.configure(config);
  const { added, removed, changed } = await watcher.configure(config.watches);
  const parts = Object.entries({ added, removed, changed }).filter(([, names]) => names.length > 0);
  log.info(
    { added, removed, changed },
    `reloaded: ${parts.length === 0 ? 'no watch changed' : parts.map(([what, names]) => `${what} ${names.join(', ')}`).join('; ')}`,
  );
}
