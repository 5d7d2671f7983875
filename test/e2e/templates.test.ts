import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/**
 * The ready templates: what the comment at the top of each says is what it does, with the real command line on
 * real files. Every job appends one line to a log: the words of its command, then the names of its files.
 */
const root = fileURLToPath(new URL('../..', import.meta.url));
/** another build or an installed package can be tested with MEESEEKS_CLI */
const cli = process.env['MEESEEKS_CLI'] ?? join(root, 'dist/bin/meeseeks-watch.js');
const templates = join(root, 'templates');
const files = readdirSync(templates)
  .filter((name) => name !== 'README.md')
  .toSorted();
const DEADLINE_MS = 60_000;

let sandbox: string;
let data: string;
let live: ChildProcess | undefined;

beforeEach(() => {
  if (!existsSync(cli)) throw new Error(`${cli} is missing; run npm run build`);
  sandbox = realpathSync(mkdtempSync(join(tmpdir(), 'meeseeks-templates-')));
  data = join(sandbox, 'data');
  mkdirSync(data);
  writeFileSync(
    join(sandbox, 'record.sh'),
    'line=; for word; do line="$line ${word##*/}"; done; echo "$line" >> runs.log\n',
  );
});

afterEach(async () => {
  if (live !== undefined) await stop();
  await until(() => {
    const left = processesInSandbox();
    for (const pid of left) kill(pid);
    return left.length === 0;
  });
  rmSync(sandbox, { recursive: true, force: true, maxRetries: 20, retryDelay: 10 });
});

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ended by itself
  }
}

/** Processes that work in the sandbox: ours, whoever their parent is by now. */
function processesInSandbox(): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === sandbox;
    } catch {
      return false;
    }
  });
}

