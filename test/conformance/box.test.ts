import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { Pools } from '../../src/agent/types.js';
import { createAgentClient } from '../../src/client/agent-client.js';
import type { ConnectOptions } from '../../src/client/options.js';
import type { AgentPort } from '../../src/protocol/agent.js';
import { Box } from '../support/box.js';
import { makeCertificates } from '../support/certificates.js';
import { agentConformance } from './agent.conformance.js';

let keys: string;
let certificates: ReturnType<typeof makeCertificates>;
let made = 0;
beforeAll(() => {
  keys = mkdtempSync(join(tmpdir(), 'meeseeks-keys-'));
  certificates = makeCertificates(keys);
});
afterAll(() => rmSync(keys, { recursive: true, force: true }));

interface Route {
  readonly listen: Record<string, unknown>;
  readonly connect: (port: number) => ConnectOptions;
}

/** A box in a process of its own, and our client connected to it; `stop` ends both. */
async function boxed(
  directory: string,
  pools: Pools,
  env: NodeJS.ProcessEnv | undefined,
  { listen, connect }: Route,
): Promise<AgentPort> {
  const home = mkdtempSync(join(tmpdir(), 'meeseeks-box-'));
  const box = await Box.start({
    directory: home,
    config: { name: 'here', listen, pools, state_dir: directory },
    env: { HOME: undefined, XDG_STATE_HOME: undefined, ...env },
  });
  const client = createAgentClient(connect(box.port));
  return {
    description: client.description,
    submit: (requests) => client.submit(requests),
    query: (ids) => client.query(ids),
    list: (filter) => client.list(filter),
    kill: (ids) => client.kill(ids),
    release: (ids) => client.release(ids),
    onJob: (listener) => client.onJob(listener),
    stop: async (mode) => {
      await client.stop(mode);
      await box.stop(...(mode === 'kill' ? (['SIGINT', 'SIGINT'] as const) : (['SIGTERM'] as const)));
      rmSync(home, { recursive: true, force: true });
    },
  };
}

const routes: Record<string, () => Route> = {
  TCP: () => ({
    listen: { address: '127.0.0.1', port: 0 },
    connect: (port) => ({ address: '127.0.0.1', port }),
  }),
  TLS: () => ({
    listen: { address: '127.0.0.1', port: 0, ssl: { ...certificates.server, cafile: certificates.ca } },
    connect: (port) => ({
      address: '127.0.0.1',
      port,
      ssl: { ...certificates.client, cafile: certificates.ca },
    }),
  }),
  'a UNIX socket': () => {
    const path = join(keys, `${++made}.sock`);
    return { listen: { path, port: false }, connect: () => ({ address: path }) };
  },
};

for (const [name, route] of Object.entries(routes))
  agentConformance(`box over ${name}`, (directory, pools, env) => boxed(directory, pools, env, route()), {
    unknownPools: 'wait',
  });
