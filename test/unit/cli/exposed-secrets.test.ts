import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exposures } from '../../../src/cli/exposed-secrets.js';

const SECRET = 'hunter2 "quoted"';

describe('a secret is exposed', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), 'meeseeks-secrets-')));
    chmodSync(directory, 0o755);
    file = join(directory, 'a.json');
    writeFileSync(file, JSON.stringify({ client: { token: SECRET } }), { mode: 0o644 });
    chmodSync(file, 0o644);
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const told = (files: readonly string[], overrides: readonly string[] = []): string[] =>
    exposures('client', { token: SECRET }, { files, overrides }, directory);

  it('in a file that anybody may read, named as it was given', () => {
    expect(told(['a.json'])).toEqual([
      'anybody may read client.token in a.json; chmod o-r a.json, or put it into a file of its own (client.token_file)',
    ]);
    expect(exposures('listen', { ssl: { password: SECRET } }, { files: [file], overrides: [] }, '/')).toEqual(
      [`anybody may read listen.ssl.password in ${file}; chmod o-r ${file}`],
    );
  });

  it('through a link', () => {
    symlinkSync(file, join(directory, 'link'));
    expect(told(['link'])).toHaveLength(1);
  });

  it('on the command line', () => {
    const [message, ...more] = told([], ['a=b', `client.token=${SECRET}`]);
    expect(message).toMatch(/client\.token on the command line.*client\.token_file/);
    expect(message).not.toContain(SECRET);
    expect(more).toEqual([]);
  });

  it('not in a file for its owner and group, in a directory that is closed, in one without it, in one that is gone', () => {
    chmodSync(file, 0o640);
    expect(told([file])).toEqual([]);
    chmodSync(file, 0o644);
    chmodSync(directory, 0o700);
    expect(told([file])).toEqual([]);
    chmodSync(directory, 0o755);
    mkdirSync(join(directory, 'sub'));
    writeFileSync(join(directory, 'b.json'), '{}', { mode: 0o644 });
    expect(told(['b.json', 'gone.json', 'sub'])).toEqual([]);
    expect(told([file])).toHaveLength(1);
  });

  it('in a file of its own, of a token or of a key', () => {
    const files = (settings: Record<string, unknown>): string[] =>
      exposures('client', settings, { files: [], overrides: [] }, directory);
    expect(files({ token_file: 'a.json', ssl: { keyfile: 'a.json', certfile: 'a.json' } })).toEqual([
      'anybody may read a.json (client.token_file); chmod o-r a.json',
      'anybody may read a.json (client.ssl.keyfile); chmod o-r a.json',
    ]);
    chmodSync(file, 0o640);
    expect(files({ token_file: 'a.json', ssl: { key: 'a.json' } })).toEqual([]);
  });

  it.each([undefined, {}, { token: '' }, { ssl: true }, { ssl: { certfile: 'a.json' } }])(
    'not by %j',
    (settings) =>
      expect(exposures('client', settings, { files: ['a.json'], overrides: ['a=b'] }, directory)).toEqual([]),
  );
});
