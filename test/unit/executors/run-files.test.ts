import fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Run } from '../../../src/executors/executor.js';
import { bashTooOld } from '../../../src/executors/process/guardian.js';
import {
  claimForAgent,
  encodeRequest,
  readEnd,
  readRun,
  tooLong,
} from '../../../src/executors/process/run-files.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meeseeks-run-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const write = (name: string, content: string): void => writeFileSync(join(directory, name), content);
const run = (changes: Partial<Run> = {}): Run => ({
  directory,
  args: ['true'],
  env: new Map(),
  cwd: '/',
  stdin: undefined,
  stdout: undefined,
  stderr: undefined,
  ...changes,
});

describe('the exit record', () => {
  it.each([
    ['[1]+  99 Exit 137                launch\nexit 137 12.5\n', { kind: 'exit', code: 137, at: 12.5 }],
    ['[1]+  99 Killed                  launch\nexit 137 12.5\n', { kind: 'signal', signal: 9, at: 12.5 }],
    [
      '[1]+  99 Segmentation fault      (core dumped) launch\nexit 139 12.5\n',
      { kind: 'signal', signal: 11, at: 12.5 },
    ],
    ['[1]+  99 Done                    launch\nexit 0 12.5\n', { kind: 'exit', code: 0, at: 12.5 }],
    ['exit 125 12\n', { kind: 'exit', code: 125, at: 12 }],
  ])('is understood: %j', (content, end) => {
    write('exit', content);
    expect(readEnd(directory)).toEqual(end);
  });

  it('counts only when it is complete', () => {
    const whole = '[1]+  99 Done                    launch\nexit 0 1795220912.380771\n';
    for (let length = 0; length < whole.length; length++) {
      write('exit', whole.slice(0, length));
      expect(readEnd(directory)).toBeUndefined();
    }
    expect(readEnd(directory, 'exited 3 12.5')).toEqual({ kind: 'exit', code: 3, at: 12.5 });
  });

  it('carries why the program could not be started, in one line', () => {
    write('exit', 'exit 125 12\n');
    write('error', 'cannot open the stdin file\n/x/guardian.sh: line 33: /a\nb: No such file or directory\n');
    expect(readEnd(directory)).toEqual({
      kind: 'start',
      error: 'cannot open the stdin file: /a\\nb: No such file or directory',
      at: 12,
    });
  });
});

describe('the claim', () => {
  it('is made once', () => {
    expect(readRun(directory).claim).toBeUndefined();
    expect(claimForAgent(directory, 'claim')).toBe(true);
    expect(claimForAgent(directory, 'claim')).toBe(false);
    expect(readRun(directory)).toMatchObject({ claim: { by: 'agent' }, leader: undefined });
    expect(claimForAgent(directory, 'pid')).toBe(true);
    expect(readRun(directory).leader).toBe('agent');
  });

  it('is a guardian’s when it is empty: only guardians create it before they fill it', () => {
    write('claim', '');
    expect(claimForAgent(directory, 'claim')).toBe(false);
    expect(readRun(directory).claim).toEqual({ by: 'guardian', who: undefined });
    write('claim', 'guardian 5 6 boot\n');
    expect(readRun(directory).claim).toEqual({ by: 'guardian', who: { pid: 5, birth: '6', boot: 'boot' } });
  });
});

describe('the request', () => {
  it('holds every field as it is', () => {
    const field = fc.string({ unit: 'binary' }).map((s) => s.replaceAll('\0', ''));
    fc.assert(
      fc.property(fc.array(field), fc.dictionary(field, field), (args, env) => {
        const fields = encodeRequest(run({ args, env: new Map(Object.entries(env)) }))
          .toString('utf8')
          .split('\0');
        const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
        expect(fields).toEqual(['', '', '', '/', String(variables.length), ...variables, ...args, '']);
      }),
    );
  });

  it('may be too long for the kernel', () => {
    expect(tooLong(run({ args: ['x', 'y'.repeat(131_071)] }))).toBeUndefined();
    expect(tooLong(run({ args: ['x', 'y'.repeat(131_072)] }))).toMatch(
      'argument 1 is too long: 131073 bytes',
    );
    expect(tooLong(run({ env: new Map([['BIG', 'y'.repeat(140_000)]]) }))).toMatch(
      'environment variable BIG',
    );
    expect(tooLong(run({ args: Array.from({ length: 300_000 }, () => 'a') }))).toMatch(
      'argument list too long',
    );
  });
});

it('needs bash 4.4', () => {
  expect(
    ['3.2.57', '4.3.1', '4.4.0', '5.2.15(1)-release', '10.0'].map((v) => bashTooOld(v) === undefined),
  ).toEqual([false, false, true, true, true]);
});