const environment = (): NodeJS.ProcessEnv => ({ ...process.env, XDG_STATE_HOME: join(sandbox, 'state') });

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function meeseeks(...args: readonly string[]): Promise<Result> {
  const options = { cwd: sandbox, env: environment() };
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

const fileOf = (template: string): string =>
  join(
    templates,
    files.find((file) => file.startsWith(`${template}.`))!,
  );

type Keys = Readonly<Record<string, unknown>>;

/** A paths.cfg with one watch, `in`, on the data, that records what it was run on. */
function argumentsFor(template: string, keys: Keys = {}): string[] {
  const watch = { path: 'data', command: ['sh', 'record.sh'], ...keys };
  writeFileSync(join(sandbox, 'paths.cfg'), JSON.stringify({ watch: { in: watch } }));
  return [`apply=${template}`, fileOf(template), 'paths.cfg'];
}

/** Processes what is there. @returns the runs so far, sorted */
async function runOnce(template: string, keys: Keys = {}): Promise<string[]> {
  const { code, stderr } = await meeseeks('--once', ...argumentsFor(template, keys));
  expect(code, stderr).toBe(0);
  return runs().toSorted();
}

function start(template: string, keys: Keys = {}): void {
  const args = [cli, ...argumentsFor(template, keys)];
  live = spawn(process.execPath, args, { cwd: sandbox, env: environment(), stdio: 'ignore' });
}

/** Ends the watcher and its jobs: a second signal kills those that run on. */
async function stop(): Promise<void> {
  const child = live!;
  live = undefined;
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGINT'), 5000);
  await exited;
  clearTimeout(timer);
}

async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + DEADLINE_MS;
  while (!holds()) {
    if (Date.now() > end)
      throw new Error(`not so after ${DEADLINE_MS} ms: ${holds.toString()}; ${runs().join(' |')}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function runs(): string[] {
  const log = join(sandbox, 'runs.log');
  return existsSync(log)
    ? readFileSync(log, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => line.trim())
    : [];
}

const put = (...names: readonly string[]): void => {
  for (const name of names) writeFileSync(join(data, name), `${name}\n`);
};
const markers = (): string[] =>
  readdirSync(data)
    .filter((name) => name.startsWith('._'))
    .toSorted();

/** What the head comment shows: an example of paths.cfg and the command that uses it. */
function headOf(file: string): { paths: string; command: string[]; text: string } {
  const lines = readFileSync(join(templates, file), 'utf8').split('\n');
  const end = lines.findIndex((line) => !/^(\/\/|#)/.test(line));
  const comment = lines.slice(0, end).map((line) => line.replace(/^(\/\/|#) ?/, ''));
  const paths = comment.find((line) => line.startsWith('paths.cfg: '))?.slice('paths.cfg: '.length) ?? '';
  const command =
    comment
      .find((line) => line.startsWith('  meeseeks-watch '))
      ?.trim()
      .split(' ') ?? [];
  return { paths, command: command.slice(1), text: comment.join('\n') };
}

describe.each(files)('%s', (file) => {
  const { paths, command, text } = headOf(file);
  const name = file.replace(/\.\w+$/, '');

  it('is explained by its head comment: what it is for, what to set, a command that works as it stands', async () => {
    expect(text).toMatch(/^For: /m);
    expect(text).toMatch(/^Set: /m);
    writeFileSync(join(sandbox, 'paths.cfg'), paths);
    const args = command.map((arg) => (arg.startsWith('templates/') ? join(root, arg) : arg));
    expect(args).toContain(join(templates, file));
    const { code, stdout, stderr } = await meeseeks('validate', '--json', ...args);
    expect(stderr, 'neither error nor warning').toBe('');
    expect(code).toBe(0);
    const { watches } = JSON.parse(stdout) as { watches: { name: string }[] };
    const [watch] = Object.keys((JSON.parse(paths) as { watch: object }).watch);
    expect(watches.map((w) => w.name)).toEqual([`${name}-${watch}`]);
  });

  it('does not start when a key that must be set is missing', async () => {
    const required = /^Set: ([^.]*)\./m
      .exec(text)![1]!
      .replaceAll(/\([^)]*\)/g, '')
      .split(',');
    const { watch } = JSON.parse(paths) as { watch: Record<string, Keys> };
    const [[watchName, keys]] = Object.entries(watch) as [[string, Keys]];
    for (const key of required.map((k) => k.trim())) {
      const { [key]: dropped, ...rest } = keys;
      expect(dropped, key).toBeDefined();
      writeFileSync(join(sandbox, 'paths.cfg'), JSON.stringify({ watch: { [watchName]: rest } }));
      const { code, stderr } = await meeseeks('--once', `apply=${name}`, join(templates, file), 'paths.cfg');
      expect(code, `without ${key}`).toBe(2);
      expect(stderr).toMatch(new RegExp(`\\b${key}\\b`));
    }
  });

  it('is in README.md and has a test here', () => {
    expect(readFileSync(join(templates, 'README.md'), 'utf8')).toContain(
      `| [${file}](${file}) | \`${name}\` |`,
    );
    expect(Object.keys(behaviour)).toContain(name);
  });
});

it('all templates can be given at once', async () => {
  writeFileSync(join(sandbox, 'paths.cfg'), '{ "watch": { "in": { "path": "data", "command": ["true"] } } }');
  const all = files.map((file) => join(templates, file));
  const { code, stderr } = await meeseeks('validate', 'apply=each,update', ...all, 'paths.cfg');
  expect(stderr).toBe('');
  expect(code).toBe(0);
});

const channels = Array.from({ length: 16 }, (_, index) => `C${String(index + 1).padStart(2, '0')}`);
const abi = (channel: string, start: string, created: string, scene = 'C', satellite = 'G17'): string =>
  `OR_ABI-L1b-Rad${scene}-M3${channel}_${satellite}_s${start}_e20182400029527_c${created}.nc`;
const scan = (start: string, scene = 'C', satellite = 'G17'): string[] =>
  channels.map((channel, index) => abi(channel, start, String(20182400029559 + index), scene, satellite));

