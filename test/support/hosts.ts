import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import type { Scene, Service } from './service.js';

/** Runs a command as on a machine of another name and id, without the locks of this one. */
function onHost(scene: Scene, name: string): string[] {
  const id = scene.path(`machine-id-${name}`);
  writeFileSync(id, `${Buffer.from(name).toString('hex').padEnd(32, '0')}\n`);
  const script = `hostname ${name} && mount --bind ${id} /etc/machine-id && mount -t tmpfs none /run/lock && exec "$@"`;
  return ['unshare', '--mount', '--uts', 'sh', '-c', script, 'sh'];
}

/** Why there can be no other hosts here; undefined: there can. */
export function noHosts(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, for namespaces';
  if (!existsSync('/etc/machine-id') || !existsSync('/run/lock'))
    return 'no /etc/machine-id or /run/lock here';
  const script = 'mount --bind /proc/version /etc/machine-id && hostname other';
  const tried = spawnSync('unshare', ['--mount', '--uts', 'sh', '-c', script], { encoding: 'utf8' });
  return tried.status === 0 ? undefined : `no namespaces here: ${tried.stderr || String(tried.error)}`;
}

/** The service as on another machine, which shares the data directory and has a state of its own. */
export function launchOn(scene: Scene, host: string, ...args: string[]): Service {
  return scene.launch([scene.config, `state_dir=${scene.path(`state-${host}`)}`, ...args], {
    through: onHost(scene, host),
  });
}
