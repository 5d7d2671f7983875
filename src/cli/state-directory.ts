import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ResolvedConfig } from '../config/load.js';
import type { ConfigurationSource } from './configuration.js';

/**
 * Where the watcher and its embedded agent keep their state: `state_dir`, else a directory of the watcher's name under
 * $STATE_DIRECTORY (systemd), $XDG_STATE_HOME/meeseeks, /var/lib/meeseeks (root) or ~/.local/state/meeseeks.
 * Without a name it is derived from the configuration files, so that the same command finds its state again.
 */
export function stateDirectory(
  config: ResolvedConfig,
  source: ConfigurationSource,
  env: NodeJS.ProcessEnv,
): string {
  if (config.stateDir !== undefined) return config.stateDir;
  return join(stateHome(env), safeName(config.name ?? derivedName(config, source)));
}

/** Where state directories are by default. */
export function stateHome(env: NodeJS.ProcessEnv): string {
  const isRoot = process.getuid?.() === 0;
  const systemd = env['STATE_DIRECTORY'];
  if (systemd !== undefined && systemd !== '') return systemd.split(':')[0]!;
  const xdg = env['XDG_STATE_HOME'];
  if (xdg !== undefined && xdg !== '') return join(xdg, 'meeseeks');
  return isRoot ? '/var/lib/meeseeks' : join(env['HOME'] ?? homedir(), '.local/state/meeseeks');
}

/** From what names an instance: the files and the template applied. Other overrides and new watches keep the state. */
function derivedName(config: ResolvedConfig, source: ConfigurationSource): string {
  const applied = source.overrides.filter((override) => /^(apply|defaults\.template):?=/.test(override));
  const watches = config.watches.map((watch) => `${watch.name}=${watch.path ?? ''}`).sort();
  const parts = config.files.length > 0 ? [...config.files, ...applied] : watches;
  return `watch-${createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 12)}`;
}

/** A name as a file can have it. */
export const safeName = (name: string): string => name.replace(/[^\w.-]/g, '_').replace(/^\.+$/, '_');
