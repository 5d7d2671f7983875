import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { describeError, hasCode, UserError } from '../../../src/lib/errors.js';

function systemError(): unknown {
  try {
    readFileSync('/no/such/file');
  } catch (error) {
    return error;
  }
  throw new Error('it exists');
}

it('hasCode knows system errors by their code', () => {
  expect(hasCode(systemError(), 'EACCES', 'ENOENT')).toBe(true);
  expect(hasCode(systemError(), 'EACCES')).toBe(false);
  expect(
    [new Error('ENOENT'), 'ENOENT', undefined, { code: 'ENOENT' }].map((e) => hasCode(e, 'ENOENT')),
  ).toEqual([false, false, false, false]);
});

it('describeError says it in words, in one line, with the code', () => {
  expect(describeError(systemError())).toBe('it does not exist (ENOENT)');
  expect(describeError(new Error('plain'))).toBe('plain');
  expect(describeError(Object.assign(new Error('odd'), { code: 'EODD' }))).toBe('odd');
  expect(describeError('text')).toBe('text');
});

it('a UserError is a matter of usage unless it says otherwise', () => {
  expect(new UserError('x')).toMatchObject({ message: 'x', exitCode: 2, name: 'UserError' });
  expect(new UserError('x', 4).exitCode).toBe(4);
});
