import { watch } from 'chokidar';

const SETTLE_MS = 200;

/** Calls back when configuration files change, once for a burst of writes. Editors that replace the file are followed. */
export function followFiles(files: readonly string[], onChange: () => void): { close(): Promise<void> } {
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch([...files], { ignoreInitial: true });
  watcher.on('all', () => {
    clearTimeout(timer);
    timer = setTimeout(onChange, SETTLE_MS);
  });
  return {
    close: async () => {
      clearTimeout(timer);
      await watcher.close();
    },
  };
}
