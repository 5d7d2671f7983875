import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';

/**
 * Runs every example as its README says: the fenced `sh` blocks in order, in a copy of the example, with the
 * real command line. A `text` block behind an `sh` block is exactly what that prints. A block that starts a
 * watcher without --once is left running, as in another terminal, until the test stops it.
 */
const root = fileURLToPath(new URL('../..', import.meta.url));
/** another build or an installed package can be tested with MEESEEKS_CLI */
const cli = process.env['MEESEEKS_CLI'] ?? join(root, 'dist/bin/meeseeks-watch.js');
const DEADLINE_MS = 60_000;

let sandbox: string;
let running: ChildProcess[];

beforeEach(() => {
  if (!existsSync(cli)) throw new Error(`${cli} is missing; run npm run build`);
  sandbox = realpathSync(mkdtempSync(join(tmpdir(), 'meeseeks-examples-')));
  running = [];
  for (const name of ['examples', 'templates'])
    cpSync(join(root, name), join(sandbox, name), { recursive: true });
  mkdirSync(join(sandbox, 'bin'));
  const command = `#!/bin/sh\nexec '${process.execPath}' '${cli}' "$@"\n`;
  writeFileSync(join(sandbox, 'bin/meeseeks-watch'), command, { mode: 0o755 });
});

afterEach(async () => {
  for (const child of running) if (isAlive(child)) child.kill('SIGKILL');
  await until(() => killAll(processesIn(sandbox)) === 0);
  rmSync(sandbox, { recursive: true, force: true, maxRetries: 20, retryDelay: 10 });
});

/** Processes that work in the sandbox: ours, whoever their parent is by now. */
function processesIn(directory: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      const cwd = readlinkSync(`/proc/${pid}/cwd`);
      return cwd === directory || cwd.startsWith(`${directory}/`);
    } catch {
      return false;
    }
  });
}

function killAll(pids: readonly number[]): number {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // ended by itself
    }
  }
  return pids.length;
}

const isAlive = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

