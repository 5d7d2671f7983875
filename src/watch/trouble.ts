import type { WatchDefinition } from '../config/schema.js';
import { describeError } from '../lib/errors.js';
import { printable } from '../lib/text.js';
import { isMissing } from './view.js';
import { absolute } from './render.js';

/** The path of a folder or file of a watch; '' is the watch's own directory. */
export const fullPath = (watch: WatchDefinition, path: string): string =>
  path === '' ? watch.path! : absolute(watch, { path });

/** What to tell a person about a directory or file that cannot be looked at. */
export function cannotLook(watch: WatchDefinition, path: string, error: unknown): string {
  const name = printable(fullPath(watch, path));
  const what = path === '' ? `directory ${name}` : name;
  const advice = path === '' && isMissing(error) ? 'waiting for it to appear' : 'trying again at every scan';
  return `cannot look at ${what}: ${describeError(error)}; ${advice}`;
}

/** What to tell about a directory whose changes the kernel does not announce. */
export function noEvents(watch: WatchDefinition, folder: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const why =
    code === 'ENOSPC'
      ? 'the kernel has no more watches (raise fs.inotify.max_user_watches)'
      : describeError(error);
  return `no file-system events for ${printable(fullPath(watch, folder))}: ${why}; files are found by the scan every ${watch.rescan} s`;
}
