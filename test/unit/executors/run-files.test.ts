import fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bytesToText } from '../../../src/lib/text.js';
import type { Run } from '../../../src/executors/executor.js';
import { bashTooOld } from '../../../src/executors/process/guardian.js';
import {
  claimForAgent,
  encodeRequest,
  endOf,
  isAgents,
  plainEnd,
  tooLong,
  type Request,
} from '../../../src/executors/process/run-files.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meeseeks-run-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const write = (name: string, content: string): void => writeFileSync(join(directory, name), content);
const run = (changes: Partial<Run> = {}): Run => ({
  path: join(directory, 'a'),
  args: ['true'],
  env: new Map(),
  cwd: '/',
  stdin: undefined,
  stdout: undefined,
  stderr: undefined,
  ...changes,
});

describe('the exit note', () => {
  it.each([
    [137, '[1]+  99 Exit 137                ( launch )', { kind: 'exit', code: 137, at: 12.5 }],
    [137, '[1]+  99 Killed                  ( launch )', { kind: 'signal', signal: 9, at: 12.5 }],
    [137, '', { kind: 'signal', signal: 9, at: 12.5 }],
    [
      139,
      '[1]+  99 Segmentation fault      (core dumped) ( launch )',
      { kind: 'signal', signal: 11, at: 12.5 },
    ],
    [0, '[1]+  99 Done                    ( launch )', { kind: 'exit', code: 0, at: 12.5 }],
    [125, '', { kind: 'exit', code: 125, at: 12.5 }],
  ])('is understood: %i %j', (status, told, end) => {
    write('a.stdout', '');
    expect(endOf(join(directory, 'a'), { status, told, at: 12.5 })).toEqual(end);
  });

  it('of a run that could make no file is not the job’s', () => {
    expect(endOf(join(directory, 'a'), { status: 125, told: '', at: 12 })).toMatchObject({
      kind: 'start',
      error: 'cannot write to the spool',
    });
  });

  it('needs no look at any file when an exit code says all', () => {
    expect(plainEnd('3 12.5')).toEqual({ kind: 'exit', code: 3, at: 12.5 });
    expect(plainEnd('128 12')).toEqual({ kind: 'exit', code: 128, at: 12 });
    for (const text of ['129 12.5', '125 12.5', '', '3', 'x 12', '3 x'])
      expect(plainEnd(text)).toBeUndefined();
  });

  it('carries why the program could not be started, in one line', () => {
    write(
      'a.error',
      'cannot open the stdin file\n/x/guardian.sh: line 33: /a\nb: No such file or directory\n',
    );
    expect(endOf(join(directory, 'a'), { status: 125, told: '', at: 12 })).toEqual({
      kind: 'start',
      error: 'cannot open the stdin file: /a\\nb: No such file or directory',
      at: 12,
    });
  });
});

describe('the claim', () => {
  it('is made once, and known as an agent’s', () => {
    const path = join(directory, 'a');
    expect(isAgents(path)).toBe(false);
    expect(claimForAgent(path)).toBe(true);
    expect(claimForAgent(path)).toBe(false);
    expect(isAgents(path)).toBe(true);
  });

  it('is a guardian’s when it is a file', () => {
    write('a.stdout', '');
    expect(claimForAgent(join(directory, 'a'))).toBe(false);
    expect(isAgents(join(directory, 'a'))).toBe(false);
  });
});

interface Message {
  readonly kind: string;
  readonly count: number;
  readonly name: string;
  readonly fields: readonly string[];
}

/** As guardian.sh does it. */
function decode(bytes: string): Message {
  const start = bytes.indexOf('\n') + 1;
  const [kind = '', length, escaped, count, name = ''] = bytes.slice(0, start - 1).split(' ');
  expect(bytes.length - start).toBe(Number(length));
  const raw = bytesToText(bytes.slice(start)).split('\x1e').slice(0, -1);
  const unescape = (field: string): string => field.replaceAll('\x1d2', '\x1e').replaceAll('\x1d1', '\x1d');
  return { kind, name, count: Number(count), fields: escaped === '0' ? raw : raw.map(unescape) };
}

describe('the request', () => {
  it('holds every field as it is', () => {
    const separators = fc.constantFrom('\x1d', '\x1e', '\x1d1', '\x1e2');
    const some = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(separators).map((all) => all.join('')),
    );
    const field = some.map((s) => s.replaceAll('\0', ''));
    fc.assert(
      fc.property(fc.array(field), fc.dictionary(field, field), (args, env) => {
        const request = encodeRequest(run({ args, env: new Map(Object.entries(env)) }));
        const own = decode(request.run);
        expect({ ...own, fields: [] }).toEqual({ kind: 'run', name: 'a', count: own.count, fields: [] });
        expect(own.fields.slice(0, 5)).toEqual([join(directory, 'a'), '', '', '', '/']);
        expect(own.fields.slice(5 + own.count)).toEqual(args);
        const { kind, fields } = decode(request.environment);
        expect([kind, fields[1]]).toEqual(['env', env['PATH'] ?? '/bin:/usr/bin']);
        const all = [...fields.slice(0, 1), ...fields.slice(2), ...own.fields.slice(5, 5 + own.count)];
        expect(all.filter(Boolean).toSorted()).toEqual(
          Object.entries(env)
            .map(([name, value]) => `${name}=${value}`)
            .toSorted(),
        );
      }),
    );
  });

  it('tells the variables that must not be seen in `ps` from those that bash cannot pass on', () => {
    const names = ['SECRET', 'lower', 'PWD', 'A_1', 'a-b', 'LC_ALL', 'BASH_FUNC_f%%', 'HOME'];
    const env = new Map(names.map((name) => [name, 'v']));
    const { count, fields } = decode(encodeRequest(run({ args: [], env })).environment);
    expect(count).toBe(3);
    expect(fields.slice(2 + count)).toEqual(['SECRET=v', 'lower=v', 'PWD=v', 'A_1=v', 'HOME=v']);
  });

  it('says what all runs have in common in the same words, whatever each has for itself', () => {
    const request = (id: string, user: string): Request =>
      encodeRequest(
        run({
          path: `/x/${id}`,
          env: new Map([['USER', user]]),
          own: new Map([['MEESEEKS_RUN', `/x/${id}`]]),
        }),
      );
    expect(request('a', 'u').environment).toBe(request('b', 'u').environment);
    expect(request('a', 'u').run).not.toBe(request('b', 'u').run);
    expect(request('a', 'u').environment).not.toBe(request('a', 'v').environment);
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
