import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { World, type Patch } from './world.js';

const root = resolve(import.meta.dirname, '../..');

/** SIGKILL loses nothing that was written, synced or not; only the system calls tell what a power cut would. */
const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;

/**
 * What is on disk for good when, of two files, one after the other. W: the watcher's ledger, A: the agent's
 * state, J: the job's program begins, M: the content of the marker, N: its name, D: the directory with that name.
 */
function durableSteps(patches: readonly Patch[] = []): string {
  const world = new World(root, 'embedded', patches);
  try {
    const job = { pool: 'p', args: ['/bin/true'] };
    const watch = { w: { path: world.in('plain'), glob: '*', max_jobs: 1, jobs: [job] } };
    writeFileSync(world.config, JSON.stringify({ state_dir: world.state, watch }));
    for (const name of ['a', 'b']) writeFileSync(join(world.in('plain'), name), 'x');
    const trace = world.path('trace');
    const calls = 'trace=fsync,fdatasync,rename,execve';
    const command = [
      process.execPath,
      join(world.product, 'dist/bin/meeseeks-watch.js'),
      '--once',
      world.config,
    ];
    execFileSync('strace', ['-f', '-y', '-e', calls, '-o', trace, ...command], {
      stdio: 'ignore',
      timeout: 120_000,
    });
    return readFileSync(trace, 'utf8').split('\n').map(letterOf).join('');
  } finally {
    rmSync(world.directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

function letterOf(line: string): string {
  const [, synced] = /f(?:data)?sync\(\d+<([^>]*)>/.exec(line) ?? [];
  if (synced?.endsWith('/watch.db-wal')) return 'W';
  if (synced?.endsWith('/agent.db-wal')) return 'A';
  if (synced?.endsWith('.done.tmp')) return 'M';
  if (synced?.endsWith('/in/plain')) return 'D';
  if (/rename\(".*\.done\.tmp", /.test(line)) return 'N';
  return line.includes('execve("/bin/true"') ? 'J' : '';
}

/**
 * The intent, the job and its start; then it runs; its end, the marker, and that the marker is there. Twice: the first
 * write to a log of SQLite is synced in any case.
 */
const promised = /WA+JA+MND.*WA+JA+MND/;

it.skipIf(!canTrace)('every step is on disk before the next one begins', { timeout: 180_000 }, () => {
  expect(durableSteps()).toMatch(promised);
});

it.skipIf(!canTrace).each<[string, Patch]>([
  [
    'the content of a marker is not synced',
    {
      file: 'watch/marker-writer.js',
      find: 'await fs.flush(fd);',
      replace: 'await fd;',
    },
  ],
  [
    'the directory of a marker is not synced',
    { file: 'lib/atomic-write.js', find: 'await fs.flush(fd);', replace: 'await fd;' },
  ],
  [
    'the ledger is not synced',
    { file: 'watch/ledger.js', find: 'intend(submissions, now) {\n        this.#write(', replace: 'intend(submissions, now) {\n        this.#writeUnsynced(' }, // prettier-ignore
  ],
  [
    'the state of the agent is not synced',
    { file: 'agent/store.js', find: 'synchronous = FULL', replace: 'synchronous = NORMAL' },
  ],
])('a planted bug is found: %s', { timeout: 180_000 }, (_, patch) => {
  expect(durableSteps([patch])).not.toMatch(promised);
});
