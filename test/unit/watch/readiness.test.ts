import { describe, expect, it } from 'vitest';
import type { WatchDefinition } from '../../../src/config/schema.js';
import { identityKey } from '../../../src/watch/identity.js';
import type { Evidence } from '../../../src/watch/observation.js';
import { unitIdentity } from '../../../src/watch/progress.js';
import { probeDelay, readiness, type Readiness } from '../../../src/watch/readiness.js';
import { fileOf, NOW, unitOf, watchWith, World } from '../../support/watch-fixtures.js';

const none = { stable: undefined, sentinel: undefined, check: undefined, closed: false };

function judge(
  ready: Partial<WatchDefinition['ready']>,
  known?: Partial<Evidence>,
  observedAt = NOW,
): Readiness {
  const watch = watchWith({ ready: { ...none, ...ready } });
  const file = fileOf(watch, 'x', { observedAt });
  const unit = unitOf(file);
  const world = new World(watch, [file]);
  if (known !== undefined) world.evidence.set('x', { identity: identityKey(unitIdentity(unit)), ...known });
  return readiness(watch, unit, world.input());
}

it('without rules a file is ready', () => {
  expect(judge({})).toEqual({ kind: 'ready' });
});

describe('stable', () => {
  it('counts from when the file was seen as it is, not from its times', () => {
    expect(judge({ stable: 5 }, undefined, NOW - 4000)).toMatchObject({
      kind: 'waiting',
      rule: 'ready.stable',
      until: NOW + 1000,
    });
    expect(judge({ stable: 5 }, undefined, NOW - 5000)).toEqual({ kind: 'ready' });
  });

  it('asks it of every member of a set', () => {
    const watch = watchWith({ ready: { ...none, stable: 5 } });
    const [old, young] = [
      fileOf(watch, 'a', { observedAt: NOW - 9000 }),
      fileOf(watch, 'b', { observedAt: NOW - 2000 }),
    ];
    const unit = { ...unitOf(old), members: [[old], [young]] };
    expect(readiness(watch, unit, new World(watch, [old, young]).input())).toMatchObject({
      until: NOW + 3000,
    });
  });
});

describe.each([
  ['closed', { closed: true }, 'openUntil'],
  ['sentinel', { sentinel: 'x.done' }, 'sentinelAt'],
  ['check', { check: ['true'] }, 'checkAt'],
] as const)('%s', (what, ready, key) => {
  it('is looked at first', () => {
    expect(judge(ready)).toEqual({ kind: 'probe', what });
    expect(judge(ready, {})).toEqual({ kind: 'probe', what });
  });

  it('is enough when it holds', () => {
    expect(judge(ready, { [key]: null })).toEqual({ kind: 'ready' });
  });

  it('is looked at again when it is time', () => {
    expect(judge(ready, { [key]: NOW + 1 })).toMatchObject({
      kind: 'waiting',
      rule: `ready.${what}`,
      until: NOW + 1,
    });
    expect(judge(ready, { [key]: NOW })).toEqual({ kind: 'probe', what });
  });

  it('is void for a file that changed since', () => {
    expect(judge(ready, { identity: 'another', [key]: null })).toEqual({ kind: 'probe', what });
  });
});

it('waits while the check command runs', () => {
  const verdict = judge({ check: ['true'] }, { checkAt: 'running' });
  expect(verdict).toMatchObject({ kind: 'waiting', rule: 'ready.check' });
  expect(verdict).not.toHaveProperty('until');
});

it('all evidence must hold, the cheapest is asked for first', () => {
  const all = { stable: 5, sentinel: 's', closed: true, check: ['true'] };
  const quiet = NOW - 9000;
  expect(judge(all, { sentinelAt: null, openUntil: null, checkAt: null })).toMatchObject({
    rule: 'ready.stable',
  });
  expect(judge(all, {}, quiet)).toEqual({ kind: 'probe', what: 'sentinel' });
  expect(judge(all, { sentinelAt: null }, quiet)).toEqual({ kind: 'probe', what: 'closed' });
  expect(judge(all, { sentinelAt: null, openUntil: null }, quiet)).toEqual({ kind: 'probe', what: 'check' });
  expect(judge(all, { openUntil: null, checkAt: null }, quiet)).toEqual({ kind: 'probe', what: 'sentinel' });
  expect(judge(all, { sentinelAt: null, openUntil: null, checkAt: null }, quiet)).toEqual({ kind: 'ready' });
});

it('says what it waits for', () => {
  const detail = (...args: Parameters<typeof judge>) => {
    const verdict = judge(...args);
    return verdict.kind === 'waiting' ? verdict.detail : verdict.kind;
  };
  expect(detail({ stable: 5 })).toBe('must stay unchanged for 5 s');
  expect(detail({ sentinel: '%f.ok' }, { sentinelAt: NOW + 1 })).toBe('waits for %f.ok');
  expect(detail({ closed: true }, { openUntil: NOW + 1 })).toBe('a process has it open for writing');
  expect(detail({ closed: true }, { openUntil: NOW + 1, sealed: false })).toContain('a process');
  expect(detail({ closed: true }, { openUntil: NOW + 1, sealed: true })).toBe(
    'nobody may read it yet (its mode is 000)',
  );
  expect(detail({ check: ['x'] }, { checkAt: 'running' })).toBe('the check command is running');
  expect(detail({ check: ['x'] }, { checkAt: NOW + 1 })).toBe('the check command failed and is tried again');
});

it('looks no sooner at a file because it was written to since: it is open', () => {
  expect(judge({ closed: true }, { identity: 'another', openUntil: NOW + 5 })).toMatchObject({
    kind: 'waiting',
    until: NOW + 5,
  });
});

it('probeDelay grows and is capped', () => {
  expect([0, 1, 2, 50, 1e9].map((tries) => probeDelay(tries, 1000))).toEqual([10, 20, 40, 1000, 1000]);
});
