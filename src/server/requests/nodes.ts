import { loadavg } from 'node:os';
import type { Handler, Service } from '../service.js';

/** Slots a job could have at once: null without a limit, 0 in a pool that starts nothing. */
export function freeSlots({ core }: Service): Record<string, number | null> {
  const counts = core.counts();
  return Object.fromEntries(
    Object.keys(core.pools).map((pool) => {
      const { slots, running = 0 } = counts[pool] ?? {};
      return [pool, slots === undefined ? null : Math.max(slots - running, 0)];
    }),
  );
}

export const load = (): number => Math.round((loadavg()[0] ?? 0) * 100) / 100;

/** `nodes`: every node this one knows about, which is itself. */
export const nodes: Handler = (_argument, { service }) => ({
  [service.node]: {
    pools: freeSlots(service),
    online: true,
    ts: service.clock.now() / 1000,
    loadavg: load(),
    routing: [service.node],
  },
});
