import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { streamFile } from '../../../src/executors/executor.js';
import type { Run, RunEnd, RunEvents } from '../../../src/executors/executor.js';
import { findPrograms } from '../../../src/executors/process/guardian.js';
import { allProcesses, processStat } from '../../../src/executors/process/proc.js';
import { ProcessExecutor } from '../../../src/executors/process/process-executor.js';
import { bytesToText } from '../../../src/lib/text.js';
import { loadLibc } from '../../../src/lib/load-libc.js';
import { systemClock } from '../../../src/lib/clock.js';
import type { Clock } from '../../../src/lib/clock.js';
import { eventually } from '../../conformance/harness.js';

let directory: string;
const executors: ProcessExecutor[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meeseeks-executor-'));
});
afterEach(() => {
  for (const executor of executors.splice(0)) executor.stop();
  rmSync(directory, { recursive: true, force: true });
});

const found = findPrograms();
let installed = found;

function open(
  clock: Clock = systemClock,
  programs = installed,
  warn?: (message: string) => void,
): ProcessExecutor {
  const executor = new ProcessExecutor(clock, join(directory, 'guardians'), programs, warn);
  executors.push(executor);
  return executor;
}

function run(
  executor: ProcessExecutor,
  name: string,
  ...args: string[]
): Promise<RunEnd> & { pid: Promise<number> } {
  return runWith(new Map([['SECRET', 'x']]), executor, name, ...args);
}

const requestOf = (name: string, args: readonly string[], env: Run['env'] = new Map()): Run => ({
  path: join(directory, name),
  args,
  env,
  cwd: '/',
  stdin: undefined,
  stdout: undefined,
  stderr: undefined,
});

function runWith(
  env: Run['env'],
  executor: ProcessExecutor,
  name: string,
  ...args: string[]
): Promise<RunEnd> & { pid: Promise<number> } {
  const request = requestOf(name, args, env);
  let told: (pid: number) => void;
  const pid = new Promise<number>((resolve) => (told = resolve));
  const end = new Promise<RunEnd>((ended) => executor.start(request, { started: (p) => told(p), ended }));
  return Object.assign(end, { pid });
}

const libc = await loadLibc();