type Test = () => Promise<void>;
const behaviour: Readonly<Record<string, Readonly<Record<string, Test>>>> = {
  each: {
    async 'runs the command once for every file, with its name last'() {
      put('a.tif', 'b c.tif', '-n.tif', "it's %(file)s.tif");
      put('a.tmp', 'a.part', 'a.tif.filepart', '.hidden');
      const expected = ["it's %(file)s.tif", '-n.tif', 'a.tif', 'b c.tif']
        .map((name) => `stats ${name}`)
        .toSorted();
      const command = ['sh', 'record.sh', 'stats'];
      expect(await runOnce('each', { command })).toEqual(expected);
      expect(await runOnce('each', { command })).toEqual(expected);
      put('late.tif');
      expect(await runOnce('each', { command })).toEqual([...expected, 'stats late.tif'].toSorted());
    },
    async 'takes another glob and another pool'() {
      put('a.tif', 'a.txt');
      expect(await runOnce('each', { glob: '*.tif', pool: 'gdal' })).toEqual(['a.tif']);
      const job = JSON.parse(readFileSync(join(data, '._each-in_0_a.tif.done'), 'utf8')) as { pool: string };
      expect(job.pool).toBe('gdal');
    },
  },

  handshake: {
    async 'waits for the sign of every file'() {
      put('ADT_0001.hl7', 'ADT_0001.hl7.done', 'ADT_0002.hl7', 'ADT_0001.hl7.done.done');
      start('handshake');
      await until(() => runs().length === 1);
      put('ADT_0003.hl7', 'ADT_0002.hl7.done');
      await until(() => runs().length === 2);
      await until(() => markers().length === 2);
      await stop();
      expect(runs()).toEqual(['ADT_0001.hl7', 'ADT_0002.hl7']);
    },
    async 'takes another sign, which may go away afterwards'() {
      const keys = { glob: '*.hl7', ready: { sentinel: '%(stem)s.done' } };
      put('ADT_0001.hl7', 'ADT_0001.done', 'ADT_0002.hl7');
      expect(await runOnce('handshake', keys)).toEqual(['ADT_0001.hl7']);
      rmSync(join(data, 'ADT_0001.done'));
      expect(await runOnce('handshake', keys)).toEqual(['ADT_0001.hl7']);
    },
  },

  fileset: {
    async 'runs once for a complete set, names in the order of the globs'() {
      const keys = { glob: ['*.grib2', '*.index'] };
      put('20260101000000-6h-oper-fc.grib2', '20260101000000-6h-oper-fc.index');
      put('20260101000000-60h-oper-fc.grib2', '20260101000000-6h-wave-fc.index');
      const first = '20260101000000-6h-oper-fc.grib2 20260101000000-6h-oper-fc.index';
      expect(await runOnce('fileset', keys)).toEqual([first]);
      expect(markers()).toEqual(['._fileset-in_0_20260101000000-6h-oper-fc.grib2.done']);
      put('20260101000000-60h-oper-fc.index');
      const second = '20260101000000-60h-oper-fc.grib2 20260101000000-60h-oper-fc.index';
      expect(await runOnce('fileset', keys)).toEqual([second, first]);
    },
    async 'joins on more parts'() {
      put('2020.1.a', '2020.10.b', '2020.10.a');
      expect(await runOnce('fileset', { glob: ['*.a', '*.b'], fileset: 2 })).toEqual(['2020.10.a 2020.10.b']);
    },
  },

  ladder: {
    async 'gives each file the rungs down to its place, each once'() {
      put(hrrr(0), hrrr(1), hrrr(2), hrrr(3));
      const all = [rungs(0, 3), rungs(1, 3), rungs(2, 2), rungs(3, 1)].flat().toSorted();
      expect(await runOnce('ladder', ladderKeys)).toEqual(all);
      put(hrrr(4));
      const more = [`rest ${hrrr(2)}`, `next ${hrrr(3)}`, `newest ${hrrr(4)}`];
      expect(await runOnce('ladder', ladderKeys)).toEqual([...all, ...more].toSorted());
    },
    async 'stops at max_index, skips missed rungs without run_all, starts at the oldest with reverse'() {
      put(hrrr(0), hrrr(1), hrrr(2));
      const places = [`newest ${hrrr(2)}`, `next ${hrrr(1)}`, `rest ${hrrr(0)}`];
      expect(await runOnce('ladder', { ...ladderKeys, run_all: false })).toEqual(places.toSorted());
      forgetAll();
      expect(await runOnce('ladder', { ...ladderKeys, run_all: false, max_index: 1 })).toEqual(
        places.slice(0, 2),
      );
      forgetAll();
      const keys = { ...ladderKeys, run_all: false, reverse: true, max_index: 0 };
      expect(await runOnce('ladder', keys)).toEqual([`newest ${hrrr(0)}`]);
    },
  },

  service: {
    async 'keeps as many copies running as asked for, also after one ended'() {
      const command = ['sh', '-c', 'echo $$ >> runs.log; exec sleep 1000'];
      start('service', { command, count: 2 });
      await until(() => runs().length === 2);
      const pid = Number(runs()[0]);
      expect(processesInSandbox()).toContain(pid);
      process.kill(pid);
      await until(() => runs().length === 3);
      await stop();
      await until(() => processesInSandbox().length === 0);
      expect(runs()).toHaveLength(3);
    },
    async 'is left out with --once'() {
      expect(await runOnce('service')).toEqual([]);
    },
  },

  update: {
    async 'runs again for each change, not for the other files'() {
      put('stations.csv', 'alarms.csv', 'alarms.csv~');
      expect(await runOnce('update')).toEqual(['alarms.csv', 'stations.csv']);
      appendFileSync(join(data, 'stations.csv'), '10147\n');
      const again = ['alarms.csv', 'stations.csv', 'stations.csv'];
      expect(await runOnce('update')).toEqual(again);
      expect(await runOnce('update')).toEqual(again);
      put('.new');
      renameSync(join(data, '.new'), join(data, 'alarms.csv'));
      expect(await runOnce('update')).toEqual(['alarms.csv', ...again]);
    },
    async 'runs once more for changes while the job runs'() {
      const command = ['sh', '-c', 'echo start >> runs.log; until [ -e gate ]; do sleep 0.05; done', 'sh'];
      put('stations.csv');
      start('update', { command });
      await until(() => runs().length === 1);
      for (const line of ['1', '2', '3']) appendFileSync(join(data, 'stations.csv'), `${line}\n`);
      writeFileSync(join(sandbox, 'gate'), '');
      await until(() => runs().length === 2);
      await stop();
      expect(await runOnce('update', { command })).toEqual(['start', 'start']);
    },
    async 'waits for quiet with min_age'() {
      put('stations.csv');
      start('update', { min_age: 1 });
      await until(() => runs().length === 1);
      await until(() => markers().length === 2);
      const changed = Date.now();
      appendFileSync(join(data, 'stations.csv'), '10147\n');
      await until(() => runs().length === 2);
      expect(Date.now() - changed).toBeGreaterThanOrEqual(990);
    },
  },

  'gfs-cycle': {
    async 'joins each forecast hour with its index as they trickle in'() {
      const [early, late, other] = [
        'gfs.t00z.pgrb2.0p25.f000',
        'gfs.t00z.pgrb2.0p25.f384',
        'gfs.t18z.pgrb2.0p25.f003',
      ];
      put(early, 'gfs.t03z.pgrb2.0p25.f000', 'gfs.t03z.pgrb2.0p25.f000.idx', 'gfs.t00z.pgrb2.0p50.f000');
      start('gfs-cycle');
      put(`${late}.idx`, `${early}.idx`);
      await until(() => runs().length === 1);
      put(late, other);
      await until(() => runs().length === 2);
      put(`${other}.idx`);
      await until(() => markers().length === 3);
      await stop();
      expect(runs()).toEqual([early, late, other].map((name) => `${name} ${name}.idx`));
      expect(await runOnce('gfs-cycle')).toHaveLength(3);
    },
    async 'passes cycle and hour, early hours first'() {
      for (const hour of ['f012', 'f003', 'f384'])
        put(`gfs.t06z.pgrb2.0p25.${hour}`, `gfs.t06z.pgrb2.0p25.${hour}.idx`);
      const command = ['sh', '-c', 'echo $GFS_CYCLE $GFS_HOUR >> runs.log', 'sh'];
      await runOnce('gfs-cycle', { command, max_jobs: 1 });
      expect(runs()).toEqual(['06 003', '06 012', '06 384']);
    },
  },

  'goes-channels': {
    async 'runs when all 16 channels of a start time are there'() {
      const start = '20182400027156';
      const complete = scan(start);
      put(...complete.slice(1), ...scan('20182400032156').slice(0, 15));
      put(...scan(start, 'M1').slice(0, 1), ...scan(start, 'C', 'G16').slice(0, 1));
      expect(await runOnce('goes-channels')).toEqual([]);
      put(complete[0]!);
      expect(await runOnce('goes-channels')).toEqual([complete.join(' ')]);
      expect(markers()).toEqual([`._goes-channels-in_0_${complete[0]}.done`]);
    },
    async 'counts a reissued first channel as a set of its own, another channel not'() {
      const start = '20182400027156';
      const complete = scan(start);
      put(...complete);
      await runOnce('goes-channels');
      const newer = abi('C05', start, '20182400059999');
      put(newer);
      expect(await runOnce('goes-channels')).toHaveLength(1);
      const reissued = abi('C01', start, '20182400059999');
      put(reissued);
      await runOnce('goes-channels');
      expect(runs()).toHaveLength(2);
      const words = runs()[1]!.split(' ');
      expect(words[0]).toBe(reissued);
      expect(words.slice(1).toSorted()).toEqual([...complete.slice(1), newer].toSorted());
    },
    async 'passes satellite, scene and start, and accepts fewer channels with partial'() {
      put(...scan('20182400027156', 'M2', 'G16').slice(0, 3));
      const command = ['sh', '-c', 'echo $ABI_SATELLITE $ABI_SCENE $ABI_START $# >> runs.log', 'sh'];
      expect(await runOnce('goes-channels', { command, partial: 4 })).toEqual([]);
      expect(await runOnce('goes-channels', { command, partial: 3 })).toEqual(['G16 M2 20182400027156 3']);
    },
  },

  'illumina-run': {
    async 'runs when CopyComplete.txt appears in the run directory'() {
      const [first, second] = ['230224_M02439_0043_000000000-KT42M', '20230301_A00123_0007_AHGV7DRXX'];
      const complete = (run: string): void => put(`${run}/CopyComplete.txt`);
      for (const name of [first, second, 'scratch']) mkdirSync(join(data, name));
      complete('scratch');
      put(`${first}/RunInfo.xml`, '230225_M02439_0044_000000000-KT43M');
      start('illumina-run');
      complete(second);
      await until(() => runs().length === 1);
      complete(first);
      await until(() => markers().length === 2);
      await stop();
      expect(runs()).toEqual([second, first]);
      expect(readdirSync(join(data, first)).toSorted()).toEqual(['CopyComplete.txt', 'RunInfo.xml']);
    },
    async 'passes date, instrument and flow cell, and takes another sentinel'() {
      const run = '230224_M02439_0043_000000000-KT42M';
      mkdirSync(join(data, run));
      put(`${run}/CopyComplete.txt`);
      const command = ['sh', '-c', 'echo $RUN_DATE $RUN_INSTRUMENT $RUN_FLOWCELL >> runs.log', 'sh'];
      const keys = { command, ready: { sentinel: 'RTAComplete.txt' } };
      expect(await runOnce('illumina-run', keys)).toEqual([]);
      put(`${run}/RTAComplete.txt`);
      expect(await runOnce('illumina-run', keys)).toEqual(['230224 M02439 000000000-KT42M']);
    },
  },
};

const hrrr = (hour: number): string => `hrrr.t0${hour}z.sfcf12.grib2`;
const ladderKeys = {
  newest: ['sh', 'record.sh', 'newest'],
  next: ['sh', 'record.sh', 'next'],
  rest: ['sh', 'record.sh', 'rest'],
};
const rungs = (hour: number, count: number): string[] =>
  ['newest', 'next', 'rest'].slice(0, count).map((rung) => `${rung} ${hrrr(hour)}`);

/** The data as if it had just arrived. */
function forgetAll(): void {
  for (const name of markers()) rmSync(join(data, name));
  rmSync(join(sandbox, 'runs.log'));
}

for (const [name, cases] of Object.entries(behaviour)) {
  describe(`the template ${name}`, () => {
    for (const [title, test] of Object.entries(cases)) it(title, test);
  });
}