async function until(holds: () => boolean | Promise<boolean>, deadline = DEADLINE_MS): Promise<void> {
  const end = Date.now() + deadline;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not so after ${deadline} ms: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

interface Block {
  readonly script: string;
  /** what it prints; undefined when the README does not say */
  readonly output: string | undefined;
  /** it starts a watcher that does not end by itself */
  readonly isService: boolean;
}

function blocksOf(readme: string): Block[] {
  const fences = [...readme.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(([, kind, text = '']) => ({
    kind,
    text,
  }));
  return fences.flatMap(({ kind, text }, index) => {
    if (kind !== 'sh') return [];
    const next = fences[index + 1];
    const output = next?.kind === 'text' ? next.text : undefined;
    return [{ script: text, output, isService: /^meeseeks-watch (?!--once|plan|explain)/m.test(text) }];
  });
}

/** An example, copied, with its README run block by block. */
class Example {
  readonly directory: string;
  readonly blocks: readonly Block[];
  service: ChildProcess | undefined;

  constructor(name: string) {
    this.directory = join(sandbox, 'examples', name);
    this.blocks = blocksOf(readFileSync(join(this.directory, 'README.md'), 'utf8'));
  }

  /** Runs one block; beside a running watcher, a look is repeated until it shows what the README says. */
  async run(index: number): Promise<void> {
    const block = this.blocks[index]!;
    if (block.isService) {
      this.service = this.start(`exec ${block.script}`);
    } else if (this.service !== undefined && block.output !== undefined) {
      await this.look(block);
    } else {
      const { code, stdout, stderr } = await this.shell(block.script);
      expect(code, `${block.script}\n${stdout}\n${stderr}`).toBe(0);
      expect(stdout).toBe(block.output ?? '');
    }
  }

  async runAll(): Promise<void> {
    for (const index of this.blocks.keys()) await this.run(index);
  }

  async look(block: Block): Promise<void> {
    let last = '';
    const matches = async (): Promise<boolean> => {
      ({ stdout: last } = await this.shell(block.script));
      return last === block.output;
    };
    // on a timeout the comparison below shows what is different
    await until(matches).catch(() => undefined);
    expect(last, block.script).toBe(block.output);
  }

  async shell(script: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const child = this.start(script, ['-e', '-o', 'pipefail']);
    let [stdout, stderr] = ['', ''];
    child.stdout!.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr!.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    await once(child, 'close');
    return { code: child.exitCode, stdout, stderr };
  }

  start(script: string, options: readonly string[] = []): ChildProcess {
    const isLook = options.length > 0;
    const child = spawn('bash', [...options, '-c', script], {
      cwd: this.directory,
      env: {
        ...process.env,
        PATH: `${join(sandbox, 'bin')}:${process.env['PATH']}`,
        XDG_STATE_HOME: join(sandbox, 'state'),
        LC_ALL: 'C',
      },
      stdio: ['ignore', isLook ? 'pipe' : 'ignore', isLook ? 'pipe' : 'ignore'],
    });
    running.push(child);
    return child;
  }

  /** Ends the watcher. @returns its exit code; null when a signal ended it */
  async stop(signal: 'SIGTERM' | 'SIGINT'): Promise<number | null> {
    const child = this.service!;
    this.service = undefined;
    if (!isAlive(child)) return child.exitCode;
    const closed = once(child, 'exit');
    child.kill(signal);
    await closed;
    return child.exitCode;
  }

  /** Names of files of a folder. */
  names(folder: string): string[] {
    return readdirSync(join(this.directory, folder)).toSorted();
  }

  markers(folder = 'data', watch = ''): string[] {
    return this.names(folder).filter((name) => name.startsWith(`._${watch}`));
  }

  lines(file: string): string[] {
    const path = join(this.directory, file);
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
  }
}

const sets = (...stamps: string[]): string[] =>
  stamps.flatMap((stamp) => ['bar', 'baz', 'foo'].map((ext) => `${stamp}.${ext}`));
const marks = (watch: string, step: number, files: readonly string[], state = 'done'): string[] =>
  files.map((file) => `._${watch}_${step}_${file}.${state}`);

const runsThrough = async (name: string): Promise<Example> => {
  const example = new Example(name);
  await example.runAll();
  return example;
};

/** One test for each directory of examples/. */
const tests: Readonly<Record<string, () => Promise<void>>> = {
  async quickstart() {
    const example = await runsThrough('quickstart');
    expect(example.markers('data/south')).toEqual(['._count-south_0_synop_20260101.csv.done']);
  },

  async 'document-shapes'() {
    const example = new Example('document-shapes');
    const fileupdate = (files: readonly string[]): string[] =>
      [...marks('fileupdate-01', 0, files), ...marks('fileupdate-01', 0, files, 'mtime')].toSorted();

    await example.run(0);
    const two = sets('20200101.00', '20200101.12');
    expect(example.markers('data', 'file-01')).toEqual([
      ...marks('file-01', 0, two),
      ...marks('file-01', 1, sets('20200101.00')),
    ]);
    expect(example.markers('data', 'fileset-01')).toEqual(['._fileset-01_1_20200101.00.foo.done']);
    expect(example.markers('data', 'fileupdate-01')).toEqual(fileupdate(two));

    await example.run(1);
    const three = sets('20200101.00', '20200101.12', '20200102.00');
    const afterThird = [
      ...marks('file-01', 0, three),
      ...marks('file-01', 1, two),
      ...marks('fileset-01', 1, ['20200101.00.foo', '20200101.12.foo']),
      ...fileupdate(three),
    ];
    expect(example.markers()).toEqual(afterThird);

    await example.run(2);
    expect(example.markers()).toEqual(afterThird);
    expect(example.lines('data/20200101.12.foo.log')).toEqual(['20200101.12 foo']);

    await example.run(3);
    await example.run(4);
    expect(await example.stop('SIGINT')).toBe(0);
    await until(() => processesIn(sandbox).length === 0);
    expect(example.lines('beats.log').filter((line) => line === 'steady')).toHaveLength(1);
    expect(example.markers()).toEqual(afterThird);
  },

  async gfs() {
    const example = await runsThrough('gfs');
    const [marker] = example.markers();
    const job = JSON.parse(readFileSync(join(example.directory, 'data', marker!), 'utf8')) as {
      args: string[];
    };
    const grib = join(example.directory, 'data/gfs.t00z.pgrb2.0p25.f000');
    expect(job.args).toEqual(['sh', 'inventory.sh', grib, `${grib}.idx`]);
  },

  async goes() {
    const example = new Example('goes');
    await example.run(0);
    expect(example.markers()).toHaveLength(1);
    await example.run(1);
    expect(example.markers()).toHaveLength(2);
  },

  async illumina() {
    const example = await runsThrough('illumina');
    expect(example.markers('data/230227_M02439_0044_000000000-KT51B')).toEqual([]);
  },

  async ladder() {
    await runsThrough('ladder');
  },

  async service() {
    const example = await runsThrough('service');
    const log = example.lines('feed.log');
    const pid = Number(log.at(-1)!.split(' ')[1]);

    // what the last paragraph of the README says
    expect(await example.stop('SIGTERM')).toBe(0);
    expect(processesIn(sandbox)).toContain(pid);
    await example.run(0);
    const { stdout } = await untilRuns(example, 1);
    expect(stdout).toContain('running');
    expect(example.lines('feed.log')).toEqual(log);
    expect(processesIn(sandbox)).toContain(pid);
    expect(await example.stop('SIGINT')).toBe(0);
    await until(() => processesIn(sandbox).length === 0);
    expect(example.lines('feed.log')).toEqual(log);
  },

  async update() {
    const example = await runsThrough('update');
    expect(await example.stop('SIGTERM')).toBe(0);
    expect(example.lines('loaded.log')).toHaveLength(3);
    // a second look finds nothing new
    const again = example.blocks[0]!.script.replace('meeseeks-watch', 'meeseeks-watch --once');
    expect((await example.shell(again)).code).toBe(0);
    expect(example.lines('loaded.log')).toHaveLength(3);
  },
};

interface Status {
  readonly watches: readonly { readonly running: number }[];
}

/** Waits until the watcher of the first block says that so many jobs are running. */
async function untilRuns(example: Example, jobs: number): Promise<{ stdout: string }> {
  const script = example.blocks[0]!.script.replace('meeseeks-watch', 'meeseeks-watch status --json');
  let last = { code: null as number | null, stdout: '' };
  await until(async () => {
    last = await example.shell(script);
    if (last.code !== 0) return false;
    const status = JSON.parse(last.stdout) as Status;
    return status.watches.reduce((sum, watch) => sum + watch.running, 0) === jobs;
  });
  return last;
}

/** What is wrong with a directory of examples, whatever the examples do. */
function problemsOf(examples: string, tested: readonly string[]): string[] {
  const names = readdirSync(examples, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  const index = readIfThere(join(examples, 'README.md'));
  const perExample = names.flatMap((name) => {
    const readme = readIfThere(join(examples, name, 'README.md'));
    const hasCommand = blocksOf(readme).some(({ script }) => /^meeseeks-watch /m.test(script));
    return [
      ...(hasCommand ? [] : [`${name}: README.md has no command`]),
      ...(tested.includes(name) ? [] : [`${name}: no test`]),
      ...(index.includes(`](${name})`) ? [] : [`${name}: not in README.md`]),
    ];
  });
  return [
    ...perExample,
    ...tested.filter((name) => !names.includes(name)).map((name) => `${name}: no example`),
  ];
}

const readIfThere = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');

describe('every example', () => {
  const listing = (): string[] =>
    readdirSync(join(root, 'examples'), { recursive: true, encoding: 'utf8' }).toSorted();
  const before = listing();

  for (const [name, test] of Object.entries(tests)) it(`${name} does what its README says`, test, 60_000);

  afterAll(() => expect(listing(), 'a test wrote into examples/').toEqual(before));
});

describe('the set of examples', () => {
  it('has a command and a test for each', () => {
    expect(problemsOf(join(root, 'examples'), Object.keys(tests))).toEqual([]);
  });

  it('is refused with an example that lacks either', () => {
    const planted = join(sandbox, 'planted');
    const example = (name: string, readme?: string): void => {
      mkdirSync(join(planted, name), { recursive: true });
      if (readme !== undefined) writeFileSync(join(planted, name, 'README.md'), readme);
    };
    example('good', '```sh\nmeeseeks-watch --once my.cfg\n```\n');
    example('no-readme');
    example('no-command', 'Run `meeseeks-watch`.\n\n```text\nmeeseeks-watch my.cfg\n```\n');
    example('no-test', '```sh\nmeeseeks-watch my.cfg\n```\n');
    const index = ['good', 'no-readme', 'no-command', 'no-test'].map((name) => `[x](${name})`).join('\n');
    writeFileSync(join(planted, 'README.md'), index);
    expect(problemsOf(planted, ['good', 'no-readme', 'no-command', 'gone']).toSorted()).toEqual([
      'gone: no example',
      'no-command: README.md has no command',
      'no-readme: README.md has no command',
      'no-test: no test',
    ]);
  });

  it('fails when a command prints something else than its README says', async () => {
    const example = new Example('quickstart');
    writeFileSync(join(example.directory, 'data/north/synop_20260101.csv'), '');
    await expect(example.run(0)).rejects.toThrow(/synop_20260101/);
  });
});
