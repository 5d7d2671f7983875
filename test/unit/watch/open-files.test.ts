import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  closeSync,
  constants,
  linkSync,
  openSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bytesToBuffer, textToBytes } from '../../../src/lib/text.js';
import { loadLibc } from '../../../src/lib/load-libc.js';
import { noAnswers, openForWriting as openFiles } from '../../../src/watch/open-files.js';
import { nastyNames, temporaryDirectory } from '../../support/watch-fixtures.js';

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) await end(child);
});

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

/** A process that says when it is there, and waits. */
async function started(program: string, ...args: string[]): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout, 'data');
  return child;
}

/** A process that holds a file open. */
const holder = (path: string, redirection: '<' | '>' | '>>' | '<>'): Promise<ChildProcess> =>
  started('/bin/sh', '-c', `exec 7${redirection}"$1"; echo; read x`, 'sh', path);

function file(name = 'x'): string {
  const path = join(temporaryDirectory(), name);
  writeFileSync(path, 'content');
  return path;
}

beforeAll(loadLibc);

const byProc = (paths: Iterable<string>): Set<string> => openFiles(paths, noAnswers);
const byKernel = (paths: Iterable<string>): Set<string> => openFiles(paths);

describe.each([
  ['by the kernel', byKernel],
  ['by /proc', byProc],
])('openForWriting %s', (_, openForWriting) => {
  it.each(['>', '>>', '<>'] as const)(
    'sees a file opened with %s by another process',
    async (redirection) => {
      const path = file();
      const child = await holder(path, redirection);
      expect(openForWriting([path])).toEqual(new Set([path]));
      await end(child);
      expect(openForWriting([path])).toEqual(new Set());
    },
  );

  it('does not mind readers', async () => {
    const path = file();
    await holder(path, '<');
    expect(openForWriting([path])).toEqual(new Set());
  });

  it('tells one file from another', async () => {
    const [path, other] = [file(), file()];
    await holder(path, '>');
    expect(openForWriting([other, path, `${path}.none`])).toEqual(new Set([path]));
  });

  it('sees through a link on the way', async () => {
    const path = file();
    const link = join(temporaryDirectory(), 'link');
    symlinkSync(join(path, '..'), link);
    await holder(path, '>');
    expect(openForWriting([`${link}/x`])).toEqual(new Set([`${link}/x`]));
  });

  it('sees a file that its writer knows by another name (a hard link)', async () => {
    const [path, other] = [file(), file()];
    linkSync(path, `${path}.writing`);
    await holder(`${path}.writing`, '>');
    expect(openForWriting([path, other])).toEqual(new Set([path]));
  });

  it('takes names of any bytes', async () => {
    const directory = temporaryDirectory();
    const names = nastyNames.map((name) => textToBytes(`${directory}/${name}`));
    for (const name of names) writeFileSync(bytesToBuffer(name), '');
    // a shell that opens whatever is there, one descriptor each
    const script =
      'cd "$1"; for f in *; do eval "exec $((n = n + 1 + (n == 0) * 2))>>\\"\\$f\\""; done; echo; read x';
    await started('/bin/bash', '-c', script, 'sh', directory);
    expect(openForWriting(names)).toEqual(new Set(names));
  });

  it('of nothing is nothing', () => {
    expect(openForWriting([])).toEqual(new Set());
  });

  it('sees what a process opens after it has slept through a look, and what was renamed while it slept', async () => {
    const [first, second] = [file(), file()];
    const script = 'exec 7>"$1"; echo; read x; exec 8>"$2"; echo; read x';
    const child = await started('/bin/sh', '-c', script, 'sh', first, second);
    for (let i = 0; i < 3; i++) expect(openForWriting([first, second])).toEqual(new Set([first]));
    renameSync(first, `${first}.moved`);
    expect(openForWriting([`${first}.moved`])).toEqual(new Set([`${first}.moved`]));
    child.stdin!.write('\n');
    await once(child.stdout!, 'data');
    expect(openForWriting([second])).toEqual(new Set([second]));
  });
});

const isRoot = process.getuid?.() === 0;
const mapping = `import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
fd = os.open(sys.argv[1], os.O_RDWR)
libc.mmap(None, ctypes.c_size_t(1), 3, 1, fd, ctypes.c_long(0))
os.close(fd)
print(flush=True)
sys.stdin.read()`;
const writeLease = `import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fcntl.fcntl(os.open(sys.argv[1], os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_WRLCK)
print(flush=True)
sys.stdin.read()`;

describe('openForWriting', () => {
  it('sees a memory mapping whose descriptor was closed, which /proc does not show', async () => {
    const path = file();
    const child = await started('python3', '-c', mapping, path);
    expect(byProc([path])).toEqual(new Set());
    expect(byKernel([path])).toEqual(new Set([path]));
    await end(child);
    expect(byKernel([path])).toEqual(new Set());
  });

  it('asks /proc only for what the kernel does not tell', async () => {
    const [kernel, proc, neither] = [file(), file(), file()];
    await Promise.all([kernel, proc, neither].map((path) => holder(path, '>>')));
    const answers = new Map([
      [kernel, true],
      [neither, false],
    ]);
    expect(openFiles([kernel, proc, neither], (path) => answers.get(path))).toEqual(new Set([kernel, proc]));
  });

  it('leaves no lease: writers open at once, and no signal comes', async () => {
    const path = file();
    for (let i = 0; i < 1000; i++) {
      expect(byKernel([path])).toEqual(new Set());
      closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
    }
  });

  it('waits neither for a FIFO nor for somebody to give up a lease', async () => {
    const path = file();
    execFileSync('mkfifo', [`${path}.fifo`]);
    await started('python3', '-c', writeLease, path);
    const begin = performance.now();
    expect(byKernel([path, `${path}.fifo`, `${path}.none`])).toEqual(new Set());
    expect(performance.now() - begin).toBeLessThan(5000); // a lease may be kept for 45 s, a FIFO waits for ever
  });

  it.runIf(isRoot)('is told by /proc of a file that is not ours to ask the kernel about', async () => {
    const path = file();
    chownSync(path, 65_534, 65_534);
    expect(byKernel([path])).toEqual(new Set());
    await holder(path, '>>');
    expect(byKernel([path])).toEqual(new Set([path]));
  });
});
