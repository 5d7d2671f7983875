import { mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createHints, type Hints } from '../../src/watch/hints.js';
import { temporaryDirectory } from '../support/watch-fixtures.js';

/** How many descriptors of kernel watches this process has. */
const inotifies = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:inotify';
    } catch {
      return false;
    }
  }).length;

interface Heard {
  readonly hints: Hints;
  readonly failures: unknown[];
  readonly next: (name: string) => Promise<void>;
}

function listen(): Heard {
  const waiting = new Map<string, () => void>();
  const failures: unknown[] = [];
  const hints = createHints({
    changed: (folder, name) => waiting.get(`${folder}/${name}`)?.(),
    overflowed: () => undefined,
    failed: (_, error) => failures.push(error),
  });
  return { hints, failures, next: (name) => new Promise((done) => waiting.set(name, done)) };
}

describe.each([false, true])('a watched folder, large: %s', (isLarge) => {
  it('tells what happens in it as soon as it is added, and has no descriptor of its own', async () => {
    const directory = temporaryDirectory();
    const { hints, failures, next } = listen();
    await hints.add('', Buffer.from(directory), isLarge);
    const withOne = inotifies();
    for (let i = 0; i < 20; i++) mkdirSync(join(directory, `folder${i}`));
    for (let i = 0; i < 20; i++)
      await hints.add(`folder${i}`, Buffer.from(join(directory, `folder${i}`)), isLarge);
    expect(inotifies()).toBe(withOne);
    const renamed = next('folder7/b');
    writeFileSync(join(directory, 'folder7', 'a'), '');
    renameSync(join(directory, 'folder7', 'a'), join(directory, 'folder7', 'b'));
    await renamed;
    expect(failures).toEqual([]);
    hints.close();
  });

  it('that is gone again is no failure, and one that cannot be watched is one, once', async () => {
    const directory = temporaryDirectory();
    const { hints, failures } = listen();
    await hints.add('gone', Buffer.from(join(directory, 'gone')), isLarge);
    expect(failures).toEqual([]);
    const long = Buffer.from(join(directory, 'x'.repeat(300)));
    for (let i = 0; i < 2; i++) await hints.add('long', long, isLarge);
    expect(failures).toMatchObject([{ code: 'ENAMETOOLONG' }]);
    hints.close();
  });

  it('is not watched after all has been closed', async () => {
    const directory = temporaryDirectory();
    const { hints, failures } = listen();
    const adding = hints.add('', Buffer.from(directory), isLarge);
    hints.close();
    await adding;
    rmSync(directory, { recursive: true });
    expect(failures).toEqual([]);
  });
});
