import { createAgent } from '../../src/agent/agent.js';
import { systemClock } from '../../src/lib/clock.js';
import { agentConformance } from './agent.conformance.js';
import { quietLog } from './harness.js';

agentConformance('embedded agent', (directory, pools, env = process.env) =>
  createAgent({
    directory,
    node: 'here',
    pools,
    defaultSlots: 2,
    expire: 60,
    clock: systemClock,
    log: quietLog,
    env,
  }),
);
