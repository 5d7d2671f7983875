import { describe, expect, it } from 'vitest';
import { applyChanges, type Changes } from '../../../src/agent/changes.js';
import type { JobRecord } from '../../../src/agent/types.js';
import { record } from './records.js';

const change = (from: JobRecord, changes: Partial<Changes>): JobRecord & { kill: boolean } => {
  const result = applyChanges(from, { spec: {}, ...changes }, 99);
  if (result.kind === 'refuse') throw new Error(result.error);
  return { ...result.record, kill: result.kill };
};

describe('applyChanges', () => {
  const over = record({
    state: 'failed',
    rc: 1,
    reason: 'exit',
    end_ts: 5,
    start_count: 2,
    run: 2,
    failures: 2,
  });

  it('starts a finished job again with all its tries, and with its counts', () => {
    const again = change({ ...over, spec: { ...over.spec, node: 'n2' } }, { state: 'new' });
    expect(again).toMatchObject({
      state: 'new',
      order: 99,
      failures: 0,
      start_count: 2,
      run: 2,
      kill: false,
    });
    expect([again.rc, again.end_ts, again.spec.node]).toEqual([undefined, undefined, undefined]);
    expect(change(over, { state: 'new', spec: { node: 'n3' } }).spec.node).toBe('n3');
  });

  it('does not move or restart a job that runs, and ends it', () => {
    const running = record({ state: 'running', run: 1 });
    const next = change(running, { state: 'new', spec: { pool: 'q', node: 'n2', tags: ['x'] } });
    expect(next).toMatchObject({ state: 'running', spec: { pool: 'p', tags: ['x'] }, kill: false });
    expect(next.spec.node).toBeUndefined();
    expect(change(running, { state: 'killed' }).kill).toBe(true);
  });

  it('moves a job that waits', () => {
    expect(change(record(), { spec: { pool: 'q', hold: true } }).spec).toMatchObject({
      pool: 'q',
      hold: true,
    });
  });

  it('leaves a finished job what it is when it is killed, or only changed', () => {
    expect(change(over, { state: 'killed' })).toMatchObject({ state: 'failed', rc: 1, kill: false });
    expect(change(over, { spec: { tags: ['t'] } })).toMatchObject({ state: 'failed', rc: 1 });
  });

  it('leaves a job where it is when no place is named', () => {
    const there = record({}, { node: 'n1' });
    expect(change(there, { spec: { hold: true } }).spec).toEqual({ ...there.spec, hold: true });
    expect(change(there, {}).wire).toBeUndefined();
    expect(applyChanges(there, { spec: {} }, 1).kind).toBe('record');
  });

  it('forgets how a key was written when it is set anew', () => {
    const written = record({ wire: { hold: 1, foo: 2 } });
    expect(change(written, { spec: { hold: false }, wire: { bar: 3 } }).wire).toEqual({ foo: 2, bar: 3 });
  });

  it('refuses what no process can be started with', () => {
    expect(applyChanges(record(), { spec: { args: ['a\0'] } }, 1)).toMatchObject({ kind: 'refuse' });
  });
});
