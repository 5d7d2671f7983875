import type { Handler } from '../service.js';
import { load } from './nodes.js';
import { pools } from './pools.js';

/** `status`: the document's own spelling of `nodes` and `pools` in one. */
export const status: Handler = (argument, call) => ({
  nodes: { [call.service.node]: { ts: call.service.clock.now() / 1000, online: true, loadavg: load() } },
  pools: pools(argument, call),
});
