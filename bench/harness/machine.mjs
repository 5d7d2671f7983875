import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';

/** Tasks that ran or waited to run, mean of a minute; proc(5). Above the number of CPUs the figures are noisy. */
export const load = () => Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]);

/** What the figures of a run depend on. */
export const machine = () => ({
  date: new Date().toISOString(),
  commit: commit(),
  node: process.version,
  kernel: release(),
  cpu: `${availableParallelism()} × ${cpus()[0]?.model.trim()}`,
  memory: `${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
});

function commit() {
  try {
    const args = ['describe', '--always', '--dirty'];
    return execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return undefined;
  }
}
