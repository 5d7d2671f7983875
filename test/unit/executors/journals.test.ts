import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Journals, parseJournal } from '../../../src/executors/process/journals.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meeseeks-journals-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const guardian = { pid: 10, birth: '500', boot: 'b' };
const HEAD = 'guardian 10 500 b\n';
/** The beginning of a line of /proc/PID/stat. */
const stat = (pid: number, birth: number): string =>
  `${pid} (bash) R 10 10 10 0 -1 4194560 29 0 0 0 0 0 0 0 20 0 1 0 ${birth} 3817472`;

describe('a journal', () => {
  it('tells of each run its process, how it ended, and what the shell said of that', () => {
    const text = `${HEAD}pid a.1 ${stat(11, 501)}\nexit a.1 0 12.5\npid b.1 ${stat(12, 502)}\n[1]+  12 Exit 137   ( launch )\nexit b.1 137 13\npid c.2 ${stat(13, 503)}\n`;
    const { runs, ...rest } = parseJournal(text);
    expect(rest).toEqual({ guardian });
    const leader = (pid: number, birth: string): object => ({ pid, birth, boot: 'b' });
    expect([...runs]).toEqual([
      [
        'a.1',
        {
          guardian,
          leader: leader(11, '501'),
          begun: undefined,
          exit: { status: 0, at: 12.5, told: '' },
          never: false,
        },
      ],
      [
        'b.1',
        {
          guardian,
          leader: leader(12, '502'),
          begun: undefined,
          exit: { status: 137, at: 13, told: '[1]+  12 Exit 137   ( launch )' },
          never: false,
        },
      ],
      ['c.2', { guardian, leader: leader(13, '503'), begun: undefined, exit: undefined, never: false }],
    ]);
  });

  it('tells when a program began, where its guardian noted that', () => {
    const { runs } = parseJournal(
      `${HEAD}pid a.1 ${stat(11, 501)} 1795220912.380771\npid b.1 ${stat(12, 502)}\n`,
    );
    expect(runs.get('a.1')).toMatchObject({ leader: { pid: 11, birth: '501' }, begun: 1795220912.380771 });
    expect(runs.get('b.1')).toMatchObject({ leader: { pid: 12, birth: '502' }, begun: undefined });
  });

  it('tells what a child found out too late to start', () => {
    const { runs } = parseJournal(`${HEAD}pid a.1 ${stat(11, 501)}\nnever a.1\nexit a.1 125 12.5\n`);
    expect(runs.get('a.1')).toMatchObject({ never: true, exit: { status: 125 } });
  });

  it('counts by whole lines', () => {
    const text = `${HEAD}pid a.1 ${stat(11, 501)}\nexit a.1 0 1795220912.380771\n`;
    for (let length = text.length - 1; length > HEAD.length; length--) {
      const { runs } = parseJournal(text.slice(0, length));
      expect(runs.get('a.1')?.exit).toBeUndefined();
      expect(runs.has('a.1')).toBe(length >= text.indexOf('exit'));
    }
  });
});

describe('the journals of an agent', () => {
  it('are read anew when something was added, and forget all but whose they are', () => {
    const journals = new Journals(directory);
    const path = journals.create();
    expect(journals.read(path).runs.size).toBe(0);
    writeFileSync(path, `${HEAD}pid a.1 ${stat(11, 501)}\n`);
    expect(journals.read(path).runs.get('a.1')?.exit).toBeUndefined();
    appendFileSync(path, 'exit a.1 3 12\n');
    expect(journals.read(path).runs.get('a.1')?.exit?.status).toBe(3);
    journals.trim(path);
    expect(readFileSync(path, 'utf8')).toBe(HEAD);
    expect(journals.read(path)).toEqual({ guardian, runs: new Map() });
    journals.remove(path);
    expect(existsSync(path)).toBe(false);
    journals.trim(path);
    journals.remove(path);
  });

  it('have a name that their guardians do not know, for the next agent; what nobody needs goes', () => {
    const first = new Journals(directory);
    const [needed, other] = [first.create(), first.create()];
    writeFileSync(needed, `${HEAD}pid a.1 ${stat(11, 501)}\n`);
    writeFileSync(other, `guardian 20 600 b\npid b.1 ${stat(21, 601)}\n`);
    const second = new Journals(directory);
    expect([existsSync(needed), existsSync(other)]).toEqual([false, false]);
    expect(second.read(second.holder('a.1')!).runs.has('a.1')).toBe(true);
    expect(second.holder('c.1')).toBeUndefined();
    second.sweep((journal) => journal.guardian?.pid === 10);
    const third = new Journals(directory);
    expect(third.holder('a.1')).toBeDefined();
    expect(third.holder('b.1')).toBeUndefined();
    third.sweep(() => false);
    expect(readdirSync(directory).length).toBe(1);
  });

  it('revoke one by itself', () => {
    const journals = new Journals(directory);
    const path = journals.create();
    writeFileSync(path, `${HEAD}pid a.1 ${stat(11, 501)}\n`);
    const renamed = journals.revoke(path);
    expect(existsSync(path)).toBe(false);
    expect(journals.read(renamed).runs.has('a.1')).toBe(true);
    expect(new Journals(directory).holder('a.1')).toBeDefined();
  });
});
