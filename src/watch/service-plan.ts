/** One copy of a job that a watch without globs keeps running. */
export interface ServiceState {
  readonly state: 'absent' | 'up' | 'ended' | 'killed';
  /** ms since the epoch of its last end, for `ended` */
  readonly endedAt: number;
  /** quick deaths in a row */
  readonly quickDeaths: number;
}

export type ServiceAction =
  { readonly kind: 'start' } | { readonly kind: 'wait'; readonly until: number } | { readonly kind: 'leave' };

/** A service that lived shorter died at once: it is throttled. */
export const QUICK_DEATH_MS = 10_000;
const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 60_000;

/**
 * What a service needs now. One that ended is started again after a second; one that dies at once again and again
 * waits 1, 2, 4 ... 60 s. A killed one stays down until a person resets it or the watcher is started.
 */
export function planService(service: ServiceState, now: number): ServiceAction {
  switch (service.state) {
    case 'absent':
      return { kind: 'start' };
    case 'up':
    case 'killed':
      return { kind: 'leave' };
    case 'ended': {
      const until = service.endedAt + restartDelay(service.quickDeaths);
      return now >= until ? { kind: 'start' } : { kind: 'wait', until };
    }
  }
}

const restartDelay = (quickDeaths: number): number =>
  Math.min(FIRST_DELAY_MS * 2 ** Math.min(Math.max(quickDeaths - 1, 0), 20), LONGEST_DELAY_MS);

/** The state after a job ended. */
export function afterEnd(
  before: ServiceState,
  ran: { startedAt: number; endedAt: number; killed: boolean },
): ServiceState {
  const quick = ran.endedAt - ran.startedAt < QUICK_DEATH_MS;
  return {
    state: ran.killed ? 'killed' : 'ended',
    endedAt: ran.endedAt,
    quickDeaths: quick ? before.quickDeaths + 1 : 0,
  };
}
