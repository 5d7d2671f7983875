import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { markerContent, readMarker, withoutJob } from '../../../src/watch/record.js';
import { identityWith, jobWith, NOW, resultWith } from '../../support/watch-fixtures.js';

const fixture = (name: string): string =>
  readFileSync(new URL(`../../fixtures/markers/${name}`, import.meta.url), 'utf8');

describe('readMarker', () => {
  describe.each(['jan2020', 'head'])('of the Python original, %s', (release) => {
    it.each([
      ['done', 1_795_211_614_706.5],
      ['failed', 1_795_211_614_706.55],
      // no end_ts in it: the time of the marker itself
      ['killed', 42],
    ])('%s', (state, endedAt) => {
      const facts = readMarker(fixture(`${release}.${state}.json`), 42);
      expect(facts).toMatchObject({ watch: undefined, file: undefined, identity: undefined, attempt: 1 });
      expect(facts!.endedAt).toBeCloseTo(endedAt, 1);
    });
  });

  it.each(['', '{', '[]', 'null', '"done"', '7', '{}', '{"state":1}', '\u0000\u0005\u0016\u0007AppleDouble'])(
    'takes %j for no marker, without throwing',
    (content) => expect(readMarker(content, 0)).toBeUndefined(),
  );

  it('ignores parts that make no sense', () => {
    const content = {
      state: 'done',
      identity: { mtime_ns: 5 },
      attempt: -2,
      end_ts: 'x',
      watch: 7,
      file: [],
    };
    expect(readMarker(JSON.stringify(content), 9)).toEqual({
      watch: undefined,
      file: undefined,
      identity: undefined,
      attempt: 1,
      endedAt: 9,
    });
  });

  it('reads back what markerContent wrote', () => {
    const file = 'sub/\udcff\n%"x';
    const result = resultWith(file, { attempt: 3, job: jobWith({ state: 'failed', rc: 2 }) });
    expect(readMarker(markerContent(result), 0)).toEqual({
      watch: 'w',
      file,
      identity: identityWith(),
      attempt: 3,
      endedAt: NOW,
    });
  });
});

describe('markerContent', () => {
  const content = JSON.parse(
    markerContent(resultWith('x', { job: jobWith({ args: ['cat', '/data/x'], signal: 'SIGTERM' }) })),
  ) as Record<string, unknown>;

  it('is the finished job and what it was run on', () => {
    expect(content).toMatchObject({
      id: 'j',
      state: 'done',
      rc: 0,
      args: ['cat', '/data/x'],
      signal: 'SIGTERM',
      node: 'n',
      start_ts: NOW / 1000 - 1,
      end_ts: NOW / 1000,
      identity: identityWith(),
      attempt: 1,
      agent: 'test',
    });
  });

  it('has sorted keys and an indentation of four, as the original wrote it, and no key of ours to the agent', () => {
    expect(Object.keys(content)).toEqual(Object.keys(content).toSorted());
    expect(markerContent(resultWith('x'))).toMatch(/^\{\n {4}"active": false,\n/);
    expect(content).not.toHaveProperty('key');
  });

  it('of a file marked without a job reads as done', () => {
    const result = withoutJob({ path: 'x', step: 1 }, 'w', identityWith(), 'none', NOW);
    expect(result.job.state).toBe('done');
    expect(readMarker(markerContent(result), 0)).toMatchObject({ file: 'x', watch: 'w', endedAt: NOW });
  });
});
