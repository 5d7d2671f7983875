import { accessSync, chownSync, constants, existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { AgentCore } from '../../agent/core.js';
import { AgentLockedError } from '../../agent/lock.js';
import type { BoxConfig, BoxSource } from '../../config/box.js';
import { describeError, hasCode, UserError } from '../../lib/errors.js';
import type { Log } from '../../lib/log.js';
import { makeDirectory } from '../../lib/make-directory.js';
import { startServer, type Server } from '../../server/server.js';
import { exitCodes, type Context } from '../context.js';
import { exposures } from '../exposed-secrets.js';
import { openConfigurations, ownStateDirectory } from '../ownership.js';
import { removePidFile } from '../pid-file.js';
import { safeName, stateHome } from '../state-directory.js';
import { StopRequests, type Stop } from '../stop-requests.js';
import { LiveConfiguration } from './configuration.js';
import { History } from './history.js';
import { becomeUser, identityOf, type Identity } from './identity.js';
import { Checkpoints } from './checkpoints.js';

export interface BoxOptions {
  readonly source: BoxSource;
  readonly config: BoxConfig;
  readonly version: string;
  readonly log: Log & { level: string };
  readonly context: Context;
}

const DEFAULT_EXPIRE = 60;

/** The box from start to stop. @returns the exit code */
export async function runBox(options: BoxOptions): Promise<number> {
  const { config, context, log } = options;
  const stops = new StopRequests(context, config.onStop);
  const directory = config.stateDir ?? join(stateHome(context.env), `box-${safeName(config.name ?? 'box')}`);
  try {
    const identity = prepare(directory, config);
    for (const warning of openConfigurations(options.source.files, context.cwd)) log.warn({}, warning);
    for (const warning of exposures('listen', config.listen, options.source, context.cwd))
      log.warn({}, warning);
    const live = new LiveConfiguration(options.source, context.cwd, log, config);
    const history = new History(log);
    const core = openCore(options, directory, history, identity);
    history.start(core, config.state.history);
    const checkpoints = new Checkpoints(core, () => live.current.state, log);
    live.onChange((next) => {
      core.setPools(next.pools);
      core.setExpire(next.state.expire ?? DEFAULT_EXPIRE);
      log.level = next.logLevel ?? 'info';
      checkpoints.configure();
      history.configure(next.state.history);
    });
    core.onClosing(() => {
      checkpoints.stop();
      history.stop();
      removePidFile(directory);
    });
    return await serve(options, live, core, checkpoints, stops);
  } finally {
    stops.dispose();
  }
}

const nodeName = (config: BoxConfig): string => config.name ?? hostname();

async function serve(
  options: BoxOptions,
  live: LiveConfiguration,
  core: AgentCore,
  checkpoints: Checkpoints,
  stops: StopRequests,
): Promise<number> {
  const { context, log, version } = options;
  let server: Server | undefined;
  const offReload = context.onSignal('SIGHUP', () => live.reload());
  try {
    checkpoints.start();
    server = await start(options, live, core);
    const where = server.listening.map(({ description }) => description);
    log.info(
      {
        listen: where,
        ports: server.listening.map(({ port }) => port ?? null),
        pools: Object.keys(core.pools),
        version,
      },
      `ready, listening at ${where.join(' and ')}; pools: ${Object.keys(core.pools).join(', ') || 'none'}`,
    );
    return await stop(await stops.next(), server, core, stops, log);
  } finally {
    offReload();
    await server?.close();
    await core.stop('leave');
  }
}

async function start(
  { context, log, version, config }: BoxOptions,
  live: LiveConfiguration,
  core: AgentCore,
): Promise<Server> {
  try {
    return await startServer({
      core,
      node: nodeName(config),
      version,
      clock: context.clock,
      log,
      config: live,
      current: () => live.current,
    });
  } catch (error) {
    if (error instanceof UserError) throw error;
    const { address = 'localhost', port = 13_700, path } = config.listen;
    const hint = hasCode(error, 'EADDRINUSE')
      ? 'something listens there already; choose another with listen.port=...'
      : describeError(error);
    throw new UserError(
      `cannot listen at ${address}:${port}${path === undefined ? '' : ` and ${path}`}: ${hint}`,
      exitCodes.trouble,
    );
  }
}

/** Makes the state directory, and becomes who the configuration says. */
function prepare(directory: string, config: BoxConfig): Identity | undefined {
  const identity = identityOf(config);
  try {
    makeDirectory(dirname(directory), 0o755);
    makeDirectory(directory, 0o700);
    if (identity) chownSync(directory, identity.uid, identity.gid);
  } catch (error) {
    throw new UserError(
      `cannot make the state directory ${directory}: ${describeError(error)}; set state_dir to a directory you may write`,
      exitCodes.trouble,
    );
  }
  if (identity) becomeUser(identity);
  mustBeOurs(directory);
  ownStateDirectory(directory);
  return identity;
}

/** A state that another user left cannot be used, and must not be taken for a damaged one. */
function mustBeOurs(directory: string): void {
  try {
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    const state = join(directory, 'agent.db');
    if (existsSync(state)) accessSync(state, constants.R_OK | constants.W_OK);
  } catch (error) {
    throw new UserError(
      `cannot use the state directory ${directory}: ${describeError(error)}; give it and what is in it to the user the box runs as (chown -R), or set state_dir`,
      exitCodes.trouble,
    );
  }
}

function openCore(
  { config, context, log }: BoxOptions,
  directory: string,
  history: History,
  identity: Identity | undefined,
): AgentCore {
  try {
    return new AgentCore({
      directory,
      node: nodeName(config),
      pools: config.pools,
      defaultSlots: Infinity,
      expire: config.state.expire ?? DEFAULT_EXPIRE,
      clock: context.clock,
      log,
      env: { ...context.env, ...identity?.env },
      unroutable: 'wait',
      finished: (record) => history.add(record),
    });
  } catch (error) {
    const message =
      error instanceof AgentLockedError ? error.message : `cannot start: ${describeError(error)}`;
    throw new UserError(message, exitCodes.trouble);
  }
}

async function stop(
  { mode, signal }: Stop,
  server: Server,
  core: AgentCore,
  stops: StopRequests,
  log: Log,
): Promise<number> {
  const running = core.runningCount;
  if (mode === 'leave') {
    log.info(
      { jobs: running },
      running === 0
        ? `${signal}: stopping`
        : `${signal}: stopping; ${running} job(s) go on and are taken up by the next start`,
    );
    return exitCodes.ok;
  }
  if (mode === 'drain') {
    if (running > 0)
      log.info({ jobs: running }, `${signal}: waiting for ${running} running job(s); once more kills them`);
    const drained = core.stop('drain');
    if ((await Promise.race([drained.then(() => undefined), stops.next()])) === undefined)
      return exitCodes.ok;
  }
  log.warn({ jobs: core.runningCount }, 'killing the running jobs');
  await server.close();
  await core.stop('kill');
  return exitCodes.ok;
}
