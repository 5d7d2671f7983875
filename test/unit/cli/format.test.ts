import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { commandLine, duration, moment, table } from '../../../src/cli/format.js';
import { bytesToText } from '../../../src/lib/text.js';

it.each([
  [0, '0 s'],
  [499, '0 s'],
  [1500, '2 s'],
  [119_000, '119 s'],
  [120_000, '2 min'],
  [119 * 60_000, '119 min'],
  [2 * 3_600_000, '2 h'],
  [47 * 3_600_000, '47 h'],
  [48 * 3_600_000, '2 days'],
])('duration of %d ms is %s', (ms, words) => {
  expect(duration(ms)).toBe(words);
});

it('moment says how long until, or since', () => {
  const now = new Date(2026, 0, 2, 3, 4, 5).getTime();
  expect(moment(now + 12_000, now)).toBe('in 12 s (03:04:17)');
  expect(moment(now - 12_000, now)).toBe('12 s ago');
});

describe('table', () => {
  const rows = [
    ['watch', 'done', 'path'],
    ['a', '1', '/x'],
    ['longer', '1000', '/very/long/path'],
  ];

  it('pads columns, numbers to the right', () => {
    expect(table(rows, new Set([1]), 80)).toBe(
      ['watch   done  path', 'a          1  /x', 'longer  1000  /very/long/path'].join('\n'),
    );
  });

  it('fits the width', () => {
    for (const line of table(rows, new Set([1]), 20).split('\n')) expect(line.length).toBeLessThanOrEqual(20);
  });
});

it.each([
  [['sh', '-c', 'echo "a b"', '', 'x\ny'], `sh -c 'echo "a b"' '' $'x\\ny'`],
  [['echo', '$HOME', '*', '!!', "it's", 'a;b', '--x=y'], `echo '$HOME' '*' '!!' 'it'\\''s' 'a;b' --x=y`],
  [['A=b', 'c'], `'A=b' c`],
  [[], ''],
])('commandLine is what a person may paste: %j', (args, text) => {
  expect(commandLine(args)).toBe(text);
});

it('bash reads commandLine back, byte for byte', () => {
  const args = [
    'plain',
    '',
    ' ',
    'a b',
    "'",
    "it's",
    "'\n'",
    '\\',
    '\\n',
    '\t',
    '"',
    '$HOME',
    '$(id)',
    '`id`',
    '*',
    '~',
    '!!',
    '#a',
    'a\nb',
    '\r',
    '\u001b[31m',
    '\u007f',
    '\u0085',
    'ü',
    '日本',
    '😀',
    'bad\udcff.dat',
    '\udcc3ü\udc80f',
    '{a,b}',
    '-n',
    'A=b',
  ];
  const printed = execFileSync('bash', ['-c', commandLine(['printf', '%s\\0', ...args])]);
  expect(printed.toString('latin1').split('\0').slice(0, -1).map(bytesToText)).toEqual(args);
});
