import { describe, expect, it } from 'vitest';
import { afterEnd, planService, type ServiceState } from '../../../src/watch/service-plan.js';
import { NOW } from '../../support/watch-fixtures.js';

const absent: ServiceState = { state: 'absent', endedAt: 0, quickDeaths: 0 };
const end = (before: ServiceState, lived: number, killed = false): ServiceState =>
  afterEnd(before, { startedAt: NOW - lived, endedAt: NOW, killed });

describe('a service', () => {
  it('is started when it is not there, and left alone while it is', () => {
    expect(planService(absent, NOW)).toEqual({ kind: 'start' });
    expect(planService({ ...absent, state: 'up' }, NOW)).toEqual({ kind: 'leave' });
  });

  it('that ended is started again after a second', () => {
    const ended = end(absent, 3_600_000);
    expect(planService(ended, NOW)).toEqual({ kind: 'wait', until: NOW + 1000 });
    expect(planService(ended, NOW + 999)).toMatchObject({ kind: 'wait' });
    expect(planService(ended, NOW + 1000)).toEqual({ kind: 'start' });
  });

  it('that dies at once again and again waits ever longer, at most a minute', () => {
    let state = absent;
    const waits: number[] = [];
    for (let death = 0; death < 9; death++) {
      state = end(state, 10);
      const action = planService(state, NOW);
      waits.push(action.kind === 'wait' ? action.until - NOW : -1);
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    expect(planService({ ...state, quickDeaths: 1e9 }, NOW)).toMatchObject({ until: NOW + 60_000 });
  });

  it('that lived for a while starts afresh', () => {
    const tired = end(end(end(absent, 1), 1), 1);
    expect(end(tired, 10_000).quickDeaths).toBe(0);
    expect(end(tired, 9999).quickDeaths).toBe(4);
  });

  it('that was killed stays down', () => {
    const killed = end(absent, 60_000, true);
    expect(planService(killed, NOW + 1e9)).toEqual({ kind: 'leave' });
  });
});