describe.each([
  { language: 'perl', by: 'posix_spawn', programs: { ...found, libc: () => libc } },
  { language: 'perl', by: 'Node', programs: { ...found, libc: undefined } },
  { language: 'bash', by: 'posix_spawn', programs: { ...found, perl: undefined, libc: () => libc } },
])('with guardians in $language, started by $by', ({ programs }) => {
  beforeEach(() => {
    installed = programs;
  });
  afterEach(() => {
    installed = found;
  });

  it('reuses guardians one run after the other, and starts more when runs overlap', async () => {
    const executor = open();
    const parents: string[] = [];
    for (const name of ['a', 'b', 'c']) {
      await run(executor, name, 'sh', '-c', 'echo $PPID');
      parents.push(readFileSync(`${join(directory, name)}.stdout`, 'utf8'));
    }
    expect(new Set(parents).size).toBe(1);
    await Promise.all(['d', 'e'].map((name) => run(executor, name, 'sh', '-c', 'echo $PPID; sleep 0.2')));
    expect(
      new Set(['d', 'e'].map((name) => readFileSync(`${join(directory, name)}.stdout`, 'utf8'))).size,
    ).toBe(2);
  });

  /** What guardian.sh calls its own things. */
  const names =
    'args vars own shown fields last search stat env setsid path name in out err cwd mask boot journal kind count payload IFS i'.split(
      ' ',
    );

  it('gives a job exactly its environment, whatever the names and values are', async () => {
    const canary = join(directory, 'canary');
    const env = new Map([
      ['EMPTY', ''],
      ['LINES', 'x'],
      ['NEWLINE', 'a\nb '],
      ['BYTES', '\udcff\u0001\u007f é'],
      ['SUBSTITUTION', `$(touch ${canary})`],
      ['ARRAY', `($(touch ${canary}))`],
      [`x[$(touch ${canary})]`, '1'],
      ['PLUS+', '1'],
      ['BASH_ENV', canary],
      ['BASH_FUNC_f%%', '() { :; }'],
      ['RANDOM', 'mine'],
      ['IFS', '/'],
      ['LC_ALL', 'xx_XX.none'],
      ['PATH', '/nowhere:/bin:/usr/bin'],
      ['PWD', '/elsewhere'],
      ['SHLVL', '77'],
      ['UID', '1'],
      ['npm_config_//host/:_auth', 'x'],
      ['_', 'y'],
      ...names.map((name): [string, string] => [name, `(${name} $(touch ${canary}))`]),
    ]);
    const end = await runWith(env, open(), 'environment', 'cat', '/proc/self/environ');
    const error = readFileSync(`${join(directory, 'environment')}.stderr`, 'utf8');
    expect([end.kind, error]).toEqual(['exit', '']);
    const seen = bytesToText(readFileSync(`${join(directory, 'environment')}.stdout`, 'latin1'));
    expect(seen.split('\0').slice(0, -1).toSorted()).toEqual(
      [...env].map(([name, value]) => `${name}=${value}`).toSorted(),
    );
    expect(existsSync(canary)).toBe(false);
  });

  it('lets idle guardians go', async () => {
    let skipped = 0;
    const timers: (() => void)[] = [];
    const clock: Clock = {
      now: () => Date.now() + skipped,
      after: (ms, callback) => {
        if (ms < 5000) return systemClock.after(ms, callback);
        timers.push(callback);
        return () => undefined;
      },
    };
    const executor = open(clock);
    await run(executor, 'a', 'sh', '-c', 'echo $PPID');
    const guardian = Number(readFileSync(join(directory, 'a.stdout'), 'utf8'));
    expect(processStat(guardian)).toBeDefined();
    skipped = 20_000;
    for (const timer of timers.splice(0)) timer();
    await eventually(() => processStat(guardian) === undefined);
  });

  it('makes two files for a run, and writes the environment into none', async () => {
    const env = new Map([['SECRET', 'top-secret']]);
    await runWith(env, open(), 'a', 'sh', '-c', 'grep -r top-secret "$0"; test $? = 1', directory);
    expect(readdirSync(directory).toSorted()).toEqual(['a.stderr', 'a.stdout', 'guardians']);
    expect(readFileSync(join(directory, 'a.stdout'), 'utf8')).toBe('');
  });

  it('needs no program but setsid to become the job in a usual environment, and passes it on as it is', async () => {
    const usual = new Map([
      ['SHELL', '/bin/zsh'],
      ['PWD', '/elsewhere'],
      ['OLDPWD', '/before'],
      ['SHLVL', '3'],
      ['_', '/usr/bin/meeseeks-watch'],
      ['LANG', 'xx_XX.none'],
      ['LC_CTYPE', 'de_DE.UTF-8'],
      ['LANGUAGE', 'de'],
      ['HOSTNAME', 'h'],
      ['MAIL', '/var/mail/x'],
      ['PATH', '/nowhere:/bin:/usr/bin'],
      ['TERM', 'xterm'],
      ['HOME', '/home/x'],
      ['TZ', 'UTC'],
    ]);
    const usualPrograms = { ...installed, env: '/no/such/env' };
    for (const names of [[...usual.keys()], ['HOME'], []]) {
      const env = new Map([...usual].filter(([name]) => names.includes(name)));
      const end = await runWith(
        env,
        open(systemClock, usualPrograms),
        `n${names.length}`,
        '/bin/cat',
        '/proc/self/environ',
      );
      expect([end.kind, readFileSync(join(directory, `n${names.length}.stderr`), 'utf8')]).toEqual([
        'exit',
        '',
      ]);
      const seen = readFileSync(join(directory, `n${names.length}.stdout`), 'utf8')
        .split('\0')
        .slice(0, -1);
      expect(seen.toSorted()).toEqual([...env].map(([name, value]) => `${name}=${value}`).toSorted());
    }
  });

  it('gives each run its own environment, though a guardian has the one before', async () => {
    const executor = open();
    const environments = [
      [['A', '1']],
      [['A', '1']],
      [
        ['A', '2'],
        ['B', '3'],
      ],
      [['odd.name', 'x']],
      [],
      [
        ['B', ''],
        ['MEESEEKS_X', 'y'],
      ],
    ] as [string, string][][];
    for (const [i, env] of environments.entries()) {
      await runWith(new Map(env), executor, `e${i}`, '/bin/cat', '/proc/self/environ');
      const seen = readFileSync(join(directory, `e${i}.stdout`), 'utf8')
        .split('\0')
        .slice(0, -1);
      expect(seen.toSorted()).toEqual(env.map(([name, value]) => `${name}=${value}`));
    }
  });

  it('passes on arguments of any bytes', async () => {
    const bytes = Array.from({ length: 255 }, (_, i) => bytesToText(String.fromCharCode(i + 1)));
    const special = [
      '',
      '*',
      '\\',
      '\\\u001e',
      '\u001d1\u001e2',
      '  ',
      '\n',
      '\u0001\u0001',
      '\u007f',
      '&',
      '',
    ];
    const runs = [
      [...bytes, bytes.join(''), ...special],
      bytes.filter((one) => !/[\u001d\u001e]/.test(one)).concat('', '*', ''),
    ];
    for (const [i, args] of runs.entries()) {
      await runWith(new Map(), open(), `r${i}`, '/bin/cat', '/proc/self/cmdline', '--', ...args);
      const seen = bytesToText(readFileSync(join(directory, `r${i}.stdout`), 'latin1'));
      expect(seen.split('\0').slice(3, -1)).toEqual(args);
    }
  });

  it('keeps journals short, and removes those of guardians that it let go or that are gone', async () => {
    const executor = open();
    const journals = (): string[] =>
      readdirSync(join(directory, 'guardians'), { recursive: true, encoding: 'utf8' }).filter((name) =>
        name.includes('/'),
      );
    const texts = (): string[] =>
      journals().map((name) => readFileSync(join(directory, 'guardians', name), 'utf8'));
    for (let i = 0; i < 258; i++) await run(executor, `a${i}`, 'true');
    expect(texts().map((text) => text.split('\n').length)).toEqual([6]);
    executor.stop();
    const parent = Number(/^guardian (\d+) /.exec(texts()[0]!)![1]);
    await eventually(() => processStat(parent) === undefined);
    await run(open(), 'b', 'true');
    expect(texts().join('')).toMatch(/^guardian .*\npid b .*\nexit b 0 .*\n$/);
  });

  it('reports a spool that cannot be written to', async () => {
    expect(await run(open(), 'no/such/a', 'true')).toMatchObject({
      kind: 'start',
      error: expect.stringContaining('cannot write to the spool') as string,
    });
  });

  it('kills many runs at once, right after their start', async () => {
    const executor = open();
    const names = Array.from({ length: 20 }, (_, i) => `r${i}`);
    const ends = names.map((name) => run(executor, name, 'sleep', '60'));
    for (const name of names) executor.kill(join(directory, name), 5000);
    for (const end of await Promise.all(ends)) expect(end).toMatchObject({ kind: 'signal', signal: 15 });
  });

  it('waits for a run that is stopped and goes on', async () => {
    const executor = open();
    const end = run(executor, 'a', 'sh', '-c', 'kill -STOP $$; exit 200');
    const pid = await end.pid;
    const state = (): string => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]![0]!;
    await eventually(() => state() === 'T');
    process.kill(pid, 'SIGCONT');
    expect(await end).toMatchObject({ kind: 'exit', code: 200 });
  });

  it('starts what execvp(3) starts: a script without an interpreter, a name with =, the second of a name in PATH', async () => {
    const executor = open();
    const [plain, equal] = [join(directory, 'plain'), join(directory, 'a=b')];
    writeFileSync(plain, 'set -- *; test -z "$BASH_VERSION" && echo "$0 $1"\n', { mode: 0o755 });
    writeFileSync(equal, '#!/bin/sh\ntr "\\0" "\\n" </proc/$$/environ | grep odd\n', { mode: 0o755 });
    await run(executor, 'p', plain);
    expect(readFileSync(join(directory, 'p.stdout'), 'utf8')).toBe(`${plain} bin\n`);
    await runWith(new Map([['odd.name', '1']]), executor, 'e', equal);
    expect(readFileSync(join(directory, 'e.stdout'), 'utf8')).toBe('odd.name=1\n');
    const first = join(directory, 'first');
    mkdirSync(join(first, 'plain'), { recursive: true });
    await runWith(new Map([['PATH', `${first}:/nowhere:${directory}:/bin`]]), executor, 's', 'plain');
    expect(readFileSync(join(directory, 's.stdout'), 'utf8')).toBe(`${plain} bin\n`);
  });

  it('gives each run of a guardian its whole input', async () => {
    const executor = open();
    for (const text of ['first\n', 'the second one\n', '3\n']) {
      const [input, path] = [join(directory, 'input'), join(directory, text.slice(0, 1))];
      writeFileSync(input, text);
      const ended = new Promise<RunEnd>((resolve) =>
        executor.start(
          {
            path,
            args: ['cat'],
            env: new Map(),
            cwd: '/',
            stdin: input,
            stdout: undefined,
            stderr: undefined,
          },
          { started: () => undefined, ended: resolve },
        ),
      );
      expect(await ended).toMatchObject({ code: 0 });
      expect(readFileSync(`${path}.stdout`, 'utf8')).toBe(text);
    }
  });

  it('does not begin where the name of its output is taken, says so, and makes room', async () => {
    writeFileSync(join(directory, 'a.stdout'), 'of another agent');
    mkdirSync(join(directory, 'b.stdout'));
    const executor = open();
    for (const name of ['a', 'b']) {
      expect(await run(executor, name, 'touch', join(directory, 'ran'))).toEqual({ kind: 'never' });
      expect(readdirSync(directory)).toEqual(['guardians', ...(name === 'a' ? ['b.stdout'] : [])].toSorted());
    }
  });

  it('says that it has run out of descriptors, and goes on as before when it has some', async () => {
    const executor = open();
    const limit = (soft: string): Buffer =>
      execFileSync('prlimit', [`--pid=${process.pid}`, `--nofile=${soft}:`]);
    const before = /NOFILE.*\s(\d+)\s+\d+/.exec(execFileSync('prlimit', ['--pid', `${process.pid}`, '--nofile', '--noheadings', '-o', 'RESOURCE,SOFT,HARD']).toString())![1]!; // prettier-ignore
    limit('400');
    const taken: number[] = [];
    let end: RunEnd;
    try {
      for (;;) taken.push(openSync('/dev/null', 'r'));
    } catch {
      end = await run(executor, 'a', 'true');
    } finally {
      for (const fd of taken) closeSync(fd);
      limit(before);
    }
    expect(end!).toMatchObject({
      kind: 'start',
      error: expect.stringMatching(/cannot start: .*EMFILE/) as string,
    });
    expect(await run(executor, 'b', 'sh', '-c', 'tr "\\0" " " </proc/$PPID/cmdline')).toMatchObject({
      code: 0,
    });
    const language = programs.perl === undefined ? 'sh' : 'pl';
    expect(readFileSync(join(directory, 'b.stdout'), 'utf8')).toContain(`guardian.${language} `);
  });

  it('tells when a program began, also whoever takes over', async () => {
    const executor = open();
    const path = join(directory, 'a');
    const begun = (start: (events: RunEvents) => void): Promise<number | undefined> =>
      new Promise((told) => start({ started: (_, at) => told(at), ended: () => undefined }));
    const before = Date.now() / 1000;
    const first = (await begun((events) => executor.start(requestOf('a', ['sleep', '60']), events)))!;
    // it comes when the program did not begin yet; bash before 5.0 knows whole seconds
    await eventually(() => existsSync(streamFile(path, 'stdout')));
    const after = Date.now() / 1000 + 0.001; // which it leaves out
    executor.stop();
    const next = open();
    const second = (await begun((events) => next.adopt(path, next.epoch, events)))!;
    for (const at of [first, second]) {
      expect(at).toBeGreaterThan(before - 1);
      expect(at).toBeLessThanOrEqual(after);
    }
    next.kill(path, 1000);
    await eventually(() => next.isOver(path));
  });

  it('says nothing more after it was stopped, and leaves the processes alone', async () => {
    const executor = open();
    let ended = false;
    const end = run(executor, 'a', 'sh', '-c', 'echo up; exec sleep 60');
    void end.then(() => (ended = true));
    const pid = await end.pid;
    // `started` comes before the claim: an agent that takes over in between rightly finds a run that never began
    const output = streamFile(join(directory, 'a'), 'stdout');
    await eventually(() => existsSync(output) && readFileSync(output, 'utf8') === 'up\n');
    executor.stop();
    expect(processStat(pid)).toBeDefined();
    const next = open();
    const adopted = new Promise<RunEnd>((resolve) =>
      next.adopt(join(directory, 'a'), next.epoch, { started: () => undefined, ended: resolve }),
    );
    next.kill(join(directory, 'a'), 1000);
    expect(await adopted).toMatchObject({ kind: 'signal', signal: 15 });
    expect(ended).toBe(false);
  });
});

