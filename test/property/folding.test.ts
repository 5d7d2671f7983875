import { mkdtempSync, renameSync, rmSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { WatchDefinition } from '../../src/config/schema.js';
import { MarkerStore } from '../../src/watch/marker-store.js';
import { Observer } from '../../src/watch/observer.js';
import { plan, type Plan } from '../../src/watch/plan.js';
import { compileSelector } from '../../src/watch/select.js';
import { actionsOf, globs, resultWith, single, submitsOf, watchWith } from '../support/watch-fixtures.js';

const directories: string[] = [];
afterAll(() => directories.forEach((directory) => rmSync(directory, { recursive: true, force: true })));

/** An observer with its own store; several look at one directory. */
class Eye {
  readonly store: MarkerStore;
  readonly observer: Observer;

  constructor(
    readonly watch: WatchDefinition,
    options: ConstructorParameters<typeof Observer>[5],
  ) {
    this.store = new MarkerStore('w', watch.path!, true, watch.updated);
    const nothing = (): void => undefined;
    const events = { trouble: nothing, recovered: nothing, folderFound: nothing, folderGone: nothing };
    this.observer = new Observer(watch, compileSelector(watch), this.store, events, undefined, options);
  }

  plan(): Plan {
    const { observer, store } = this;
    observer.hurry(Date.now());
    while (observer.isPatrolling) observer.patrol(Date.now());
    const files = observer.files();
    const made = plan(this.watch, {
      files,
      folded: observer.folded,
      now: Date.now() + 10_000,
      record: (path, step) => store.read({ path, step }, observer.get(path)?.stat),
      inFlight: () => undefined,
      inFlightCount: 0,
      evidence: () => undefined,
      backlogInFlight: 0,
    });
    for (const { file, memo } of made.finished) observer.finish(file.path, memo);
    return made;
  }

  get objects(): number {
    return this.observer.files().length;
  }
}

type Happening =
  | {
      readonly what: 'drop' | 'delete' | 'touch' | 'replace' | 'unmark' | 'mark';
      readonly name: string;
      readonly isHeard: boolean;
    }
  | { readonly what: 'scan'; readonly thorough: boolean }
  | { readonly what: 'restart' };

const COUNT = 75;
const nameOf = (i: number): string => `f${String(i).padStart(3, '0')}`;
const name = fc.nat({ max: COUNT + 10 }).map(nameOf);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      what: fc.constantFrom('drop', 'delete', 'delete', 'touch', 'replace', 'unmark', 'mark'),
      name,
      isHeard: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('scan' as const), thorough: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ what: 'restart' as const }) },
);
const anyWatch = fc
  .record({
    count: fc.constantFrom(1, 1, 2, 3),
    skip: fc.constantFrom(0, 0, 1),
    maxIndex: fc.constantFrom(undefined, undefined, 5),
    reverse: fc.boolean(),
    runAll: fc.boolean(),
    cleanup: fc.boolean(),
    glob: fc.constantFrom('*', 'f0*', 'f[0-6]*'),
  })
  .map(({ count, glob, ...rest }) =>
    watchWith({ ...rest, lists: globs(glob), steps: Array.from({ length: count }, () => single()) }),
  );

/** One directory, looked at by eyes that should see the same: with an object for each file, and without. */
class Directory {
  readonly path = mkdtempSync('/dev/shm/meeseeks-folding-');
  readonly watch: WatchDefinition;
  eyes: Eye[] = [];
  #made = 0;

  constructor(watch: WatchDefinition) {
    directories.push(this.path);
    this.watch = { ...watch, path: this.path };
    for (let i = 0; i < COUNT; i++) this.#write(nameOf(i));
    this.restart();
  }

  restart(): void {
    this.eyes = [{ whole: true }, { lookAtOnce: 0 }, { lookAtOnce: 20 }].map(
      (options) => new Eye(this.watch, options),
    );
  }

  async scan(thorough: boolean): Promise<void> {
    for (const { observer } of this.eyes) await observer.scan(Date.now(), thorough);
  }

  async happen(one: Happening): Promise<void> {
    if (one.what === 'restart') this.restart();
    // without hints only a look at everything tells all that happened: as after lost events
    if (one.what === 'restart') await this.scan(true);
    else if (one.what === 'scan') await this.scan(one.thorough);
    else {
      const changed = this.#change(one.what, one.name);
      if (one.isHeard) for (const path of changed) this.#hint(path, one.what === 'touch' ? 0 : 1);
      else await this.scan(true);
    }
  }

  #hint(path: string, renames: number): void {
    for (const { observer } of this.eyes) observer.lookAt('', path, renames, Date.now());
  }

  #write(path: string): void {
    writeFileSync(join(this.path, path), 'x'.repeat(++this.#made));
    utimesSync(join(this.path, path), 1000 + this.#made, 1000 + this.#made);
  }

  /** @returns the names that it concerned */
  #change(what: Exclude<Happening['what'], 'scan' | 'restart'>, path: string): string[] {
    const full = join(this.path, path);
    const marker = `._w_0_${path}.done`;
    try {
      if (what === 'drop') this.#write(path);
      if (what === 'delete') unlinkSync(full);
      if (what === 'touch') utimesSync(full, 5000 + this.#made, 5000 + this.#made++);
      if (what === 'unmark') unlinkSync(join(this.path, marker));
      if (what === 'mark') writeFileSync(join(this.path, marker), '{"state":"done"}');
      if (what === 'replace') {
        this.#write('.new');
        renameSync(join(this.path, '.new'), full);
      }
    } catch {
      return []; // it is not there
    }
    return what === 'mark' || what === 'unmark' ? [marker] : [path];
  }

  /** What each eye would have done, until nothing is left to do; it is done. */
  settle(): { actions: string[]; counts: unknown }[][] {
    const rounds: { actions: string[]; counts: unknown }[][] = [];
    for (let round = 0; round < 20; round++) {
      const plans = this.eyes.map((eye) => eye.plan());
      for (const { observer } of this.eyes) observer.takeGone();
      rounds.push(plans.map((made) => ({ actions: actionsOf(made), counts: made.counts })));
      if (plans.every((made) => made.actions.length === 0)) return rounds;
      plans.forEach((made, i) => {
        const { observer, store } = this.eyes[i]!;
        for (const { unit, step, reason, identity } of submitsOf(made)) {
          const { path, stat } = unit.file;
          if (reason === 'replaced')
            for (let n = 0; n < 4; n++)
              store.remove({ path, step: n }, ['done', 'failed', 'killed', 'mtime']);
          observer.forgetReplacement(path);
          store.write({ ...resultWith(path, { ref: { path, step }, identity }), seen: stat }, undefined);
        }
      });
    }
    throw new Error('no end');
  }
}

describe('files that need nothing more, without objects', () => {
  it('change nothing of what is done, nor of the counts', async () => {
    let folded = 0;
    await fc.assert(
      fc.asyncProperty(anyWatch, fc.array(happening, { maxLength: 12 }), async (watch, happenings) => {
        const directory = new Directory(watch);
        await directory.scan(true);
        for (const one of [undefined, ...happenings]) {
          if (one !== undefined) await directory.happen(one);
          for (const [whole, ...others] of directory.settle())
            for (const other of others) expect(other).toEqual(whole);
        }
        folded += directory.eyes[0]!.objects - directory.eyes[1]!.objects;
        rmSync(directory.path, { recursive: true });
      }),
      { numRuns: Number(process.env['SIMULATIONS'] ?? 40) },
    );
    expect(folded).toBeGreaterThan(100);
  }, 600_000);
});
