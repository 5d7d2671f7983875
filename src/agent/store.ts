import type Database from 'better-sqlite3';
import { join } from 'node:path';
import { isFinished, jobStates } from '../protocol/job.js';
import type { JobState } from '../protocol/job.js';
import { Environments } from './environments.js';
import type { Environment } from './environments.js';
import { openDatabase } from './schema.js';
import type { QueuedJob } from './schedule.js';
import type { JobCount, JobRecord } from './types.js';

/** Sequence numbers are reserved in blocks, so that taking one needs no write. */
const SEQ_BLOCK = 10_000;
const SHORT_QUEUE = 10_000;

/**
 * The durable jobs. Records are JSON text: JSON.stringify escapes lone surrogates, which SQLite's text could not
 * hold; ids are stored as JSON for the same reason. Every method throws when the disk does.
 */
export class Store {
  private readonly db: Database.Database;
  private readonly statements: Statements;
  private seq = 0;
  private ceiling = 0;
  private readonly envs: Environments;
  private readonly writeAll: (records: Iterable<JobRecord>, now: number) => JobRecord[];

  /** @throws Error that says what to do when the file is damaged or of a later version */
  constructor(directory: string) {
    const path = join(directory, 'agent.db');
    try {
      this.db = openDatabase(path);
      this.statements = prepare(this.db);
      this.envs = new Environments(this.db);
      const row = this.db.prepare<[], { value: number }>("SELECT value FROM meta WHERE name = 'seq'").get();
      this.seq = row?.value ?? 0;
      this.ceiling = this.seq;
      this.writeAll = this.db.transaction((records: Iterable<JobRecord>, now: number) =>
        Array.from(records, (record) => this.put(this.stamped(record, now))),
      );
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`cannot open ${path}: ${why}; move it away to start with an empty agent`, {
        cause: error,
      });
    }
  }

  /** Larger than any before, also over restarts. */
  nextSeq(): number {
    if (this.seq >= this.ceiling) {
      const ceiling = this.seq + SEQ_BLOCK;
      this.statements.setSeq.run(ceiling);
      this.ceiling = ceiling;
    }
    return ++this.seq;
  }

  get lastSeq(): number {
    return this.seq;
  }

  mark(name: string): number | undefined {
    return this.statements.mark.get(`mark ${name}`)?.value;
  }

  setMark(name: string, value: number | undefined): void {
    if (value === undefined) this.statements.dropMark.run(`mark ${name}`);
    else this.statements.setMark.run(`mark ${name}`, value);
  }

  get(id: string): JobRecord | undefined {
    const row = this.statements.get.get(JSON.stringify(id));
    return row && parse(row.record);
  }

  /** Writes all or none. @returns the records as written, each with its sequence number and time */
  write(records: Iterable<JobRecord>, now: number): JobRecord[] {
    try {
      return this.writeAll(records, now);
    } catch (error) {
      this.ceiling = 0; // the reservation may have been rolled back
      this.envs.forget();
      throw error;
    }
  }

  /** The environment a submitter gave for a job. */
  env(record: JobRecord): Environment | undefined {
    return record.env === undefined ? record.spec.env : this.envs.get(record.env);
  }

  /** Jobs that changed after `seq`, in that order: the first `most`. */
  since(seq: number, most: number): JobRecord[] {
    return this.statements.since.all(seq, most).map((row) => parse(row.record));
  }

  /**
   * Jobs for which `wanted` is true; the others cost no memory. It must not use the store.
   * @param containing a text that is in the JSON of all of them
   */
  select(
    states: readonly JobState[],
    wanted: (record: JobRecord) => boolean,
    containing?: string,
  ): JobRecord[] {
    const found: JobRecord[] = [];
    for (const state of states)
      for (const row of this.rows(state, containing)) {
        const record = parse(row.record);
        if (wanted(record)) found.push(record);
      }
    return found;
  }

  list(states: readonly JobState[] = jobStates): JobRecord[] {
    return states.flatMap((state) =>
      this.ofState(state)
        .all(state)
        .map((row) => parse(row.record)),
    );
  }

  /** What a start needs to know of the queued jobs, without reading them. */
  *queued(): Iterable<QueuedJob & { readonly node?: string | undefined }> {
    for (const text of this.statements.queued.iterate()) {
      const [id, pool, node, queue] = JSON.parse(text) as [string, string, string | null, QueueEntry];
      const [order, priority, hold, notBefore, submitter] = queue;
      yield { id, pool, order, priority, hold: hold === 1, notBefore, submitter, node: node ?? undefined };
    }
  }

  /** The queued jobs of one pool. */
  queuedIn(pool: string): JobRecord[] {
    return this.statements.queuedIn.all(JSON.stringify(pool)).map((row) => parse(row.record));
  }

  /** How many jobs there are in each state, by pool and node. */
  counts(): JobCount[] {
    return this.statements.counts.all().map(({ state, pool, node, jobs }) => ({
      state,
      pool: fromJson(pool),
      ...(node !== null && { node: fromJson(node) }),
      jobs,
    }));
  }

  /** The jobs that changed last, the latest first: at most `most`, all or the queued ones. */
  newest(most: number, isQueued: boolean): JobRecord[] {
    return this.newestOf(isQueued)
      .all(most)
      .map((row) => parse(row.record));
  }

  /** Marks results as seen; a job that is not finished has none yet. Not synced by itself: a power cut may keep them longer. */
  release(ids: readonly string[]): void {
    this.db.pragma('synchronous = NORMAL');
    try {
      this.db.transaction(() => {
        for (const id of ids) this.statements.release.run(JSON.stringify(id));
      })();
    } finally {
      this.db.pragma('synchronous = FULL');
    }
  }

  /** Everything that ended before `until` seconds, seen by its submitter or not: at most `most`. */
  abandoned(until: number, most: number): JobRecord[] {
    return this.statements.abandoned.all(until, most).map((row) => parse(row.record));
  }

  /** Forgets environments that no job has any more. */
  pruneEnvs(): void {
    this.envs.prune();
  }

  /** Released results that ended before `until` seconds: at most `most`. */
  expired(until: number, most: number): JobRecord[] {
    return this.statements.expired.all(until, most).map((row) => parse(row.record));
  }

  /** Forgets jobs, but none that changed meanwhile. */
  remove(jobs: readonly Pick<JobRecord, 'id' | 'seq'>[]): void {
    this.db.transaction(() => {
      for (const { id, seq } of jobs) this.statements.remove.run(JSON.stringify(id), seq);
    })();
  }

  close(): void {
    this.db.close();
  }

  private put(record: JobRecord): JobRecord {
    const { state, spec, seq } = record;
    this.statements.put.run(
      JSON.stringify(record.id),
      state,
      isFinished(state) ? (record.end_ts ?? record.ts) : null,
      seq,
      record.env ?? null,
      JSON.stringify(spec.pool),
      spec.node === undefined ? null : JSON.stringify(spec.node),
      state === 'new' ? queueEntry(record) : null,
      JSON.stringify(record),
    );
    return record;
  }

  /** As it is written, its environment by name. */
  private stamped(record: JobRecord, now: number): JobRecord {
    const { spec } = record;
    const stamp = { seq: this.nextSeq(), ts: now };
    if (spec.env === undefined) return { ...record, ...stamp };
    return { ...record, ...stamp, spec: { ...spec, env: undefined }, env: this.envs.put(spec.env) };
  }

  /** From the latest change back, as far as it takes; a short queue is better sorted than looked for. */
  private newestOf(isQueued: boolean): Statements['newest'] {
    if (!isQueued) return this.statements.newest;
    const { found } = this.statements.someQueued.get(SHORT_QUEUE)!;
    return found < SHORT_QUEUE ? this.statements.newestOfFewQueued : this.statements.newestQueued;
  }

  private rows(state: JobState, containing: string | undefined): IterableIterator<Row> {
    if (containing === undefined) return this.ofState(state).iterate(state);
    const { byStateContaining, queuedContaining } = this.statements;
    return (state === 'new' ? queuedContaining : byStateContaining).iterate(state, containing);
  }

  private ofState(state: JobState): Statements['byState'] {
    return state === 'new' ? this.statements.allQueued : this.statements.byState;
  }
}

