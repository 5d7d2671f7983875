import { describe, expect, it } from 'vitest';
import { admit } from '../../../src/agent/admission.js';
import type { SubmitRequest } from '../../../src/protocol/agent.js';
import { record } from './records.js';

const request = (spec: Record<string, unknown> = {}, key = 'k'): SubmitRequest => ({
  key,
  spec: { id: 'j', pool: 'p', args: ['true'], ...spec },
});
const decide = (r: SubmitRequest, existing?: Parameters<typeof admit>[1]): ReturnType<typeof admit> =>
  admit(r, existing, { p: {}, q: {} }, 7, 100);

describe('admit', () => {
  it('accepts a new job', () => {
    expect(decide(request())).toMatchObject({ kind: 'accept', record: { state: 'new', order: 7, run: 0 } });
  });

  it('knows a job by its key, in any state', () => {
    for (const state of ['new', 'running', 'done', 'failed', 'killed'] as const)
      expect(decide(request(), record({ state })).kind).toBe('known');
  });

  it('starts a finished job from scratch under a new key, without reusing run numbers', () => {
    const old = record({ state: 'failed', run: 4, start_count: 4, fail_count: 4, rc: 1, error: 'x' });
    const decided = decide(request({}, 'new'), old);
    expect(decided).toMatchObject({
      kind: 'accept',
      record: { key: 'new', run: 4, start_count: 0, fail_count: 0 },
    });
    expect(decided.kind === 'accept' && decided.record.rc).toBeUndefined();
    expect(decide(request({}, 'new'), record({ state: 'running' }))).toMatchObject({ kind: 'refuse' });
  });

  it.each([
    [{ pool: 'x' }, 'unknown pool "x"; known: p, q'],
    [{ pool: '__proto__' }, 'unknown pool'],
    [{ args: [''] }, 'the executable is empty'],
    [{ args: ['a', 'b\0'] }, 'NUL'],
    [{ stdin: 'b\0' }, 'NUL'],
    [{ env: { A: '\0' } }, 'NUL'],
    [{ env: { 'A=B': 'c' } }, 'no name of a variable'],
    [{ env: { '': 'c' } }, 'no name of a variable'],
    [{ cwd: 'relative' }, 'not absolute'],
    [{ runtime: -1 }, 'bad job spec: runtime'],
    [{ nonsense: 1 }, 'bad job spec'],
  ])('refuses %o', (spec, error) => {
    expect(decide(request(spec))).toMatchObject({
      kind: 'refuse',
      error: expect.stringContaining(error) as string,
    });
  });
});
