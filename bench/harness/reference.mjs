// Programs that do nothing but the work itself, compiled when a C compiler is there; and peers that may be installed.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { scratch } from './scratch.mjs';

const built = new Map();
let directory;

export const isInstalled = (program) =>
  spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program]).status === 0;

/** @returns the path of the compiled bench/reference/NAME.c; undefined without a compiler */
export function reference(name) {
  if (!built.has(name)) built.set(name, isInstalled('cc') ? compile(name) : undefined);
  return built.get(name);
}

function compile(name) {
  directory ??= scratch();
  const output = join(directory, name);
  const source = join(import.meta.dirname, `../reference/${name}.c`);
  const { status, stderr } = spawnSync('cc', ['-O2', '-Wall', '-o', output, source], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`cc cannot compile ${source}: ${stderr}`);
  return output;
}

/** Runs a reference that prints numbers. @returns them; none when it could not be compiled */
export function measured(name, args) {
  const path = reference(name);
  if (path === undefined) return [];
  const { status, stdout, stderr } = spawnSync(path, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name} ${args.join(' ')}: ${stderr}`);
  return stdout.trim().split(' ').map(Number);
}
