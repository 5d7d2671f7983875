import type { Handler } from '../service.js';
import { freeSlots } from './nodes.js';

/** `pools`: the free slots of every pool, by node; null without a limit, as documented. */
export const pools: Handler = (_argument, { service }) =>
  Object.fromEntries([...freeSlots(service)].map(([pool, free]) => [pool, { [service.node]: free ?? null }]));
