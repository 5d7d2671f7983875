// What a benchmark makes and must not leave behind: directories and processes.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const directories = new Set();
const children = new Set();
const base = process.env.BENCH_DIR ?? tmpdir();

/** A new directory with the given ones in it, under BENCH_DIR or the system's place for temporary files. */
export function scratch(...names) {
  mkdirSync(base, { recursive: true });
  const root = mkdtempSync(join(base, 'meeseeks-bench-'));
  directories.add(root);
  for (const name of names) mkdirSync(join(root, name));
  return root;
}

/** Starts a process that ends with the benchmark at the latest. `exited` resolves to its exit code or signal. */
export function launch(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'], ...options });
  children.add(child);
  const exited = new Promise((resolve, reject) => {
    child.once('exit', (code, signal) => {
      children.delete(child);
      resolve(code ?? signal);
    });
    child.once('error', reject);
  });
  /** with `detached`, all that it has started as well */
  const end = () => process.kill(options.detached ? -Number(child.pid) : Number(child.pid), 'SIGKILL');
  return { child, exited, end, pid: child.pid };
}

/** Removes a directory before the end of the run, with every process that works in it. */
export function discard(root) {
  endProcessesOf(root);
  rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  directories.delete(root);
}

/** Ends every process and removes every directory. Synchronous, so that a signal handler can do it. */
export function cleanUp() {
  for (const child of children) child.kill('SIGKILL');
  for (const root of directories) endProcessesOf(root);
  for (const root of directories) discard(root);
}

/** Guardians outlive their agent: they are known by the directory in their command line or under their feet. */
function endProcessesOf(root) {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid || !belongsTo(pid, root)) continue;
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // it ended by itself
    }
  }
}

function belongsTo(pid, root) {
  try {
    if (readlinkSync(`/proc/${pid}/cwd`).startsWith(root)) return true;
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(root);
  } catch {
    return false;
  }
}
