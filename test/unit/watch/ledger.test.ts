import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { submissionKey } from '../../../src/watch/identity.js';
import { Ledger, type Submission } from '../../../src/watch/ledger.js';
import { identityWith, NOW, temporaryDirectory, textOf } from '../../support/watch-fixtures.js';

let path: string;
let ledger: Ledger;
beforeEach(() => {
  path = join(temporaryDirectory(), 'ledger.db');
  ledger = new Ledger(path);
});
afterEach(() => ledger.close());

const attempt = { scope: 'w', watch: 'w', step: 0, path: 'x', identity: identityWith(), attempt: 1 };
const prepare = (over: Partial<typeof attempt> = {}, id?: string): Submission =>
  ledger.prepare({ ...attempt, ...over }, id, false);
const reopen = (): void => {
  ledger.close();
  ledger = new Ledger(path);
};
/** An attempt from the intent to the recorded result. */
const complete = (over: Partial<typeof attempt> = {}): Submission => {
  const submission = prepare(over);
  ledger.intend([submission], NOW);
  ledger.record([submission], NOW);
  return submission;
};

describe('an intent', () => {
  it('is durable before anything else happens', () => {
    const submission = ledger.prepare({ ...attempt, path: textOf(0xff, 0x0a) }, undefined, true);
    ledger.intend([submission], NOW);
    // no close: as after kill -9
    const other = new Ledger(path);
    expect(other.open('w')).toEqual([submission]);
    other.close();
  });

  it('is of its watch only', () => {
    const [one, two] = [prepare(), prepare({ scope: 'v' })];
    ledger.intend([one, two], NOW);
    expect(ledger.open('w')).toEqual([one]);
    expect(ledger.openScopes().toSorted()).toEqual(['v', 'w']);
    ledger.record([two], NOW);
    expect(ledger.openScopes()).toEqual(['w']);
  });

  it('made again keeps its key, so that the agent knows it', () => {
    const first = prepare();
    ledger.intend([first], NOW);
    reopen();
    expect(prepare()).toEqual(first);
    expect(prepare({ attempt: 2 }).key).not.toBe(first.key);
  });

  it('takes the id of the spec, and derives one else', () => {
    expect(prepare({}, 'mine').jobId).toBe('mine');
    expect(prepare().jobId).toMatch(/^w_0_x\./);
  });
});

describe('a recorded result', () => {
  it('is no longer open', () => {
    complete();
    reopen();
    expect(ledger.open('w')).toEqual([]);
  });

  it('whose marker a person removed runs under a new key, every time', () => {
    const keys = new Set([complete().key]);
    for (let reset = 1; reset <= 3; reset++) {
      const again = complete();
      expect(again.generation).toBe(reset);
      keys.add(again.key);
    }
    expect(keys.size).toBe(4);
  });

  it('is followed by the next attempt in the same generation', () => {
    const first = complete();
    const second = complete({ attempt: 2 });
    expect(second.generation).toBe(first.generation);
    // the .failed was removed after the second attempt: attempts count from 1 again
    const reset = prepare();
    expect(reset.generation).toBe(1);
    expect([first.key, second.key]).not.toContain(reset.key);
  });

  it('of another identity counts on too: a file may come back to what it was, and must have a new key then', () => {
    const first = prepare();
    complete();
    const second = prepare({ identity: identityWith({ mtime: 1 }) });
    ledger.intend([second], NOW);
    ledger.record([second], NOW);
    expect(prepare().key).not.toBe(first.key);
  });

  it('concerns its own step, path and watch only', () => {
    complete();
    for (const over of [{ step: 1 }, { path: 'y' }, { scope: 'v' }]) expect(prepare(over).generation).toBe(0);
    expect(prepare().generation).toBe(1);
  });
});

describe('a withdrawn submission', () => {
  it('may be made again under the same key', () => {
    const first = prepare();
    ledger.intend([first], NOW);
    ledger.withdraw([first]);
    expect(ledger.open('w')).toEqual([]);
    expect(prepare().key).toBe(first.key);
  });

  it('of a second attempt does not bring back the first', () => {
    complete();
    const second = prepare({ attempt: 2 });
    ledger.intend([second], NOW);
    ledger.withdraw([second]);
    expect(prepare({ attempt: 2 }).key).toBe(second.key);
    expect(prepare({ attempt: 1 }).generation).toBe(1);
  });
});

describe('prune', () => {
  it('drops old recorded submissions, and never open ones', () => {
    complete({ path: 'old' });
    const open = prepare({ path: 'open' });
    ledger.intend([open], NOW);
    const young = prepare({ path: 'young' });
    ledger.intend([young], NOW);
    ledger.record([young], NOW + 10);
    ledger.prune(NOW + 5);
    expect(ledger.open('w')).toEqual([open]);
    expect(prepare({ path: 'old' }).generation).toBe(0);
    expect(prepare({ path: 'young' }).generation).toBe(1);
  });
});

describe('the file', () => {
  it('can be looked at without being touched', () => {
    const submission = prepare();
    ledger.intend([submission], NOW);
    const peeked = Ledger.peek(path);
    expect(peeked?.open('w')).toEqual([submission]);
    peeked?.close();
    expect(Ledger.peek(`${path}.none`)).toBeUndefined();
  });

  it('of a newer version is refused', () => {
    const newer = join(temporaryDirectory(), 'ledger.db');
    const db = new Database(newer);
    db.pragma('user_version = 99');
    db.close();
    expect(() => new Ledger(newer)).toThrow('newer meeseeks');
  });

  it('that is no ledger is refused', () => {
    const wrong = join(temporaryDirectory(), 'ledger.db');
    writeFileSync(wrong, 'this is no database, and long enough to be seen as none '.repeat(40));
    expect(() => new Ledger(wrong)).toThrow('not a database');
  });
});

describe('an attempt that another watcher may have submitted', () => {
  const keyOf = (generation: number): string => submissionKey({ ...attempt, generation });
  const prepareKnowing = (known: readonly [number, boolean][]): Submission =>
    ledger.prepare(attempt, undefined, false, new Map(known.map(([n, active]) => [keyOf(n), active])));

  it('is the one the agent has, in whatever generation', () => {
    expect(
      prepareKnowing([
        [0, false],
        [3, true],
      ]),
    ).toMatchObject({ generation: 3, key: keyOf(3) });
    expect(prepareKnowing([[2, false]]).generation).toBe(2);
    expect(prepareKnowing([]).generation).toBe(0);
  });

  it('of a file that we know is taken up only while it is to end', () => {
    complete({ identity: identityWith({ mtime: 77 }) });
    expect(prepareKnowing([[0, false]]).generation).toBe(1);
    expect(prepareKnowing([[0, true]]).generation).toBe(0);
  });

  it('is made anew when we have recorded its result: a person removed the marker', () => {
    complete();
    expect(prepareKnowing([[0, true]]).generation).toBe(1);
  });
});
