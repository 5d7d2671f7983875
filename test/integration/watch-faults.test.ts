import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAgent } from '../../src/agent/agent.js';
import type { Agent } from '../../src/agent/types.js';
import { load } from '../../src/config/load.js';
import { systemClock } from '../../src/lib/clock.js';
import { Ledger } from '../../src/watch/ledger.js';
import { Watcher } from '../../src/watch/watcher.js';
import {
  faultyFileSystem,
  type Fault,
  type FaultKind,
  type FaultyFileSystem,
} from '../support/faulty-file-system.js';
import { until } from '../support/service.js';

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const root = mkdtempSync(join(tmpdir(), 'meeseeks-faults-'));
let agent: Agent;
beforeAll(async () => {
  agent = await createAgent({
    directory: join(root, 'agent'),
    node: 'here',
    pools: { p: { slots: 8 } },
    defaultSlots: 8,
    expire: 1000,
    clock: systemClock,
    log: quiet,
    env: process.env,
  });
});
afterAll(async () => {
  await agent.stop('kill');
  rmSync(root, { recursive: true, force: true });
});

let count = 0;

/** One watcher in this process with a file system of its own, real jobs, and a log of what ran. */
class World {
  readonly directory = join(root, `w${++count}`);
  readonly data = join(this.directory, 'in');
  readonly log = join(this.directory, 'runs.log');
  readonly said: string[] = [];
  readonly faulty: FaultyFileSystem;
  readonly ledger: Ledger;
  readonly watcher: Watcher;

  constructor(
    private readonly fault: Fault,
    private readonly keys: Record<string, unknown> = {},
  ) {
    mkdirSync(this.data, { recursive: true });
    mkdirSync(join(this.directory, 'state'));
    this.faulty = faultyFileSystem(fault);
    this.ledger = new Ledger(join(this.directory, 'state/watch.db'));
    const hear = (_: unknown, message: string): void => void this.said.push(message);
    this.watcher = new Watcher({
      agent,
      ledger: this.ledger,
      clock: systemClock,
      log: { ...quiet, warn: hear, error: hear },
      fs: this.faulty.fs,
      onTurn: () => undefined,
    });
  }

  async start(): Promise<this> {
    const config = join(this.directory, 'watch.json');
    const script = 'printf "%s\\n" "$2" >>"$1"';
    const job = { pool: 'p', args: ['sh', '-c', script, 'job', this.log, '%(filename)s %(size)s'] };
    const watch = { path: this.data, glob: '*', rescan: 0.3, retry_delay: 0.1, jobs: [job], ...this.keys };
    writeFileSync(config, JSON.stringify({ watch: { [`w${count}`]: watch } }));
    const { config: resolved, problems } = load([config], [], { cwd: this.directory });
    if (resolved === undefined) throw new Error(JSON.stringify(problems));
    await this.watcher.configure(resolved.watches);
    return this;
  }

  drop(name: string, content = 'x'): void {
    writeFileSync(join(this.directory, name), content);
    renameSync(join(this.directory, name), join(this.data, name));
  }

  get hasFailed(): boolean {
    return this.faulty.failed.length === 1;
  }

  /** It had fewer operations than it takes to come to the fault. */
  get wasOverBefore(): boolean {
    return this.faulty.operations.length < this.fault.at;
  }

  get runs(): string[] {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8').split('\n').slice(0, -1).sort() : [];
  }

  /** Every marker there is, whole. @throws when one is not */
  get markers(): string[] {
    return readdirSync(this.data)
      .filter((name) => /^\._.*\.(done|failed|killed)$/.test(name))
      .map((name) => {
        const job = JSON.parse(readFileSync(join(this.data, name), 'utf8')) as {
          state: string;
          file: string;
        };
        return `${job.file}.${job.state}`;
      })
      .sort();
  }

  async stop(): Promise<void> {
    await this.watcher.stop();
    this.ledger.close();
  }
}

/** Three files, one of which is there before the start; one is removed in the end, and its marker goes. */
async function scenario(fault: Fault): Promise<World> {
  const world = new World(fault);
  world.drop('before');
  await world.start();
  world.drop('a', 'aa');
  world.drop('b', 'bbb');
  const tell = (): string =>
    `${fault.kind} at ${fault.at} (${world.faulty.failed.join()}): ran ${world.runs.join()}; markers ${world.markers.join()}; said ${world.said.join(' | ')}`;
  await until(() => world.markers.length === 3 && world.watcher.inFlight === 0, tell);
  expect(world.runs, tell()).toEqual(['a 2', 'b 3', 'before 1']);
  expect(world.markers, tell()).toEqual(['a.done', 'b.done', 'before.done']);
  rmSync(join(world.data, 'b'));
  await until(() => !world.markers.includes('b.done'), tell);
  await world.stop();
  expect(world.runs, tell()).toHaveLength(3);
  expect(
    readdirSync(world.data).filter((name) => name.endsWith('.tmp')),
    tell(),
  ).toEqual([]);
  return world;
}

const kinds: readonly FaultKind[] = ['EIO', 'ENOSPC', 'EMFILE', 'EROFS', 'ESTALE', 'short write'];
const AT_A_TIME = 12;

