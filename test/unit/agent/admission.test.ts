import { describe, expect, it } from 'vitest';
import { admit } from '../../../src/agent/admission.js';
import type { Pools } from '../../../src/agent/types.js';
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

  it('counts the changes of a job on, whatever key it has', () => {
    const decided = decide(request({}, 'new'), record({ state: 'done', seq: 12 }));
    expect(decided).toMatchObject({ kind: 'accept', record: { seq: 12 } });
    expect(decide(request())).toMatchObject({ record: { seq: 0 } });
  });

  it('says what an active job is doing when it is submitted under another key', () => {
    const error = (state: 'new' | 'running') => decide(request({}, 'new'), record({ state }));
    expect(error('new')).toEqual({
      kind: 'refuse',
      error: 'job j is queued; kill it before submitting it anew',
    });
    expect(error('running')).toEqual({
      kind: 'refuse',
      error: 'job j is running; kill it before submitting it anew',
    });
  });

  it.each([
    ['no id', { key: 'k', spec: { pool: 'p', args: ['true'] } }],
    ['no key', { spec: { id: 'j', pool: 'p', args: ['true'] } }],
    ['an empty key', { key: '', spec: { id: 'j', pool: 'p', args: ['true'] } }],
    ['a key that is no text', { key: 5, spec: { id: 'j', pool: 'p', args: ['true'] } }],
  ])('refuses a submission with %s', (_, bad) => {
    expect(decide(bad as unknown as SubmitRequest)).toEqual({
      kind: 'refuse',
      error: 'a job needs an id and a key',
    });
  });

  it('takes a job for a pool that is not there where any pool will do', () => {
    expect(admit(request({ pool: 'later' }), undefined, 'any', 1, 1).kind).toBe('accept');
  });

  it('names the pools there are in the order of the alphabet', () => {
    const refused = (pools: Pools) => admit(request({ pool: 'x' }), undefined, pools, 1, 1);
    expect(refused({ z: {}, a: {}, m: {} })).toMatchObject({ error: 'unknown pool "x"; known: a, m, z' });
    expect(refused({})).toMatchObject({ error: 'unknown pool "x"; known: none' });
  });

  it('takes variables and directories that a process can be started with', () => {
    expect(decide(request({ env: { A: 'a=b', B: '' }, cwd: '/tmp' })).kind).toBe('accept');
  });

  it('looks once at an environment that cannot change, every time at one that can', () => {
    const good = Object.freeze({ A: 'a' });
    expect([decide(request({ env: good })).kind, decide(request({ env: good })).kind]).toEqual([
      'accept',
      'accept',
    ]);
    const bad = Object.freeze({ A: 'a\0' });
    for (let i = 0; i < 2; i++)
      expect(decide(request({ env: bad }))).toMatchObject({
        error: expect.stringContaining('NUL') as unknown,
      });
    const open: Record<string, string> = { A: 'a' };
    expect(decide(request({ env: open })).kind).toBe('accept');
    open['B=C'] = 'b';
    expect(decide(request({ env: open }))).toMatchObject({
      error: 'env: "B=C" is no name of a variable',
    });
  });

  it('refuses a NUL in any variable', () => {
    for (const env of [
      { A: 'a', B: 'b\0' },
      { A: 'a', 'B\0': 'b' },
    ])
      expect(decide(request({ env }))).toMatchObject({ error: expect.stringContaining('NUL') as unknown });
  });

  it.each(['stdin', 'stdout', 'stderr', 'cwd'])('refuses a NUL in %s', (key) => {
    expect(decide(request({ [key]: '/a\0b' }))).toEqual({
      kind: 'refuse',
      error: 'args, env and paths cannot hold a NUL character',
    });
  });

  it('says where in the spec the mistake is', () => {
    const refused = decide(request({ env: { A: 1 } }));
    expect(refused.kind === 'refuse' && refused.error).toMatch(/^bad job spec: env\.A: \w/);
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
