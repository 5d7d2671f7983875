import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/**
 * The units as far as they can be checked without systemd as init: its own verifier, their rules, and their command
 * lines with the real programs. That jobs live on when only the main process is signalled, and are taken up by the next
 * start, is in test/integration/box-durability.test.ts ("leaves jobs running on SIGTERM") and watch-once.test.ts ("SIGTERM leaves the job running").
 */
const root = fileURLToPath(new URL('../..', import.meta.url));
const packaging = join(root, 'packaging/systemd');
const units = readdirSync(packaging).filter((name) => name.endsWith('.service'));
const read = (name: string): string => readFileSync(join(packaging, name), 'utf8');
const canAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;

/** All values of a setting, as written. */
const valuesOf = (unit: string, key: string): string[] =>
  [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map((match) => match[1]!);

const programOf = (name: string): string => join(root, 'dist/bin', `${name}.js`);

/** What must hold for jobs to outlive a restart of the unit, and for Node to run in it. */
function brokenRules(unit: string): string[] {
  const wanted: Readonly<Record<string, string>> = {
    KillMode: 'process',
    OOMPolicy: 'continue',
    Restart: 'always',
    RestartPreventExitStatus: '2',
    User: 'meeseeks',
    Type: 'exec',
    NoNewPrivileges: 'yes',
  };
  const forbidden = [
    'PrivateTmp',
    'RemoveIPC',
    'MemoryDenyWriteExecute',
    'ProcSubset',
    'PrivateUsers',
    'DynamicUser',
    'PrivatePIDs',
  ];
  return [
    ...Object.entries(wanted)
      .filter(([key, value]) => valuesOf(unit, key).join() !== value)
      .map(([key]) => key),
    ...forbidden.filter((key) => valuesOf(unit, key).length > 0),
  ];
}

describe('the systemd units', () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'meeseeks-units-'))));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const analyze = (...args: readonly string[]): { status: number | null; output: string } => {
    const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    return { status, output: stdout + stderr };
  };

  /** The verifier wants programs that are there: those of this build. */
  const verify = (name: string, unit: string): { status: number | null; output: string } => {
    const path = join(directory, name);
    writeFileSync(
      path,
      unit.replace(/^ExecStart=(\S+)/m, (_, program: string) => `ExecStart=${programOf(program)}`),
    );
    return analyze('verify', '--man=no', '--recursive-errors=no', path);
  };

  it('are one for the agent and a template for watchers', () => {
    expect(units.sort()).toEqual(['meeseeks-box.service', 'meeseeks-watch@.service']);
  });

  it.each(units)('%s: jobs outlive a restart, and Node can run', (name) => {
    expect(brokenRules(read(name))).toEqual([]);
  });

  it('the rules bite', () => {
    const unit = read('meeseeks-box.service');
    expect(brokenRules(unit.replace('KillMode=process', ''))).toEqual(['KillMode']);
    expect(brokenRules(unit.replace('KillMode=process', 'KillMode=mixed'))).toEqual(['KillMode']);
    expect(brokenRules(`${unit}\nPrivateTmp=yes\n`)).toEqual(['PrivateTmp']);
  });

  it.skipIf(!canAnalyze).each(units)('%s: systemd finds nothing wrong (needs systemd-analyze)', (name) => {
    expect(verify(name, read(name))).toEqual({ status: 0, output: '' });
    const planted = verify(name, read(name).replace('KillMode=process', 'KillMode=proces\nNoSuchSetting=1'));
    expect(planted.output).toMatch(/kill mode[^]*NoSuchSetting/);
  });

  it.skipIf(!canAnalyze).each(units)('%s: exposed at most 2.0 of 10 (needs systemd-analyze)', (name) => {
    const exposed = (path: string): number =>
      Number(
        /exposure level for \S+: ([\d.]+)/.exec(
          analyze('security', '--offline=true', '--no-pager', path).output,
        )?.[1],
      );
    expect(exposed(join(packaging, name))).toBeLessThanOrEqual(2);
    const bare = join(directory, name);
    writeFileSync(bare, read(name).replaceAll(/^(Protect|Restrict|SystemCall)\S*=.*$/gm, ''));
    expect(exposed(bare)).toBeGreaterThan(2);
  });

  it.each([
    ['meeseeks-box.service', 'meeseeks-box', 'box', ['--check']],
    ['meeseeks-watch@.service', 'meeseeks-watch', '%i', ['validate']],
  ])('%s: its command runs, with the configuration beside it', (name, program, instance, check) => {
    const [command, file, ...rest] = valuesOf(read(name), 'ExecStart')[0]!.split(' ');
    expect([command, file, rest]).toEqual([program, `/etc/meeseeks/${instance}.cfg`, []]);
    const example = join(packaging, `${instance === '%i' ? 'watch' : instance}.cfg`);
    const { status, stderr } = spawnSync(process.execPath, [programOf(program), ...check, example], {
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
    expect(stderr).not.toMatch(/warning|error/);
  });

  it('the examples keep their state and socket where the units make room for them', () => {
    const box = read('box.cfg');
    expect(box).toContain('"state_dir": "/var/lib/meeseeks/box"');
    expect(box).toContain('"path": "/run/meeseeks/box.sock"');
    expect(valuesOf(read('meeseeks-box.service'), 'RuntimeDirectory')).toEqual(['meeseeks']);
    for (const name of units) expect(valuesOf(read(name), 'StateDirectory')).toEqual(['meeseeks']);
  });
});

describe('the system user', () => {
  it.skipIf(spawnSync('systemd-sysusers', ['--version']).status !== 0 || process.getuid?.() !== 0)(
    'is made by systemd-sysusers (needs it, and root)',
    () => {
      const away = mkdtempSync(join(tmpdir(), 'meeseeks-sysusers-'));
      try {
        mkdirSync(join(away, 'etc'));
        const path = join(packaging, 'meeseeks.sysusers.conf');
        const made = spawnSync('systemd-sysusers', [`--root=${away}`, path], { encoding: 'utf8' });
        expect(made.status, made.stderr).toBe(0);
        expect(readFileSync(join(away, 'etc/passwd'), 'utf8')).toMatch(
          /^meeseeks:.*:\/var\/lib\/meeseeks:\/usr\/sbin\/nologin$/m,
        );
      } finally {
        rmSync(away, { recursive: true, force: true });
      }
    },
  );
});