/** What the queue is made of again at a start; kept short, for it stands in an index. */
type QueueEntry = [order: number, priority: number, hold: 0 | 1, notBefore: number, submitter?: string];

function queueEntry({ order, spec, not_before = 0, submitter }: JobRecord): string {
  const { priority = 0, hold } = spec;
  const last = submitter === undefined ? '' : `,${JSON.stringify(submitter)}`;
  return `[${order},${priority},${hold === true ? 1 : 0},${not_before}${last}]`;
}

const fromJson = (text: string): string => JSON.parse(text) as string;
const parse = (text: string): JobRecord => JSON.parse(text) as JobRecord;

interface Row {
  readonly record: string;
}

type Statements = ReturnType<typeof prepare>;

const prepare = (db: Database.Database) => ({
  setSeq: db.prepare<[number]>("INSERT OR REPLACE INTO meta (name, value) VALUES ('seq', ?)"),
  mark: db.prepare<[string], { value: number }>('SELECT value FROM meta WHERE name = ?'),
  setMark: db.prepare<[string, number]>('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)'),
  dropMark: db.prepare<[string]>('DELETE FROM meta WHERE name = ?'),
  get: db.prepare<[string], Row>('SELECT record FROM jobs WHERE id = ?'),
  put: db.prepare<(string | number | null)[]>(
    `INSERT INTO jobs (id, state, end_ts, released, seq, env, pool, node, queue, record)
     VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, end_ts = excluded.end_ts, released = 0,
       seq = excluded.seq, env = excluded.env, pool = excluded.pool, node = excluded.node, queue = excluded.queue,
       record = excluded.record`,
  ),
  since: db.prepare<[number, number], Row>('SELECT record FROM jobs WHERE seq > ? ORDER BY seq LIMIT ?'),
  abandoned: db.prepare<[number, number], Row>(
    'SELECT record FROM jobs WHERE end_ts IS NOT NULL AND end_ts <= ? ORDER BY end_ts LIMIT ?',
  ),
  newest: db.prepare<[number], Row>('SELECT record FROM jobs ORDER BY seq DESC LIMIT ?'),
  someQueued: db.prepare<[number], { found: number }>(
    'SELECT count(*) AS found FROM (SELECT 1 FROM jobs WHERE queue IS NOT NULL LIMIT ?)',
  ),
  newestOfFewQueued: db.prepare<[number], Row>(
    'SELECT record FROM jobs INDEXED BY jobs_queue WHERE queue IS NOT NULL ORDER BY seq DESC LIMIT ?',
  ),
  newestQueued: db.prepare<[number], Row>(
    'SELECT record FROM jobs WHERE queue IS NOT NULL ORDER BY seq DESC LIMIT ?',
  ),
  byState: db.prepare<[string], Row>('SELECT record FROM jobs WHERE state = ? AND queue IS NULL'),
  allQueued: db.prepare<[string], Row>('SELECT record FROM jobs WHERE queue IS NOT NULL AND state = ?'),
  byStateContaining: db.prepare<[string, string], Row>(
    'SELECT record FROM jobs WHERE state = ? AND queue IS NULL AND instr(record, ?) > 0',
  ),
  queuedContaining: db.prepare<[string, string], Row>(
    'SELECT record FROM jobs WHERE queue IS NOT NULL AND state = ? AND instr(record, ?) > 0',
  ),
  queued: db
    .prepare<[], string>(
      `SELECT '[' || id || ',' || pool || ',' || coalesce(node, 'null') || ',' || queue || ']'
       FROM jobs WHERE queue IS NOT NULL`,
    )
    .pluck(),
  queuedIn: db.prepare<[string], Row>('SELECT record FROM jobs WHERE queue IS NOT NULL AND pool = ?'),
  counts: db.prepare<[], { state: JobState; pool: string; node: string | null; jobs: number }>(
    `SELECT state, pool, node, count(*) AS jobs FROM jobs WHERE queue IS NULL GROUP BY state, pool, node
     UNION ALL SELECT 'new', pool, node, count(*) FROM jobs WHERE queue IS NOT NULL GROUP BY pool, node`,
  ),
  release: db.prepare<[string]>('UPDATE jobs SET released = 1 WHERE id = ? AND end_ts IS NOT NULL'),
  expired: db.prepare<[number, number], Row>(
    'SELECT record FROM jobs WHERE released = 1 AND end_ts IS NOT NULL AND end_ts <= ? ORDER BY end_ts LIMIT ?',
  ),
  remove: db.prepare<[string, number]>('DELETE FROM jobs WHERE id = ? AND seq = ?'),
});
