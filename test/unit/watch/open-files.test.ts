import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { linkSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { bytesToBuffer, textToBytes } from '../../../src/lib/text.js';
import { openForWriting } from '../../../src/watch/open-files.js';
import { nastyNames, temporaryDirectory } from '../../support/watch-fixtures.js';

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) await end(child);
});

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

/** A process that holds a file open; resolves when it does. */
async function holder(path: string, redirection: '<' | '>' | '>>' | '<>'): Promise<ChildProcess> {
  const child = spawn('/bin/sh', ['-c', `exec 7${redirection}"$1"; echo; read x`, 'sh', path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  await once(child.stdout, 'data');
  return child;
}

function file(name = 'x'): string {
  const path = join(temporaryDirectory(), name);
  writeFileSync(path, 'content');
  return path;
}

describe('openForWriting', () => {
  it.each(['>', '>>', '<>'] as const)(
    'sees a file opened with %s by another process',
    async (redirection) => {
      const path = file();
      const child = await holder(path, redirection);
      expect(openForWriting([path])).toEqual(new Set([path]));
      await end(child);
      expect(openForWriting([path])).toEqual(new Set());
    },
  );

  it('does not mind readers', async () => {
    const path = file();
    await holder(path, '<');
    expect(openForWriting([path])).toEqual(new Set());
  });

  it('tells one file from another', async () => {
    const [path, other] = [file(), file()];
    await holder(path, '>');
    expect(openForWriting([other, path, `${path}.none`])).toEqual(new Set([path]));
  });

  it('sees through a link on the way', async () => {
    const path = file();
    const link = join(temporaryDirectory(), 'link');
    symlinkSync(join(path, '..'), link);
    await holder(path, '>');
    expect(openForWriting([`${link}/x`])).toEqual(new Set([`${link}/x`]));
  });

  it('sees a file that its writer knows by another name (a hard link)', async () => {
    const [path, other] = [file(), file()];
    linkSync(path, `${path}.writing`);
    await holder(`${path}.writing`, '>');
    expect(openForWriting([path, other])).toEqual(new Set([path]));
  });

  it('takes names of any bytes', async () => {
    const directory = temporaryDirectory();
    const names = nastyNames.map((name) => textToBytes(`${directory}/${name}`));
    for (const name of names) writeFileSync(bytesToBuffer(name), '');
    // a shell that opens whatever is there, one descriptor each
    const script =
      'cd "$1"; for f in *; do eval "exec $((n = n + 1 + (n == 0) * 2))>>\\"\\$f\\""; done; echo; read x';
    const child = spawn('/bin/bash', ['-c', script, 'sh', directory], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    await once(child.stdout, 'data');
    expect(openForWriting(names)).toEqual(new Set(names));
  });

  it('of nothing is nothing', () => {
    expect(openForWriting([])).toEqual(new Set());
  });

  it('sees what a process opens after it has slept through a look, and what was renamed while it slept', async () => {
    const [first, second] = [file(), file()];
    const script = 'exec 7>"$1"; echo; read x; exec 8>"$2"; echo; read x';
    const child = spawn('/bin/sh', ['-c', script, 'sh', first, second], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    await once(child.stdout, 'data');
    for (let i = 0; i < 3; i++) expect(openForWriting([first, second])).toEqual(new Set([first]));
    renameSync(first, `${first}.moved`);
    expect(openForWriting([`${first}.moved`])).toEqual(new Set([`${first}.moved`]));
    child.stdin.write('\n');
    await once(child.stdout, 'data');
    expect(openForWriting([second])).toEqual(new Set([second]));
  });
});
