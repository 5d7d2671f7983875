import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentCore } from '../../../src/agent/core.js';
import { Store } from '../../../src/agent/store.js';
import type { JobRecord } from '../../../src/agent/types.js';
import { systemClock } from '../../../src/lib/clock.js';
import { eventually, quietLog } from '../../conformance/harness.js';
import { record } from './records.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meeseeks-store-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** agent.db as the first version of the program made it. */
function makeFirstVersion(records: readonly (JobRecord & { released?: boolean })[], seq: number): void {
  const db = new Database(join(directory, 'agent.db'));
  db.pragma('journal_mode = WAL');
  db.exec(`
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE jobs (id TEXT PRIMARY KEY, state TEXT NOT NULL, end_ts REAL, released INTEGER NOT NULL,
      record TEXT NOT NULL);
    CREATE INDEX jobs_state ON jobs (state);
    CREATE INDEX jobs_expire ON jobs (end_ts) WHERE released = 1 AND end_ts IS NOT NULL;
    PRAGMA user_version = 1;
  `);
  const put = db.prepare('INSERT INTO jobs (id, state, end_ts, released, record) VALUES (?, ?, ?, ?, ?)');
  for (const { released, ...one } of records)
    put.run(JSON.stringify(one.id), one.state, one.end_ts ?? null, released ? 1 : 0, JSON.stringify(one));
  db.prepare("INSERT INTO meta (name, value) VALUES ('seq', ?)").run(seq);
  db.close();
}

describe('a state of the first version', () => {
  const env = { SECRET: 'x', MARK: 'm' };
  const jobs = [
    record({ id: 'waits', seq: 7, order: 2 }, { env, priority: 3 }),
    record({ id: 'done\n\ud800', seq: 9, state: 'done', rc: 0, end_ts: 50, run: 1 }, { tags: ['t'] }),
    { ...record({ id: 'seen', seq: 4, state: 'failed', rc: 1, end_ts: 40, run: 2 }), released: true },
  ];

  it('is taken over: every job, environment, number and result', () => {
    makeFirstVersion(jobs, 10_000);
    const store = new Store(directory);
    for (const { released: _, ...job } of jobs as (JobRecord & { released?: boolean })[])
      expect(store.get(job.id)).toEqual(job);
    expect(store.list(['new']).map((job) => job.id)).toEqual(['waits']);
    expect(store.env(store.get('waits')!)).toEqual(env);
    expect(store.since(4, 10).map((job) => job.seq)).toEqual([7, 9]);
    expect(store.expired(45, 10).map((job) => job.id)).toEqual(['seen']);
    expect(store.abandoned(45, 10).map((job) => job.id)).toEqual(['seen']);
    expect(store.nextSeq()).toBeGreaterThan(10_000);
    const [changed] = store.write([{ ...store.get('waits')!, not_before: 5 }], 60);
    store.pruneEnvs();
    expect(store.env(changed!)).toEqual(env);
    store.close();
    const again = new Store(directory);
    expect(again.list().length).toBe(3);
    expect(again.env(again.get('waits')!)).toEqual(env);
    again.close();
  });

  it('goes on: what waited runs, with its environment', async () => {
    const out = join(directory, 'out');
    makeFirstVersion(
      [
        record(
          { id: 'w', seq: 1 },
          { env: { MARK: 'from v1' }, args: ['sh', '-c', `echo "$MARK" > ${out}`] },
        ),
      ],
      10_000,
    );
    const core = new AgentCore({
      directory,
      node: 'n',
      pools: { p: {} },
      defaultSlots: 1,
      expire: 60,
      clock: systemClock,
      log: quietLog,
      env: { PATH: process.env['PATH'] },
    });
    await eventually(() => core.find('w')?.state === 'done');
    expect(readFileSync(out, 'utf8')).toBe('from v1\n');
    await core.stop('kill');
  });

  it('is left as it is when it cannot be taken over, and by a later version', () => {
    makeFirstVersion(jobs, 10_000);
    const path = join(directory, 'agent.db');
    const db = new Database(path);
    db.exec('CREATE TABLE envs (what TEXT)'); // in the way
    db.close();
    expect(() => new Store(directory)).toThrow(/cannot open .*agent\.db: .*envs.*; move it away/);
    const after = new Database(path);
    expect(after.pragma('user_version', { simple: true })).toBe(1);
    expect(after.prepare('SELECT count(*) AS n FROM jobs').get()).toEqual({ n: 3 });
    after.exec('DROP TABLE envs; PRAGMA user_version = 4');
    after.close();
    expect(() => new Store(directory)).toThrow(/version 4, this program knows 3/);
  });
});

/** agent.db as the second version of the program made it: the first one, and what it added. */
function makeSecondVersion(records: readonly JobRecord[], seq: number): void {
  makeFirstVersion(records, seq);
  const db = new Database(join(directory, 'agent.db'));
  db.exec(`
    CREATE TABLE envs (name TEXT PRIMARY KEY, env TEXT NOT NULL);
    ALTER TABLE jobs ADD COLUMN seq INTEGER;
    ALTER TABLE jobs ADD COLUMN env TEXT;
    UPDATE jobs SET seq = json_extract(record, '$.seq');
    CREATE INDEX jobs_seq ON jobs (seq);
    CREATE INDEX jobs_end ON jobs (end_ts) WHERE end_ts IS NOT NULL;
    CREATE INDEX jobs_env ON jobs (env) WHERE env IS NOT NULL;
    PRAGMA user_version = 2;
  `);
  db.close();
}

