import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Box } from '../support/box.js';

/** undefined, or why no small file system can be had here */
function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root may mount one';
  const directory = mkdtempSync(join(tmpdir(), 'meeseeks-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory], { stdio: 'ignore' });
    execFileSync('umount', [directory]);
    return undefined;
  } catch {
    return 'mounting is not allowed here';
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
const why = obstacle();

describe.skipIf(why !== undefined)(`a full disk${why === undefined ? '' : ` (skipped: ${why})`}`, () => {
  let disk: string;
  let box: Box;
  beforeEach(() => {
    disk = mkdtempSync(join(tmpdir(), 'meeseeks-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', disk]);
  });
  afterEach(async () => {
    makeRoom();
    await box.remove();
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true });
  });

  const start = (pools: object): Promise<Box> =>
    Box.start({ config: { pools, state_dir: join(disk, 'state') } });
  const filler = (): string => join(disk, 'filler');
  /** Takes all the room but so many bytes. */
  const leave = (bytes: number): void => {
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(filler(), Buffer.alloc(Math.max(0, bavail * bsize - bytes)));
  };
  const makeRoom = (): void => rmSync(filler(), { force: true });

  type Answer = [{ submit?: Record<string, { state: string }>; error?: string }];
  const submits = (prefix: string, count: number): object[] =>
    Array.from({ length: count }, (_, i) => [
      { submit: { id: `${prefix}${i}`, key: 'k', pool: 'q', args: ['x'.repeat(2000)] } },
    ]);
  const told = (answers: readonly unknown[], ids: readonly object[]) => {
    const known = (answers as Answer[]).flatMap(([{ submit }]) => Object.keys(submit ?? {}));
    const errors = (answers as Answer[]).flatMap(([{ error }]) => (error === undefined ? [] : [error]));
    expect(answers.length).toBe(ids.length);
    expect(known.length + errors.length).toBe(ids.length);
    return { known, errors };
  };

  it('loses no submit it has acknowledged, tells the others what to do, and goes on when there is room', async () => {
    box = await start({ q: { hold: true } });
    leave(1_500_000);
    // four clients at a time share the commits that fail
    const batches = [0, 1, 2, 3].map((i) => submits(`a${i}-`, 500));
    const answers = await Promise.all(batches.map((batch) => box.ask(...batch)));
    const results = answers.map((one, i) => told(one, batches[i]!));
    const acknowledged = results.flatMap(({ known }) => known);
    const errors = results.flatMap((result) => result.errors);
    expect(acknowledged.length).toBeGreaterThan(0);
    expect(errors.length).toBeGreaterThan(0);
    for (const error of new Set(errors))
      expect(error).toMatch(
        /cannot record jobs in .*agent\.db: .*full; nothing was changed: make room there/,
      );
    expect(((await box.request('ls', {})) as string[]).toSorted()).toEqual(acknowledged.toSorted());

    makeRoom();
    const later = submits('b', 100);
    expect(told(await box.ask(...later), later).errors).toEqual([]);

    leave(0);
    const refused = submits('c', 500);
    expect(told(await box.ask(...refused), refused).errors.length).toBeGreaterThan(0);
    const before = (await box.request('ls', {})) as string[];
    await box.crash();
    makeRoom();
    await box.restart();
    expect(((await box.request('ls', {})) as string[]).toSorted()).toEqual(before.toSorted());
    expect(before).toEqual(expect.arrayContaining([...acknowledged, 'b0', 'b99']));
  });

  it('keeps the result of what runs until there is room for it, and starts what waits then', async () => {
    box = await start({ p: { slots: 1 } });
    const go = join(box.directory, 'go');
    const wait = {
      id: 'runs',
      pool: 'p',
      args: ['sh', '-c', `while [ ! -e ${go} ]; do sleep 0.02; done; exit 3`],
    };
    await box.ask([{ submit: wait }], [{ submit: { id: 'waits', pool: 'p', args: ['true'] } }]);
    await box.until('runs', (job) => typeof job['pid'] === 'number');
    leave(0);
    // fills the pages that the state itself has left
    const more = submits('c', 200);
    expect(told(await box.ask(...more), more).errors.length).toBeGreaterThan(0);
    writeFileSync(go, '');
    await box.says(/cannot write the state .*results are kept/);
    expect(await box.request('query', 'waits')).toMatchObject({ state: 'new' });
    makeRoom();
    expect(await box.finished('runs')).toMatchObject({ state: 'failed', rc: 3, start_count: 1 });
    expect(await box.finished('waits')).toMatchObject({ state: 'done', start_count: 1 });
    await box.says(/the state can be written again/);
    expect(readdirSync(join(disk, 'state', 'spool'))).toContain('runs.1.stdout');
  });
});
