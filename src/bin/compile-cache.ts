import module from 'node:module';
import { isAbsolute, join } from 'node:path';

interface NodeModule {
  readonly enableCompileCache?: (directory: string) => unknown;
}

/**
 * Keeps compiled code for the next start, where Node can (22.1 and newer; it tells failures in its result and throws nothing).
 * Only in a cache directory of the user's own: Node runs what it finds there, so the default below /tmp, which anybody
 * could have made before, will not do.
 * @returns the directory; undefined when nothing is kept
 */
export function keepCompiledCode(env: NodeJS.ProcessEnv, node = module as NodeModule): string | undefined {
  const home = env['HOME'] ?? '';
  const cache = env['XDG_CACHE_HOME'] || (home === '' ? '' : join(home, '.cache'));
  if (node.enableCompileCache === undefined || !isAbsolute(cache)) return undefined;
  const directory = join(cache, 'meeseeks');
  node.enableCompileCache(directory);
  return directory;
}
