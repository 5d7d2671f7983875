import type { ViolationKind } from './checker.js';
import type { FaultKind, WatchName } from './scenario.js';
import type { TortureOptions } from './torture.js';
import type { Patch } from './world.js';

/** A bug, planted into a copy of the built product, and what the torture must say to it. */
export interface Plant {
  readonly name: string;
  readonly patches: readonly Patch[];
  readonly expected: ViolationKind;
  readonly watches: readonly WatchName[];
  readonly faults: Partial<Readonly<Record<FaultKind, number>>>;
  readonly mode?: 'box';
  /** what else shows it sooner */
  readonly more?: Partial<Pick<TortureOptions, 'rate' | 'hangs' | 'haste' | 'patience'>>;
}

const none = { kill: 0 };
const pauseMs = (ms: number): string =>
  `Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${ms});`;

/** A kill that does not depend on chance, of the first process that comes this far. */
const dieOnce = `const { existsSync, writeFileSync } = process.getBuiltinModule('node:fs'); const died = new URL('died', import.meta.url); if (!existsSync(died)) { writeFileSync(died, ''); process.kill(process.pid, 'SIGKILL'); }`;

/** One for each thing the checker asserts, at least. Where a window is too narrow to be hit by chance it is widened. */
export const plants: readonly Plant[] = [
  {
    name: 'the marker is written before the result is there',
    patches: [
      {
        file: 'watch/tracker.js',
        find: '!isFinished(job.state) || job.active',
        replace: "job.state === 'new'",
      },
      {
        file: 'watch/tracker.js',
        find: 'this.#finished.push({ submission, job });',
        replace: "this.#finished.push({ submission, job: { ...job, state: 'done' } });",
      },
    ],
    expected: 'unearned-marker',
    watches: ['plain', 'upd'],
    faults: none,
  },
  {
    name: 'the ledger is closed before the marker is written',
    patches: [
      {
        file: 'watch/recorder.js',
        find: 'const errors = await this.#write(finished);',
        replace: `this.tracker.close(finished); if (finished.length > 0) { ${dieOnce} } const errors = await this.#write(finished);`,
      },
    ],
    expected: 'ran-twice',
    watches: ['plain'],
    faults: { kill: 1 },
  },
  {
    name: 'no intent is written',
    patches: [
      {
        file: 'watch/tracker.js',
        find: 'this.ledger.intend(fresh.map((n) => n.submission), this.clock.now());',
        replace: '',
      },
    ],
    expected: 'never-succeeded',
    watches: ['plain'],
    faults: none,
  },
  {
    name: 'the id of an attempt is used again by the next',
    patches: [{ file: 'watch/identity.js', find: 'String(a.attempt), ', replace: '' }],
    expected: 'unsettled',
    watches: ['plain'],
    faults: none,
  },
  {
    name: 'slots are counted wrongly',
    patches: [
      { file: 'agent/schedule.js', find: 'queue.running < slots', replace: 'queue.running < slots + 2' },
    ],
    expected: 'slots',
    watches: ['sets', 'lim', 'slow'],
    faults: none,
  },
  {
    name: 'a killed file counts as new',
    patches: [{ file: 'watch/progress.js', find: "if (record.states.has('killed'))", replace: 'if (false)' }],
    expected: 'started-after-kill',
    watches: ['slow'],
    faults: { 'kill-jobs': 1 },
    more: { rate: 3, hangs: 0.5, patience: 6000 },
  },
  {
    name: 'a start of the agent takes running jobs for queued ones',
    patches: [
      {
        file: 'agent/engine.js',
        find: 'this.live.set(record.id, record);\n            this.scheduler.started(record.id, record.spec.pool);\n            this.runs.adopt(record, this.pools);',
        replace: 'this.enqueue(record);',
      },
    ],
    expected: 'overlap',
    watches: ['plain', 'slow'],
    faults: { kill: 1 },
  },
  {
    name: 'a job whose guardian is gone counts as ended while it runs',
    patches: [
      {
        file: 'executors/process/process-executor.js',
        find: '(leader && isAlive(leader)) || ',
        replace: '',
      },
    ],
    expected: 'overlap',
    watches: ['slow'],
    faults: { guardian: 1 },
    more: { rate: 4, hangs: 0.7 },
  },
  {
    name: 'a kill reaches the first process only',
    patches: [
      {
        file: 'executors/process/killer.js',
        find: 'return [...members, ...strays(this.leader, this.path, members, processes)];',
        replace: 'return members.filter((m) => m.pid === this.leader.pid);',
      },
      {
        file: 'executors/process/killer.js',
        find: 'signalGroup(one, signal)',
        replace: 'signalProcess(one.pid, one.birth, signal)',
      },
    ],
    expected: 'left-behind',
    watches: ['slow'],
    faults: none,
    more: { rate: 4, hangs: 0.7 },
  },
  {
    name: 'one retry too many',
    patches: [
      { file: 'watch/progress.js', find: 'failed > watch.retries', replace: 'failed > watch.retries + 1' },
    ],
    expected: 'too-many-attempts',
    watches: ['lim'],
    faults: none,
  },
  {
    name: 'a marker is written under its own name',
    patches: [
      {
        file: 'lib/atomic-write.js',
        find: 'openNew(temporary, mode, fs)',
        replace: "fs.openSync(path, 'w', mode)",
      },
      { file: 'lib/atomic-write.js', find: 'fs.renameSync(temporary, path);', replace: '' },
      {
        file: 'lib/atomic-write.js',
        find: 'fs.writeFileSync(staged.fd, content);',
        replace: `fs.writeFileSync(staged.fd, content.slice(0, 50)); ${pauseMs(30)} fs.writeFileSync(staged.fd, content.slice(50));`,
      },
    ],
    expected: 'torn-marker',
    watches: ['plain', 'upd'],
    faults: none,
  },
  {
    name: 'a file that is being written is run',
    patches: [
      {
        file: 'watch/prober.js',
        find: 'const isOpen = paths[i].some((path) => open.has(path));',
        replace: 'const isOpen = false;',
      },
    ],
    expected: 'half-written',
    watches: ['plain', 'upd'],
    faults: none,
  },
  {
    name: 'the agent answers before its state is on disk',
    patches: [
      {
        file: 'agent/store.js',
        find: 'this.db = openDatabase(path);',
        replace:
          "this.db = openDatabase(path); this.db.exec('BEGIN'); setInterval(() => this.db.open && this.db.exec('COMMIT; BEGIN'), 400).unref();",
      },
    ],
    expected: 'forgotten-submit',
    watches: ['plain'],
    faults: { kill: 1 },
    mode: 'box',
  },
  {
    name: 'a failure counts as a success',
    patches: [
      { file: 'agent/outcome.js', find: 'const success = end.code === 0;', replace: 'const success = true;' },
    ],
    expected: 'unexplained-end',
    watches: ['plain'],
    faults: none,
  },
  {
    name: 'a reload ends the watcher',
    patches: [
      { file: 'cli/reload.js', find: '#reload() {', replace: '#reload() {\n        process.exit(7);' },
    ],
    expected: 'died',
    watches: ['plain'],
    faults: { reload: 1 },
  },
  {
    name: 'no marker is written',
    patches: [
      {
        file: 'watch/recorder.js',
        find: 'if (!this.#needsRecord(one))',
        replace: 'if (one)',
      },
    ],
    expected: 'no-marker',
    watches: ['plain'],
    faults: none,
  },
];
