import { expect, it, describe } from 'vitest';
import {
  bootId,
  family,
  isAlive,
  isSafePid,
  parseStat,
  processStat,
  signalGroup,
  signalProcess,
} from '../../../src/executors/process/proc.js';
import type { ProcessStat } from '../../../src/executors/process/proc.js';

const stat = (pid: number, parent: number, session: number, group = session): ProcessStat => ({
  pid,
  parent,
  session,
  group,
  birth: `b${pid}`,
});
const leader = { pid: 10, birth: 'b10', boot: 'x' };
const pids = (found: readonly ProcessStat[]): number[] => found.map((p) => p.pid).sort((a, b) => a - b);

describe('a process', () => {
  it('is read from a stat line, whatever its name', () => {
    const rest = '1 42 43 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2';
    expect(parseStat(`41 (a) R (b c) S ${rest}`)).toEqual({
      pid: 41,
      parent: 1,
      group: 42,
      session: 43,
      birth: '98765',
    });
    expect(parseStat(`41 (z) Z ${rest}`)).toBeUndefined();
    expect(parseStat('nonsense')).toBeUndefined();
  });

  it('is identified by start time and boot', () => {
    const me = { pid: process.pid, birth: processStat(process.pid)!.birth, boot: bootId() };
    expect(isAlive(me)).toBe(true);
    expect(isAlive({ ...me, birth: '1' })).toBe(false);
    expect(isAlive({ ...me, boot: 'other' })).toBe(false);
  });

  it('is not signalled when the number is dangerous, ours, or of another one', () => {
    for (const pid of [0, 1, -1, -5, 1.5, NaN, Infinity]) expect(isSafePid(pid)).toBe(false);
    expect(signalProcess(-1, 'x', 'SIGKILL')).toBe(false);
    expect(signalProcess(process.pid, processStat(process.pid)!.birth, 'SIGTERM')).toBe(false);
    expect(signalProcess(process.ppid, 'another birth', 'SIGTERM')).toBe(false);
    expect(signalGroup({ ...processStat(process.pid)!, birth: 'other' }, 'SIGTERM')).toBe(false);
  });
});

describe('family', () => {
  it('is the session and the descendants, also those in other sessions', () => {
    const all = [
      stat(1, 0, 1),
      stat(10, 5, 10),
      stat(11, 10, 10),
      stat(12, 1, 10, 12),
      stat(13, 10, 13),
      stat(14, 13, 13),
      stat(20, 1, 20),
    ];
    expect(pids(family(leader, new Map(), all))).toEqual([10, 11, 12, 13, 14]);
  });

  it('includes a leader that is not yet in its own session, but not its session', () => {
    expect(pids(family(leader, new Map(), [stat(5, 1, 5), stat(10, 5, 5), stat(6, 5, 5)]))).toEqual([10]);
  });

  it('remembers members whose parent is gone, but not who has their number now', () => {
    const known = new Map([
      [13, 'b13'],
      [14, 'older'],
    ]);
    expect(pids(family(leader, known, [stat(13, 1, 13), stat(14, 1, 14), stat(15, 13, 13)]))).toEqual([
      13, 15,
    ]);
  });

  it('never includes process 1', () => {
    expect(family({ ...leader, pid: 1 }, new Map(), [stat(1, 0, 1)])).toEqual([]);
  });
});
