import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { clientManual, clientPage } from '../../../src/cli/client/client-page.js';
import { asksForPage } from '../../../src/cli/help/asked.js';
import { boxPage } from '../../../src/cli/help/box-page.js';
import { completionKeys, completionScript } from '../../../src/cli/help/completion.js';
import { renderRoff, renderText, type Page } from '../../../src/cli/help/page.js';
import { watchPage } from '../../../src/cli/help/watch-page.js';
import { boxSchema } from '../../../src/config/box-schema.js';

const root = new URL('../../..', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const sections = 'DESCRIPTION,OPTIONS,EXIT STATUS,FILES,ENVIRONMENT,EXAMPLES'.split(',');

describe.each<[Page, string]>([
  [watchPage, 'src/cli/program.ts'],
  [boxPage, 'src/cli/box/program.ts'],
  [clientPage, ''],
])('the page of $name', (page, source) => {
  it('has the sections of a manual page, within 80 columns', () => {
    const text = renderText(page, 200);
    for (const title of ['NAME', 'SYNOPSIS', ...sections])
      expect(text).toMatch(new RegExp(`^${title}$`, 'm'));
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(text.split('\n').filter((line) => line.endsWith(' '))).toEqual([]);
  });

  it('knows every option and command of the program', () => {
    if (source === '') return;
    const program = read(source);
    const text = renderText(page);
    const options = [...program.matchAll(/\.option\('([a-z-]+)'/g)].map((match) => `--${match[1]!}`);
    const commands = [...program.matchAll(/\.command\(\s*'([a-z-]+)/g)].map((match) => match[1]!);
    expect(options.length + commands.length).toBeGreaterThan(3);
    expect([...options, ...commands].filter((word) => !text.includes(word))).toEqual([]);
  });
});

describe('--help', () => {
  it('is the page, unless it is asked of a command or handed through', () => {
    const asks = (...args: string[]): boolean => asksForPage(args, ['run', 'plan']);
    expect([asks('--help'), asks('a.cfg', '-h'), asks('run', '--help')]).toEqual([true, true, true]);
    expect([asks('plan', '--help'), asks('a.cfg'), asks('x', '--', '--help')]).toEqual([false, false, false]);
  });
});

describe('the man pages', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  it.each([watchPage, boxPage, clientManual])('$name is current', (page) => {
    expect(read(`man/${page.name}.1`), 'run npm run docs:generate').toBe(renderRoff(page, version));
  });

  it.skipIf(spawnSync('groff', ['--version']).status !== 0).each([watchPage, boxPage, clientManual])(
    '$name: groff has no complaint, and shows dashes and dots as they are (needs groff)',
    (page) => {
      const show = (text: string): { stdout: string; stderr: string } => {
        const groff = ['-man', '-Tutf8', '-ww', '-P-c'];
        const { stdout, stderr } = spawnSync('groff', groff, { input: text, encoding: 'utf8' });
        // bold is a letter printed twice
        return { stdout: stdout.replaceAll(/.\u0008/gu, ''), stderr };
      };
      const { stdout, stderr } = show(renderRoff(page, version));
      expect(stderr).toBe('');
      expect(stdout).toContain('EXIT STATUS');
      const odd = { ...page, sections: [{ title: 'X', paragraphs: ['.SH --a \\fB', "'b"] }] };
      expect(show(renderRoff(odd, version)).stdout).toMatch(/\.SH --a \\fB[^]*'b/);
    },
  );
});

describe('completion', () => {
  const vocabulary = {
    program: 'meeseeks-box',
    commands: ['completion'],
    options: ['--check', '--log-level'],
    keys: completionKeys(boxSchema),
  };

  /** What bash offers behind a line. */
  function offers(line: string): string[] {
    const directory = mkdtempSync(join(tmpdir(), 'meeseeks-completion-'));
    try {
      writeFileSync(join(directory, 'node.cfg'), '');
      const ask = `${completionScript('bash', vocabulary)}
COMP_LINE=${JSON.stringify(line)} COMP_POINT=\${#COMP_LINE}
_meeseeks_box; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return execFileSync('bash', ['-c', ask], { cwd: directory, encoding: 'utf8' }).trim().split('\n');
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }

  it('offers keys, options, commands, values and files', () => {
    expect(offers('meeseeks-box listen.po')).toEqual(['listen.port=']);
    expect(offers('meeseeks-box state.h')).toEqual(['state.history=']);
    expect(offers('meeseeks-box poo')).toEqual(['pools.']);
    expect(offers('meeseeks-box node.cfg --ch')).toEqual(['--check']);
    expect(offers('meeseeks-box no')).toContain('node.cfg');
    expect(offers('meeseeks-box comp')).toEqual(['completion']);
    expect(offers('meeseeks-box completion ')).toEqual(['bash', 'zsh']);
    expect(offers('meeseeks-box --log-level in')).toEqual(['info']);
    expect(offers('meeseeks-box state.file=no')).toEqual(['node.cfg']);
  });

  it('is for zsh, too', () => {
    expect(completionScript('zsh', vocabulary)).toContain('bashcompinit');
  });
});