async function all(faults: readonly Fault[]): Promise<World[]> {
  const worlds: World[] = [];
  const queue = [...faults];
  const worker = async (): Promise<void> => {
    for (let fault = queue.shift(); fault !== undefined; fault = queue.shift())
      worlds.push(await scenario(fault));
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  return worlds;
}

describe('a file system with faults', () => {
  it('whichever operation fails: every file runs once, and every marker is whole', async () => {
    // a dozen at a time, as below: a busy machine means more rescans
    const calm = await all(Array.from({ length: AT_A_TIME }, () => ({ at: Infinity, kind: 'EIO' as const })));
    const operations = Math.min(...calm.map(({ faulty }) => faulty.operations.length));
    expect(operations).toBeGreaterThan(30);
    const faults = Array.from({ length: operations }, (_, i) => ({
      at: i + 1,
      kind: kinds[i % kinds.length]!,
    }));
    const worlds = await all(faults);
    // a world may have fewer operations than the calm ones, which were slower: then its fault finds none
    expect(worlds.every((world) => world.hasFailed || world.wasOverBefore)).toBe(true);
    expect(worlds.filter((world) => world.hasFailed).length).toBeGreaterThan(30);
  }, 600_000);

  it('every write, rename, flush and removal that fails in each way, also three times in a row', async () => {
    const names = ['writeFileSync', 'renameSync', 'flush', 'unlinkSync', 'openSync', 'accessSync'];
    const faults = names.flatMap((name) =>
      kinds.flatMap((kind, i) =>
        (name === 'unlinkSync' ? [1] : [1, 2]).map((at) => ({
          at,
          kind,
          times: i % 2 === 0 ? 1 : 3,
          only: [name],
        })),
      ),
    );
    const worlds = await all(faults);
    expect(worlds.every(({ faulty }) => faulty.failed.length > 0)).toBe(true);
  }, 600_000);

  it('a directory that cannot be read for a while: nothing runs, nothing is cleaned up, then all goes on', async () => {
    const world = await new World({ at: 1, times: 6, kind: 'ESTALE', only: ['openDirectory'] }).start();
    world.drop('a');
    await until(() => world.faulty.failed.length === 6, 'it is tried again');
    await until(
      () => world.markers.includes('a.done'),
      () => world.said.join('\n'),
    );
    expect(world.said.filter((message) => /cannot look at/.test(message))).toHaveLength(1);
    await world.stop();
  });

  it('a full disk: nothing more is run than can be recorded, it is said, and it goes on when there is room', async () => {
    const world = new World({ at: 1, times: 4, kind: 'ENOSPC', only: ['writeFileSync'] }, { max_jobs: 2 });
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) world.drop(name);
    await world.start();
    await until(() => world.faulty.failed.length > 0, 'a marker cannot be written');
    expect(world.runs.length).toBeLessThanOrEqual(2);
    await until(
      () => world.markers.length === 6,
      () => world.said.join('\n'),
    );
    expect(world.runs).toHaveLength(6);
    expect(world.said.some((message) => /cannot record results in .*ENOSPC/.test(message))).toBe(true);
    await world.stop();
  });
});

describe('what a power cut leaves', () => {
  it.for(['', '{"file": "a", "sta', '\0\0\0\0'])(
    'a torn marker %j: the file counts as processed',
    async (content) => {
      const world = new World({ at: Infinity, kind: 'EIO' });
      world.drop('a');
      writeFileSync(join(world.data, `._w${count}_0_a.done`), content);
      await world.start();
      world.drop('b');
      await until(() => existsSync(join(world.data, `._w${count}_0_b.done`)), 'the other file runs');
      expect(world.runs).toEqual(['b 1']);
      await world.stop();
    },
  );

  it('a temporary file of a marker is removed, and its file runs', async () => {
    const world = new World({ at: Infinity, kind: 'EIO' });
    world.drop('a');
    writeFileSync(join(world.data, `._w${count}_0_a.done.tmp`), '{"file": "a", "sta');
    await world.start();
    await until(() => world.markers.includes('a.done'), 'the file runs');
    expect(readdirSync(world.data)).toEqual([`._w${count}_0_a.done`, 'a']);
    await world.stop();
  });

  it('a torn last record of the ledger: what was acknowledged before it is still known', async () => {
    const world = await new World({ at: Infinity, kind: 'EIO' }).start();
    world.drop('a');
    await until(() => world.markers.includes('a.done'), 'the file runs');
    // the ledger is closed after the marker is there
    await until(() => world.ledger.openScopes().length === 0, 'the ledger is closed');
    const wal = join(world.directory, 'state/watch.db-wal');
    const whole = readFileSync(wal);
    const copy = join(world.directory, 'copy');
    mkdirSync(copy);
    writeFileSync(join(copy, 'watch.db'), readFileSync(join(world.directory, 'state/watch.db')));
    writeFileSync(join(copy, 'watch.db-wal'), whole);
    appendFileSync(join(copy, 'watch.db-wal'), whole.subarray(-2000));
    await world.stop();
    const ledger = new Ledger(join(copy, 'watch.db'));
    expect(ledger.recordedKeys().size).toBe(1);
    expect(ledger.openScopes()).toEqual([]);
    ledger.close();
  });
});
