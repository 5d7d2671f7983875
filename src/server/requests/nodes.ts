import { loadavg } from 'node:os';
import type { Handler, Service } from '../service.js';

/** Slots of every pool, taken or not; 0 in a pool that starts nothing. */
export function allSlots({ core }: Service): Map<string, number | undefined> {
  const counts = core.counts();
  return new Map(Object.keys(core.pools).map((pool) => [pool, counts[pool]?.slots]));
}

/** Slots a job could have at once: undefined without a limit, 0 in a pool that starts nothing. */
export function freeSlots(service: Service): Map<string, number | undefined> {
  const counts = service.core.counts();
  return new Map(
    [...allSlots(service)].map(([pool, slots]) => {
      const { running = 0 } = counts[pool] ?? {};
      return [pool, slots === undefined ? undefined : Math.max(slots - running, 0)];
    }),
  );
}

export const load = (): number => Math.round((loadavg()[0] ?? 0) * 100) / 100;

/**
 * `nodes`: every node this one knows about, which is itself. No limit is true for clients of the original: they
 * subtract their jobs from anything else.
 */
export const nodes: Handler = (_argument, { service, session }) => ({
  [service.node]: {
    pools: Object.fromEntries(
      [...allSlots(service)].map(([pool, slots]) => [pool, slots ?? (session.protocol === 1 ? true : null)]),
    ),
    online: true,
    ts: service.clock.now() / 1000,
    loadavg: load(),
    routing: [service.node],
  },
});
