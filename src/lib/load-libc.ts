import type * as libc from './libc.js';

export type Libc = typeof libc;

let loading: Promise<Libc | undefined> | undefined;
let loaded: Libc | undefined;

/** Only who needs it waits for it. Undefined where there is no build of koffi for this system: all works without. */
export function loadLibc(): Promise<Libc | undefined> {
  loading ??= import('./libc.js').then(
    (module) => (loaded = module),
    () => undefined,
  );
  return loading;
}

/** For who cannot wait: undefined as long as nobody has waited for it. */
export const libcIfLoaded = (): Libc | undefined => loaded;
