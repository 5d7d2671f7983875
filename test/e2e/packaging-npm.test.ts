import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** The package as npm makes it: all that is needed and nothing else, and its programs run from where it is unpacked. */
const root = fileURLToPath(new URL('../..', import.meta.url));

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

let scratch: string;
let packed: Packed;
let installed: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'meeseeks-pack-'));
  const npm = ['pack', '--json', '--ignore-scripts', '--offline', '--pack-destination', scratch];
  const { stdout, stderr } = spawnSync('npm', npm, { cwd: root, encoding: 'utf8' });
  if (stdout === '') throw new Error(stderr);
  const answer = JSON.parse(stdout) as Packed[] | Record<string, Packed>;
  packed = Object.values(answer)[0]!;
  installed = join(scratch, 'lib/node_modules/meeseeks');
  mkdirSync(installed, { recursive: true });
  const tar = ['-xzf', join(scratch, packed.filename), '-C', installed, '--strip-components=1'];
  expect(spawnSync('tar', tar).status).toBe(0);
  // what npm would fetch is here already
  symlinkSync(
    realpathSync(join(root, 'node_modules')),
    join(scratch, 'lib/node_modules/meeseeks/node_modules'),
  );
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const paths = (): string[] => packed.files.map(({ path }) => path);

describe('the package', () => {
  it('has nothing but what its users need', () => {
    const allowed =
      /^(dist\/.*\.(js|d\.ts)|dist\/executors\/process\/guardian\.(pl|sh)|(docs|examples|templates|man|packaging)\/.*|(README|CHANGELOG|CONTRIBUTING)\.md|LICENSE|package\.json)$/;
    expect(paths().filter((path) => !allowed.test(path))).toEqual([]);
    expect(paths().filter((path) => /\.(map|tgz|db)$|(^|\/)\.(?!_)|\/test\//.test(path))).toEqual([]);
  });

  it('has everything that package.json, the units and the guardian name', () => {
    const { bin, man, types } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      bin: Record<string, string>;
      man: string[];
      types: string;
    };
    const wanted = [
      ...Object.values(bin),
      ...man,
      types.replace('./', ''),
      'dist/index.js',
      'dist/executors/process/guardian.pl',
      'dist/executors/process/guardian.sh',
      'packaging/systemd/meeseeks-box.service',
      'packaging/systemd/meeseeks-watch@.service',
      'packaging/docker/Dockerfile',
      'docs/agent.md',
      'docs/protocol.md',
    ];
    expect(wanted.filter((path) => !paths().includes(path))).toEqual([]);
    for (const path of Object.values(bin))
      expect(packed.files.find((file) => file.path === path)!.mode & 0o111, path).toBe(0o111);
  });

  it('has every file that its pages link to, apart from sources', () => {
    const pages = paths().filter((path) => path.endsWith('.md'));
    const missing = pages.flatMap((page) =>
      [...readFileSync(join(installed, page), 'utf8').matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)]
        .map((match) => match[1]!)
        .filter(
          (target) => !/^[a-z]+:/.test(target) && !/(^|\/)(src|test|scripts|\.ci|\.oxlintrc)/.test(target),
        )
        .filter((target) => !existsSync(join(installed, page, '..', target)))
        .map((target) => `${page}: ${target}`),
    );
    expect(missing).toEqual([]);
  });

  it.each(['meeseeks-watch', 'meeseeks-box', 'meeseeks-client'])('%s runs from there', (name) => {
    const program = join(installed, 'dist/bin', `${name}.js`);
    const run = (...args: string[]) =>
      spawnSync(program, args, { cwd: scratch, encoding: 'utf8', env: { PATH: process.env['PATH'] } });
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    expect(run('--version')).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' });
    const help = run('--help');
    expect(help).toMatchObject({ status: 0, stderr: '' });
    expect(help.stdout).toContain(name);
  });

  it('is a library for programs that depend on it', () => {
    const code = "import { connect } from 'meeseeks'; console.log(typeof connect)";
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
      cwd: join(scratch, 'lib'),
      encoding: 'utf8',
    });
    expect({ stdout, stderr }).toEqual({ stdout: 'function\n', stderr: '' });
  });
});
