import { describe, expect, it } from 'vitest';
import { createProgress, progressLine } from '../../../src/cli/progress.js';
import { noCounts, type PlanCounts } from '../../../src/watch/plan.js';
import { ManualClock } from '../../support/watch-fixtures.js';

const counts = (over: Partial<PlanCounts>): PlanCounts => ({ ...noCounts, files: 100, ...over });

describe('progressLine', () => {
  it('sums over the watches', () => {
    const line = progressLine([
      counts({ files: 1500, done: 1000, ready: 400, running: 100 }),
      counts({ files: 500, done: 400, failed: 100 }),
    ]);
    expect(line).toBe('75%  1,400 done, 400 ready, 100 running, 100 failed');
  });

  it('is not shown for a few files, nor when all is done', () => {
    expect(progressLine([])).toBe('');
    expect(progressLine([counts({ files: 49, ready: 49 })])).toBe('');
    expect(progressLine([counts({ done: 90, failed: 5, killed: 5 })])).toBe('');
    // what waits for time or for a person is no progress to follow
    expect(progressLine([counts({ done: 50, waiting: 50 })])).toBe('');
  });

  it('says 100% only when nothing is left', () => {
    expect(progressLine([counts({ files: 100_000, done: 99_999, running: 1 })])).toMatch(/^99%/);
  });
});

describe('createProgress', () => {
  function setup(isTerminal: boolean) {
    const clock = new ManualClock();
    let text = '';
    const context = {
      cwd: '/',
      env: {},
      clock,
      out: () => undefined,
      err: (more: string) => (text += more),
      isTerminal,
      columns: 20,
      onSignal: () => () => undefined,
    };
    const take = (): string => {
      const taken = text;
      text = '';
      return taken;
    };
    return { clock, progress: createProgress(context), take };
  }
  const busy = counts({ done: 10, ready: 90 });

  it('writes nothing but the log where nobody looks', () => {
    const { progress, take } = setup(false);
    progress.turn('w', busy);
    progress.write('line\n');
    progress.done();
    expect(take()).toBe('line\n');
  });

  it('keeps one line that fits, not more often than the eye can follow, and clears it', async () => {
    const { clock, progress, take } = setup(true);
    progress.turn('w', busy);
    expect(take()).toBe('\r\u001b[K10%  10 done, 90 re');
    progress.turn('w', counts({ done: 11, ready: 89 }));
    expect(take()).toBe('');
    await clock.advance(200);
    progress.turn('w', counts({ done: 12, ready: 88 }));
    expect(take()).toContain('12%');
    progress.write('line\n');
    expect(take()).toBe('\r\u001b[Kline\n12%  12 done, 88 re');
    progress.turn('w', counts({ done: 100 }));
    expect(take()).toBe('\r\u001b[K');
    progress.done();
    expect(take()).toBe('');
  });
});
