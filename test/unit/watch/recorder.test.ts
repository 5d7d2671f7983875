import { mkdirSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { AgentPort } from '../../../src/protocol/agent.js';
import { createParts, type Parts } from '../../../src/watch/journey-parts.js';
import { identityOf } from '../../../src/watch/identity.js';
import { Ledger, scopeOf } from '../../../src/watch/ledger.js';
import { timeMark, touchMark } from '../../../src/watch/marker-time.js';
import { jobWith, ManualClock, single, temporaryDirectory, watchWith } from '../../support/watch-fixtures.js';

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** An agent that takes everything and says nothing. */
const agent: AgentPort = {
  description: 'an agent',
  submit: (requests) =>
    Promise.resolve(
      requests.map(({ key, spec }) => ({ ok: true, job: jobWith({ id: spec.id, key, state: 'new' }) })),
    ),
  query: () => Promise.resolve(new Map()),
  list: () => Promise.resolve([]),
  kill: () => Promise.resolve(),
  release: () => Promise.resolve(),
  onJob: () => () => undefined,
  stop: () => Promise.resolve(),
};

/** A watched directory with the file `a`, whose job has just ended. */
async function jobOfA(): Promise<{ root: string; parts: Parts; clock: ManualClock }> {
  const root = join(temporaryDirectory(), 'data');
  mkdirSync(root);
  writeFileSync(join(root, 'a'), 'one');
  const watch = watchWith({ path: root, steps: [single('x')] });
  const clock = new ManualClock();
  const ledger = new Ledger(join(root, '../watch.db'));
  const ports = { agent, ledger, clock, log: silent, onTurn: () => undefined };
  const events = { wake: () => undefined, folderFound: () => undefined, folderGone: () => undefined };
  const parts = createParts(watch, ports, events, () => true);
  await parts.observer.scan(clock.now(), true);
  const identity = identityOf(parts.observer.get('a')!.stat);
  const attempt = { scope: scopeOf(watch), watch: watch.name, step: 0, path: 'a', identity, attempt: 1 };
  const submission = ledger.prepare(attempt, 'job', false);
  parts.tracker.submit([{ submission, spec: { pool: 'p', args: ['x'] } }]);
  const { key } = submission;
  parts.tracker.noticed(jobWith({ id: 'job', key, state: 'done', active: false }));
  return { root, parts, clock };
}

function dropAnew(root: string): void {
  writeFileSync(join(root, '.a.tmp'), 'another');
  unlinkSync(join(root, 'a'));
  renameSync(join(root, '.a.tmp'), join(root, 'a'));
}

/** Whether the next start takes the marker for one of the file as it is there. */
function marksWhatIsThere(root: string, parts: Parts): boolean {
  const marker = parts.store.pathOf({ path: 'a', step: 0 }, 'done');
  const { ctimeNs, ino: inode } = statSync(join(root, 'a'), { bigint: true });
  return timeMark(statSync(marker).mtimeMs) === touchMark({ ctimeNs, inode });
}

it('marks in the marker what file it was written for', async () => {
  const { root, parts } = await jobOfA();
  expect(await parts.recorder.record()).toEqual(['a']);
  expect(marksWhatIsThere(root, parts)).toBe(true);
});

it('does not hide a new arrival from the next start while it may be one that was renamed over the file', async () => {
  const { root, parts, clock } = await jobOfA();
  dropAnew(root);
  // the event of the removal only: that of the drop comes after the marker, or after a crash, never
  expect(parts.observer.lookAt('', 'a', 1, clock.now())).toBe('changed');
  parts.recorder.mayBeOverwritten('a');
  expect(await parts.recorder.record()).toEqual(['a']);
  expect(marksWhatIsThere(root, parts)).toBe(false);
});
