import type * as spawn from './libc-spawn.js';
import type * as libc from './libc.js';

export type Libc = typeof libc & typeof spawn;

let loading: Promise<Libc | undefined> | undefined;
let loaded: Libc | undefined;

/** Only who needs it waits for it. Undefined where there is no build of koffi for this system: all works without. */
export function loadLibc(): Promise<Libc | undefined> {
  loading ??= load().catch(() => undefined);
  return loading;
}

async function load(): Promise<Libc> {
  const files = await import('./libc.js');
  const processes = await import('./libc-spawn.js');
  return (loaded = { ...files, ...processes });
}

/** For who cannot wait: undefined as long as nobody has waited for it. */
export const libcIfLoaded = (): Libc | undefined => loaded;
