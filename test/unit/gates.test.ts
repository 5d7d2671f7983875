import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Checks that check are checked: each rule must catch a violation planted in a copy of the project's settings. */
describe('the gates', () => {
  let project: string;

  beforeEach(() => {
    project = mkdtempSync(join(tmpdir(), 'meeseeks-gates-'));
    for (const name of ['.oxlintrc.json', '.prettierrc.json', 'tsconfig.json', 'knip.json', 'package.json']) {
      copyFileSync(join(root, name), join(project, name));
    }
    symlinkSync(join(root, 'node_modules'), join(project, 'node_modules'));
  });

  afterEach(() => rmSync(project, { recursive: true, force: true }));

  function plant(path: string, content: string): void {
    mkdirSync(dirname(join(project, path)), { recursive: true });
    writeFileSync(join(project, path), content);
  }

  const run = (tool: string, ...args: string[]) => {
    const result = spawnSync(join(root, 'node_modules/.bin', tool), args, { cwd: project, encoding: 'utf8' });
    return { status: result.status, output: result.stdout + result.stderr };
  };
  const lint = () => run('oxlint', '--type-aware', '--deny-warnings', 'src');

  const upward: [from: string, to: string][] = [
    ['watch', '../agent/agent.js'],
    ['watch', '../cli/format.js'],
    ['agent', '../watch/plan.js'],
    ['agent', '../server/server.js'],
    ['agent', '../client/client.js'],
    ['server', '../executors/executor.js'],
    ['server', '../client/client.js'],
    ['server', '../watch/plan.js'],
    ['server', '../cli/format.js'],
    ['client', '../agent/core.js'],
    ['client', '../server/server.js'],
    ['client', '../executors/executor.js'],
    ['client', '../cli/format.js'],
    ['watch', '../client/client.js'],
    ['watch', '../server/server.js'],
    ['executors', '../agent/agent.js'],
    ['config', '../watch/plan.js'],
    ['protocol', '../lib/clock.js'],
    ['lib', '../protocol/job.js'],
    ['cli', '../bin/meeseeks-watch.js'],
  ];
  it.each(upward)('refuses an import from %s of %s', (from, to) => {
    plant(`src/${from}/planted.ts`, `import { x } from '${to}';\nexport const y = x;\n`);
    const { status, output } = lint();
    expect(status, output).not.toBe(0);
    expect(output).toContain('no-restricted-imports');
  });

  it('lets a clean file pass, so that the refusals mean something', () => {
    plant('src/protocol/other.ts', 'export const x = 1;\n');
    plant('src/watch/clean.ts', "import { x } from '../protocol/other.js';\nexport const y = x;\n");
    const { status, output } = lint();
    expect(status, output).toBe(0);
  });

  it.each([
    ['a floating promise', 'export function f(): void {\n  Promise.resolve(1);\n}\n', 'no-floating-promises'],
    ['any', 'export const f = (x: any): unknown => x;\n', 'no-explicit-any'],
    [
      'a switch that forgets a case',
      "export function f(x: 'a' | 'b'): number {\n  switch (x) {\n    case 'a':\n      return 1;\n  }\n  return 0;\n}\n",
      'switch-exhaustiveness-check',
    ],
    ['process.exit', 'export const f = (): never => process.exit(1);\n', 'no-process-exit'],
  ])('refuses %s', (_, content, rule) => {
    plant('src/lib/planted.ts', content);
    const { status, output } = lint();
    expect(status, output).not.toBe(0);
    expect(output).toContain(rule);
  });

  it('refuses a type error, bad formatting and an unused export', () => {
    plant('src/lib/planted.ts', "export const x: number = 'text';\n");
    expect(run('tsc', '--noEmit').status).not.toBe(0);
    plant('src/lib/planted.ts', 'export   const x = "text"\n');
    expect(run('prettier', '--check', 'src').status).not.toBe(0);
    plant('src/bin/used.ts', "import '../lib/planted.js';\n");
    plant('src/lib/planted.ts', 'export const unusedThing = 1;\n');
    expect(run('knip', '--no-config-hints').output).toContain('unusedThing');
  });
});