describe('what a guardian needs', () => {
  it('passes no value of the environment as an argument, which `ps` would show to anybody', async () => {
    const seen = join(directory, 'seen');
    const env = join(directory, 'env.sh');
    const script = `#!/bin/sh\ntr '\\0' '\\n' </proc/$$/cmdline >${seen}\nexec /usr/bin/env "$@"\n`;
    writeFileSync(env, script, { mode: 0o755 });
    const secret = new Map([
      ['TOKEN', 'top-secret'],
      ['args', 'top-secret'],
      ['odd.name', 'so that it takes env'],
    ]);
    await runWith(
      secret,
      open(systemClock, { ...found, perl: undefined, env }),
      'job',
      'sh',
      '-c',
      'echo $TOKEN',
    );
    expect(readFileSync(`${join(directory, 'job')}.stdout`, 'utf8')).toBe('top-secret\n');
    expect(readFileSync(seen, 'utf8')).toContain('echo $TOKEN');
    expect(readFileSync(seen, 'utf8')).not.toContain('top-secret');
  });

  it('reports a shell that cannot be started', async () => {
    const executor = open(systemClock, { ...found, perl: undefined, bash: '/no/bash' });
    expect(await run(executor, 'a', 'true')).toMatchObject({
      kind: 'start',
      error: expect.stringMatching(/cannot start: bash: .*\/no\/bash/) as string,
    });
  });

  it('has the child of the next run ready, does without one that was killed, and takes it along', async () => {
    const childrenOf = (pid: number): number[] =>
      allProcesses()
        .filter(({ parent }) => parent === pid)
        .map((one) => one.pid);
    const executor = open();
    await run(executor, 'a', 'sh', '-c', 'echo $PPID');
    const guardian = Number(readFileSync(join(directory, 'a.stdout'), 'utf8'));
    await eventually(() => childrenOf(guardian).length === 1);
    const [ready] = childrenOf(guardian) as [number];
    const second = run(executor, 'b', 'true');
    expect([await second.pid, await second]).toMatchObject([ready, { code: 0 }]);
    await eventually(() => childrenOf(guardian).length === 1);
    const [shot] = childrenOf(guardian) as [number];
    process.kill(shot, 'SIGKILL');
    await eventually(() => processStat(shot) === undefined); // before that it may still take the request along
    expect(await run(executor, 'c', 'true')).toMatchObject({ code: 0 });
    await eventually(() => childrenOf(guardian).length === 1);
    const [last] = childrenOf(guardian) as [number];
    process.kill(guardian, 'SIGKILL');
    await eventually(() => processStat(last) === undefined);
  });

  it('takes bash for good where Perl does not come up, and runs nothing twice', async () => {
    const broken = join(directory, 'perl');
    writeFileSync(broken, '#!/bin/sh\nexit 2\n', { mode: 0o755 });
    for (const [i, perl] of [broken, '/no/perl'].entries()) {
      const warnings: string[] = [];
      const executor = open(systemClock, { ...found, perl }, (message) => warnings.push(message));
      expect(await run(executor, `first${i}`, 'true')).toEqual({ kind: 'never' });
      expect(
        await run(executor, `second${i}`, 'sh', '-c', 'tr "\\0" " " </proc/$PPID/cmdline'),
      ).toMatchObject({
        code: 0,
      });
      expect(readFileSync(join(directory, `second${i}.stdout`), 'utf8')).toMatch(/guardian\.sh/);
      expect(warnings).toEqual([expect.stringMatching(`^${perl} does not run as it should`)]);
      executor.stop();
    }
  });
});
