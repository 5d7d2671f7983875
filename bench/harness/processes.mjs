// What the kernel and the probe tell about a running process.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

/** CPU seconds a process has used so far, in ticks of 10 ms; proc(5). */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Bytes of memory a process has resident. */
export const residentBytes = (pid) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

/** How many inotify watches a process has, of all directories and files; proc(5), fdinfo. */
export const kernelWatches = (pid) =>
  readdirSync(`/proc/${pid}/fdinfo`).reduce((sum, fd) => {
    try {
      return sum + (readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8').match(/^inotify /gm)?.length ?? 0);
    } catch {
      return sum;
    }
  }, 0);

/** @throws Error that names what was awaited, after `limit` seconds */
export async function until(condition, what, limit = 600, pause = 20) {
  for (const end = Date.now() + limit * 1000; Date.now() < end; await sleep(pause)) {
    const found = await condition();
    if (found) return found;
  }
  throw new Error(`waited ${limit} s in vain until ${what}`);
}

/** Waits until a process has used next to nothing for a second. */
export async function untilIdle(pid, limit = 600) {
  const isIdle = async () => {
    const before = cpuSeconds(pid);
    await sleep(1000);
    return cpuSeconds(pid) - before <= 0.02;
  };
  await until(isIdle, `process ${pid} is idle`, limit);
}