describe('a state of the second version', () => {
  const plain = record({ id: 'plain', seq: 1, order: 1 });
  const odd = record(
    { id: 'odd"\ud800', seq: 2, order: 12, not_before: 77.5, submitter: 'w\udcff"' },
    { pool: 'p\ud800', node: 'n\n1', priority: -3, hold: true },
  );
  const others = [
    record({ id: 'runs', seq: 3, state: 'running', run: 1, order: 3 }),
    record({ id: 'done1', seq: 4, state: 'done', end_ts: 5 }, { node: 'n1' }),
    record({ id: 'done2', seq: 5, state: 'done', end_ts: 6 }, { node: 'n1' }),
  ];

  it('is taken over: the queue, and how many jobs there are', () => {
    makeSecondVersion([plain, odd, ...others], 10_000);
    const store = new Store(directory);
    const queued = [...store.queued()];
    expect(queued).toHaveLength(2);
    expect(queued).toContainEqual({
      id: 'plain',
      pool: 'p',
      order: 1,
      priority: 0,
      hold: false,
      notBefore: 0,
      submitter: undefined,
      node: undefined,
    });
    expect(queued).toContainEqual({
      id: 'odd"\ud800',
      pool: 'p\ud800',
      order: 12,
      priority: -3,
      hold: true,
      notBefore: 77.5,
      submitter: 'w\udcff"',
      node: 'n\n1',
    });
    expect(store.list(['new']).map((job) => job.id)).toEqual(queued.map((job) => job.id));
    expect(store.queuedIn('p\ud800')).toEqual([odd]);
    expect(store.list(['running', 'done'])).toEqual(others);
    store.close();
  });

  it('is as if this version had written it, and goes on like that', () => {
    makeSecondVersion([plain, odd, ...others], 10_000);
    const old = new Store(directory);
    const before = [[...old.queued()], old.counts()];
    old.write([plain, odd, ...others], 200);
    expect([[...old.queued()], old.counts()]).toEqual(before);
    expect(old.counts()).toContainEqual({ state: 'done', pool: 'p', node: 'n1', jobs: 2 });
    expect(old.counts()).toContainEqual({ state: 'new', pool: 'p\ud800', node: 'n\n1', jobs: 1 });
    old.write([{ ...odd, state: 'running' }], 201);
    expect([...old.queued()].map((job) => job.id)).toEqual(['plain']);
    expect(
      old
        .list(['running'])
        .map((job) => job.id)
        .sort(),
    ).toEqual(['odd"\ud800', 'runs']);
    expect(old.newest(2, false).map((job) => job.id)).toEqual(['odd"\ud800', 'done2']);
    expect(old.newest(2, true).map((job) => job.id)).toEqual(['plain']);
    old.close();
  });
});

it('reads the queue and counts the jobs from indices alone', () => {
  const store = new Store(directory);
  const { db, statements } = store as unknown as {
    db: Database.Database;
    statements: Record<'queued' | 'counts', Database.Statement>;
  };
  for (const { source } of [statements.queued, statements.counts]) {
    const plan = db.prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN ${source}`).all();
    const scans = plan.map(({ detail }) => detail).filter((detail) => detail.startsWith('SCAN'));
    expect(scans.length).toBeGreaterThan(0);
    expect(scans.filter((detail) => !detail.includes('COVERING'))).toEqual([]);
  }
  store.close();
});

it.each([3, 10_001])('finds what changed last among %i queued jobs, and among all', (queued) => {
  const store = new Store(directory);
  const make = (id: number, state: JobRecord['state']): JobRecord =>
    record({ id: String(id), state, order: id });
  store.write(
    Array.from({ length: queued }, (_, i) => make(i, 'new')),
    1,
  );
  store.write([make(0, 'new')], 2);
  store.write([make(-1, 'done'), make(-2, 'running')], 3);
  const ids = (most: number, isQueued: boolean): string[] => store.newest(most, isQueued).map(({ id }) => id);
  expect(ids(2, true)).toEqual(['0', String(queued - 1)]);
  expect(ids(3, false)).toEqual(['-2', '-1', '0']);
  store.close();
});

it('selects by a text of the record as it does without, of every state', () => {
  const store = new Store(directory);
  const states = ['new', 'running', 'done', 'failed'] as const;
  store.write(
    states.flatMap((state) =>
      ['red', 'reddish', 'blue'].map((tag) =>
        record({ id: `${state} ${tag}`, state, ...(state === 'done' && { end_ts: 1 }) }, { tags: [tag] }),
      ),
    ),
    10,
  );
  const wanted = (job: JobRecord): boolean => job.spec.tags?.[0] === 'red';
  const ids = (containing?: string): string[] => store.select(states, wanted, containing).map(({ id }) => id);
  expect(ids()).toEqual(states.map((state) => `${state} red`));
  expect(ids('red')).toEqual(ids());
  expect(ids('blue')).toEqual([]);
  const seen: string[] = [];
  store.select(states, ({ id }) => seen.push(id) > 0, 'reddish');
  expect(seen).toEqual(states.map((state) => `${state} reddish`));
  store.close();
});
