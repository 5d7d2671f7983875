import { dirname } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { stateDirectory } from '../../../src/cli/state-directory.js';
import type { ResolvedConfig } from '../../../src/config/load.js';
import { watchWith } from '../../support/watch-fixtures.js';

afterEach(() => void vi.restoreAllMocks());

const directoryOf = (
  config: Partial<ResolvedConfig>,
  env: NodeJS.ProcessEnv = { XDG_STATE_HOME: '/state' },
  overrides: string[] = [],
): string =>
  stateDirectory(
    { name: undefined, stateDir: undefined, files: [], watches: [], ...config } as ResolvedConfig,
    { files: [], overrides },
    env,
  );
const asUser = (uid: number): void => void vi.spyOn(process, 'getuid').mockReturnValue(uid);

describe('stateDirectory', () => {
  it('is the one of the configuration, before all others', () => {
    expect(directoryOf({ stateDir: '/mine', name: 'n' }, { STATE_DIRECTORY: '/sd' })).toBe('/mine');
  });

  it('is else a directory of the name of the watcher, where the system keeps state', () => {
    const of = (env: NodeJS.ProcessEnv): string => directoryOf({ name: 'n' }, env);
    asUser(1000);
    expect(of({ STATE_DIRECTORY: '/sd', XDG_STATE_HOME: '/xdg', HOME: '/h' })).toBe('/sd/n');
    expect(of({ STATE_DIRECTORY: '/sd:/other' })).toBe('/sd/n');
    expect(of({ XDG_STATE_HOME: '/xdg', HOME: '/h' })).toBe('/xdg/meeseeks/n');
    expect(of({ HOME: '/h', XDG_STATE_HOME: '', STATE_DIRECTORY: '' })).toBe('/h/.local/state/meeseeks/n');
    asUser(0);
    expect(of({ HOME: '/root' })).toBe('/var/lib/meeseeks/n');
  });

  it('is found again by the same command, whatever watches are added to its files', () => {
    const files = ['/etc/a.cfg', '/etc/b.cfg'];
    const one = directoryOf({ files, watches: [watchWith()] });
    expect(directoryOf({ files, watches: [watchWith(), watchWith({ name: 'v' })] })).toBe(one);
    expect(directoryOf({ files }, undefined, ['defaults.rescan=5'])).toBe(one);
  });

  it('is another for other files, another template, or other watches of a command line', () => {
    const files = ['/etc/a.cfg'];
    const all = [
      directoryOf({ files }),
      directoryOf({ files: ['/etc/b.cfg'] }),
      directoryOf({ files }, undefined, ['apply=t']),
      directoryOf({ files }, undefined, ['apply=u']),
      directoryOf({ watches: [watchWith()] }),
      directoryOf({ watches: [watchWith({ path: '/other' })] }),
    ];
    expect(new Set(all).size).toBe(all.length);
  });

  it.each(['a/b', '../x', '/etc', '..', '.', 'a b\n'])(
    'of a watcher called %j stays where state is kept',
    (name) => {
      expect(dirname(directoryOf({ name }))).toBe('/state/meeseeks');
    },
  );
});
