// npm run torture -- --minutes N --seed S --mode embedded|box: builds the harness aside and runs it; see docs/durability.md
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const build = mkdtempSync(join(tmpdir(), 'meeseeks-torture-build-'));
try {
  writeFileSync(join(build, 'package.json'), '{"type":"module"}');
  symlinkSync(join(root, 'node_modules'), join(build, 'node_modules'));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const options = ['-p', join(root, 'test/crash/tsconfig.json'), '--outDir', build];
  execFileSync(process.execPath, [tsc, ...options], { stdio: 'inherit' });
  const main = join(build, 'test/crash/main.js');
  const { status } = spawnSync(process.execPath, [main, '--root', root, ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
} finally {
  rmSync(build, { recursive: true, force: true });
}
