import { describe, expect, it } from 'vitest';
import { Turns } from '../../../src/watch/turns.js';
import { ManualClock, NOW, quiet } from '../../support/watch-fixtures.js';

/** Turns that take as long as the test wants, and note when they began. */
function setup(wakeAt: () => number = () => Infinity) {
  const clock = new ManualClock();
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  let running = 0;
  let most = 0;
  let inTurn: () => void = () => undefined;
  const turns = new Turns(clock, async () => {
    begun.push(clock.now() - NOW);
    most = Math.max(most, ++running);
    inTurn();
    await new Promise<void>((resolve) => ends.push(resolve));
    running--;
    return wakeAt();
  });
  return {
    clock,
    turns,
    begun,
    most: () => most,
    during: (callback: () => void) => (inTurn = callback),
    end: async () => {
      ends.shift()?.();
      await quiet();
    },
  };
}

describe('Turns', () => {
  it('makes one turn of a burst of wishes', async () => {
    const { clock, turns, begun, end } = setup();
    for (let i = 0; i < 100; i++) turns.want();
    await clock.advance(10);
    expect(begun).toHaveLength(1);
    await end();
    await clock.advance(60_000);
    expect(begun).toHaveLength(1);
  });

  it('leads wishes during a turn to exactly one more, after it', async () => {
    const { clock, turns, begun, end, most } = setup();
    turns.want();
    await clock.advance(10);
    turns.want();
    turns.want();
    await clock.advance(5000);
    expect(begun).toHaveLength(1);
    await end();
    await clock.advance(10);
    expect(begun).toHaveLength(2);
    await end();
    await clock.advance(5000);
    expect(begun).toHaveLength(2);
    expect(most()).toBe(1);
  });

  it('makes one turn at a time, also when a turn wants the next in its first breath', async () => {
    const { clock, turns, begun, most, during, end } = setup();
    during(() => begun.length < 3 && turns.want());
    turns.want();
    await clock.advance(5000);
    expect(most()).toBe(1);
    await end();
    await clock.advance(5000);
    expect(begun).toHaveLength(2);
    expect(most()).toBe(1);
  });

  it('comes back when the turn says, and not before', async () => {
    const times = [NOW + 5000, Infinity];
    const { clock, turns, begun, end } = setup(() => times.shift()!);
    turns.want();
    await clock.advance(2);
    await end();
    await clock.advance(4997);
    expect(begun).toHaveLength(1);
    await clock.advance(1);
    expect(begun).toEqual([0, 5000]);
    await end();
    expect(clock.pending).toEqual([]);
  });

  it('does not spin when a turn is always due', async () => {
    const { clock, turns, begun, end } = setup(() => 0);
    turns.want();
    for (let i = 0; i < 5; i++) {
      await clock.advance(1);
      await end();
    }
    expect(begun.length).toBeLessThanOrEqual(5);
  });

  it('an earlier wish beats a later timer, and the timer is not lost', async () => {
    const times = [NOW + 50_000, NOW + 50_000, Infinity];
    const { clock, turns, begun, end } = setup(() => times.shift()!);
    turns.want();
    await clock.advance(2);
    await end();
    turns.want();
    await clock.advance(10);
    expect(begun).toHaveLength(2);
    await end();
    await clock.advance(60_000);
    expect(begun[2]).toBe(50_000);
  });

  it('makes costly turns less often, but one after a pause at once', async () => {
    const { clock, turns, begun, end } = setup();
    turns.cost = 100;
    turns.want();
    await clock.advance(2);
    await end();
    turns.want();
    await clock.advance(199);
    expect(begun).toHaveLength(1);
    await clock.advance(1);
    expect(begun).toHaveLength(2);
    await end();
    await clock.advance(10_000);
    turns.want();
    await clock.advance(2);
    expect(begun).toHaveLength(3);
    turns.cost = 1e9;
    await end();
    turns.want();
    await clock.advance(1000);
    expect(begun).toHaveLength(4);
  });

  it('pauses as long as the most impatient wish says, also of those during a turn', async () => {
    const { clock, turns, begun, end } = setup();
    turns.cost = 100;
    turns.want();
    await clock.advance(2);
    await end();
    turns.want(9);
    await clock.advance(899);
    expect(begun).toHaveLength(1);
    await clock.advance(1);
    expect(begun).toHaveLength(2);
    turns.want(9);
    turns.want();
    turns.want(9);
    await end();
    await clock.advance(199);
    expect(begun).toHaveLength(2);
    await clock.advance(1);
    expect(begun).toHaveLength(3);
    await end();
    turns.want(9);
    await clock.advance(150);
    turns.want();
    await clock.advance(50);
    expect(begun).toHaveLength(4);
  });

  it('now() makes a turn at once', async () => {
    const { turns, begun, end } = setup();
    let quietAgain = false;
    const now = turns.now().then(() => (quietAgain = true));
    expect(begun).toEqual([0]);
    await quiet();
    expect(quietAgain).toBe(false);
    await end();
    await now;
  });

  it('idle() waits for the turn under way only', async () => {
    const { clock, turns, end } = setup(() => NOW + 1e6);
    await turns.idle();
    turns.want();
    await clock.advance(2);
    let idle = false;
    const waiting = turns.idle().then(() => (idle = true));
    await quiet();
    expect(idle).toBe(false);
    await end();
    await waiting;
  });

  it('after stop() no turn is made, whatever is wanted or was due', async () => {
    const { clock, turns, begun, end } = setup(() => NOW + 1000);
    turns.want();
    await clock.advance(2);
    const stopped = turns.stop();
    turns.want();
    await end();
    await stopped;
    turns.want();
    await turns.now();
    await clock.advance(1e6);
    expect(begun).toHaveLength(1);
    expect(clock.pending).toEqual([]);
  });
});
