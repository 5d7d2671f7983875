import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startDetached, type Command, type Detached } from '../../../src/executors/process/detached.js';
import { allProcesses, processStat } from '../../../src/executors/process/proc.js';
import { loadLibc } from '../../../src/lib/load-libc.js';
import { eventually } from '../../conformance/harness.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meeseeks-detached-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const libc = (await loadLibc())!;
const sh = (script: string): Command => ['/bin/sh', '-c', script];
/** what this process got from its parent, and so does not close for its children */
const inherited = readdirSync('/proc/self/fd')
  .map(Number)
  .filter((fd) => fd > 2 && existsSync(`/proc/self/fd/${fd}`) && !isClosedOnExec(fd));
const openFiles = (): number => readdirSync('/proc/self/fd').length;
/** those that ended and that nobody has buried */
const zombies = (): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return new RegExp(`\\) Z ${process.pid} `).test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
      } catch {
        return false;
      }
    });

interface Started extends Detached {
  readonly said: Promise<string>;
  readonly failed: Promise<string>;
}

function start(command: Command, by: typeof libc | undefined): Started {
  let text = '';
  let fail: (message: string) => void;
  let close: () => void;
  const failed = new Promise<string>((resolve) => (fail = resolve));
  const closed = new Promise<void>((resolve) => (close = resolve));
  const process = startDetached(
    command,
    { failed: ({ message }) => fail(message), closed: () => close() },
    by,
  );
  process.stdout.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  process.stdin.on('error', () => undefined);
  return Object.assign(process, { failed, said: closed.then(() => text) });
}

describe.each([
  { by: 'posix_spawn', library: libc },
  { by: 'Node', library: undefined },
])('a process that $by starts', ({ library }) => {
  it('has its arguments as they are, two pipes, a session of its own, and nothing else of ours', async () => {
    const shown = start(
      ['/bin/sh', '-c', 'read line; echo "$line|$1|$(env | grep -v ^PWD= | grep -v ^_= | sort)"; cat /proc/$$/stat; ls -l /proc/$$/fd', 'sh', '$(x) "y\'\n*'], // prettier-ignore
      library,
    );
    shown.stdin.write('asked\n');
    const said = await shown.said;
    expect(said).toMatch(/^asked\|\$\(x\) "y'\n\*\|LC_ALL=C\n/);
    const [, pid, group, session] = /^(\d+) \(sh\) \S+ \d+ (\d+) (\d+)/m.exec(said)!;
    expect([group, session]).toEqual([pid, pid]);
    expect(/ 2 -> (.*)/.exec(said)?.[1]).toBe('/dev/null');
    const files = said.match(/\d+(?= -> )/g)!.map(Number);
    expect(files).toEqual([0, 1, 2, ...inherited]);
  });

  it('ignores and blocks no signal', async () => {
    process.on('SIGUSR2', () => undefined);
    const status = start(['/bin/cat', '/proc/self/status'], library);
    expect(await status.said).toMatch(/SigBlk:\t0+\n[^]*SigIgn:\t0+\n/);
    process.removeAllListeners('SIGUSR2');
  });

  it('reads what was written before it was there, and to the end', async () => {
    const text = 'x'.repeat(300_000);
    const cat = start(['/bin/cat'], library);
    cat.stdin.end(text);
    expect(await cat.said).toBe(text);
  });

  it('says which program cannot be started, and leaves no descriptor open', async () => {
    const before = openFiles();
    const none = start(['/no/such'], library);
    expect(await none.failed).toMatch(/\/no\/such.*ENOENT|ENOENT.*\/no\/such/);
    expect(await none.said).toBe('');
    const denied = start(['/etc/passwd'], library);
    expect(await denied.failed).toMatch(/EACCES/);
    await denied.said;
    await eventually(() => openFiles() <= before);
  });

  it('leaves nothing behind, one or a hundred at a time', async () => {
    const before = openFiles();
    const all = Array.from({ length: 100 }, (_, i) => start(sh(`echo ${i}`), library));
    expect(await Promise.all(all.map(({ said }) => said))).toEqual(all.map((_, i) => `${i}\n`));
    for (const one of all) one.leave();
    await eventually(() => zombies().length === 0 && openFiles() <= before);
  });

  it('goes on when it is left, told by the end of its input', async () => {
    const left = start(sh('echo $$; cat >/dev/null; sleep 60'), library);
    const pid = await new Promise<number>((resolve) =>
      left.stdout.once('data', (text) => resolve(Number(text))),
    );
    left.leave();
    await eventually(() => allProcesses().some((one) => one.parent === pid && nameOf(one.pid) === 'sleep'));
    process.kill(-pid, 'SIGKILL');
    await eventually(() => processStat(pid) === undefined && zombies().length === 0);
  });

  it('gets all that was written to it before it is left', async () => {
    const file = join(directory, 'got');
    const slow = start(['/bin/sh', '-c', 'sleep 0.2; exec cat >"$1"', 'sh', file], library);
    slow.stdin.write('x'.repeat(1_000_000));
    slow.leave();
    await eventually(() => existsSync(file) && statSync(file).size === 1_000_000);
  });

  it('runs as this process does: nobody has changed the priority of its threads', async () => {
    setPriority(process.pid, 3);
    const nice = start(['/usr/bin/nice'], library);
    expect(await nice.said).toBe('3\n');
  });
});

function isClosedOnExec(fd: number): boolean {
  const flags = /flags:\t(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))![1]!;
  return (Number.parseInt(flags, 8) & 0o2000000) !== 0;
}

const nameOf = (pid: number): string => {
  try {
    return readlinkSync(`/proc/${pid}/exe`).replace(/.*\//, '');
  } catch {
    return '';
  }
};
