import { describe, expect, it } from 'vitest';
import type { Node } from '../../../src/client/api.js';
import { toJob } from '../../../src/client/wire-job.js';
import { statOf } from '../../../src/cli/client/stat-model.js';
import { renderStat, stateOf } from '../../../src/cli/client/stat-view.js';
import type { Job } from '../../../src/protocol/job.js';

const NOW = 1_000_000;
const job = (id: string, more: Record<string, unknown> = {}): Job =>
  toJob(id, {
    pool: 'q1',
    node: 'n1',
    args: ['/bin/echo', 'hi'],
    state: 'done',
    active: false,
    rc: 0,
    ts: NOW - 60,
    submit_ts: NOW - 90,
    start_ts: NOW - 80,
    end_ts: NOW - 60,
    tags: [null],
    ...more,
  });
const node = (routing: string[], online = true): Node => ({ online, ts: NOW, loadavg: 0.3, routing });
const everything = { nodes: true, pools: true, jobs: true };
const base = {
  nodes: { n1: node(['n1']) },
  pools: { q1: { n1: 3 } },
  limit: 20,
  isTree: false,
  isFiltered: false,
};
const show = (jobs: Job[], more = {}, elements = everything, width = 80): string =>
  renderStat(statOf({ ...base, jobs, ...more }), { elements, width, now: NOW * 1000 });

describe('stat', () => {
  it('shows nodes, pools and jobs', () => {
    const jobs = [
      job('a', { tags: ['x', 'y'] }),
      job('b', {
        state: 'running',
        active: true,
        rc: null,
        restart: 1,
        start_ts: NOW - 5,
        args: ['sleep', '60'],
      }),
      job('c', { state: 'failed', rc: 3, ts: NOW - 7200, end_ts: NOW - 7200 }),
      job('d', {
        state: 'failed',
        rc: null,
        error: 'no such file',
        args: ['/no/such'],
        ts: NOW - 10,
        end_ts: NOW - 10,
      }),
      job('e', { state: 'new', hold: 1, pool: 'lost', ts: NOW - 400_000, submit_ts: NOW - 400_000 }),
    ];
    expect(show(jobs)).toBe(
      [
        '5 jobs: 1 new, 1 running, 1 done, 2 failed',
        'n1  online  load 0.3',
        '  lost@n1  no such pool  1 job: 1 new',
        '    e    H  new          5d /bin/echo hi',
        '  q1@n1  3 free  4 jobs: 1 running, 1 done, 2 failed',
        '    b    AR running      5s sleep 60',
        '    d    E  failed      10s /no/such',
        '    a       done        60s [x,y] /bin/echo hi',
        '    c       failed (3)   2h /bin/echo hi',
        '',
      ].join('\n'),
    );
  });

  it('is a tree of nodes reached through nodes', () => {
    const nodes = {
      head: node(['head', 'n1', 'n2', 'sub', 'n3']),
      n1: node(['n1']),
      n2: node(['n2'], false),
      sub: node(['sub', 'n3']),
      n3: node(['n3']),
    };
    const text = show([job('a', { node: 'n3' })], {
      nodes,
      pools: { q1: { n1: 0, n3: null } },
      isTree: true,
    });
    expect(text.split('\n').slice(1, -1)).toEqual([
      'head  online  load 0.3',
      '  n1  online  load 0.3',
      '    q1@n1  0 free  0 jobs',
      '  n2  OFFLINE  load 0.3',
      '  sub  online  load 0.3',
      '    n3  online  load 0.3',
      '      q1@n3  no limit  1 job: 1 done',
      '        a      done  60s /bin/echo hi',
    ]);
  });

  it('shows chosen elements alone', () => {
    const jobs = [job('a')];
    expect(show(jobs, {}, { nodes: true, pools: false, jobs: false })).toBe(
      '1 job: 1 done\nn1  online  load 0.3\n',
    );
    expect(show(jobs, {}, { nodes: false, pools: true, jobs: false })).toBe(
      '1 job: 1 done\nq1@n1  3 free  1 job: 1 done\n',
    );
    expect(show(jobs, {}, { nodes: false, pools: false, jobs: true })).toBe(
      '1 job: 1 done\nq1@n1  a      done  60s /bin/echo hi\n',
    );
  });

  it('stays readable and narrow with 10,000 jobs of long names', () => {
    const jobs = Array.from({ length: 10_000 }, (_, i) =>
      job(`4bd38c91-e52c-11f1-87c6-0000${String(i).padStart(8, '0')}-and-more`, {
        ts: NOW - i,
        end_ts: NOW - i,
        state: i === 9999 ? 'running' : i % 2 === 0 ? 'done' : 'failed',
        active: i === 9999,
        rc: i === 9999 ? null : i % 2,
        args: ['/usr/local/bin/model', '--steps', '100000', '--input', '/data/ünïcode file.nc', '\u001b[31m'],
      }),
    );
    const lines = show(jobs).trimEnd().split('\n');
    expect(lines[0]).toBe('10,000 jobs: 1 running, 5,000 done, 4,999 failed');
    expect(lines.at(-1)).toBe('9,980 older jobs are not shown; all of them: stat all');
    expect(lines).toHaveLength(1 + 1 + 1 + 20 + 1);
    expect(lines[3]).toContain('running');
    expect(Math.max(...lines.map((line) => Array.from(line).length))).toBeLessThanOrEqual(80);
    expect(lines.join('')).not.toContain('\u001b');
    expect(show(jobs, { limit: Infinity }).split('\n')).toHaveLength(1 + 1 + 1 + 10_000 + 1);
  });

  it('leaves nodes and pools without matching jobs out when filtered', () => {
    expect(show([], { isFiltered: true })).toBe('0 jobs\n');
  });

  it('says how a job ended', () => {
    expect(stateOf(job('a', { state: 'failed', rc: -9 }))).toBe('failed (-9)');
    expect(stateOf(job('a', { state: 'failed', rc: -9, signal: 'SIGKILL' }))).toBe('failed (SIGKILL)');
    expect(stateOf(job('a', { state: 'killed', rc: null }))).toBe('killed');
  });
});
